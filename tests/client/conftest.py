"""An engine on the mock, in virtual time, and clients that are closed whatever a test does.

Every test of a session runs in both ways: the engine in the process of the client, and as a server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from utd_core.testing.leaks import Snapshot, assert_no_leaks

from .world import Way, World


@pytest.fixture(params=["embedded", "remote"])
def way(request: pytest.FixtureRequest) -> Way:
    """How clients reach their engine."""
    chosen: Way = request.param
    return chosen


@pytest.fixture
async def world(way: Way) -> AsyncIterator[World]:
    """One engine; afterwards no task, thread or descriptor is left."""
    before = Snapshot.take()
    async with World(way) as world:
        yield world
    await assert_no_leaks(before)
