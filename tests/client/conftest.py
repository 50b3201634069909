"""An engine on the mock, in virtual time, and clients that are closed whatever a test does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from utd_core.testing.leaks import Snapshot, assert_no_leaks

from .world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """One engine; afterwards no task, thread or descriptor is left."""
    before = Snapshot.take()
    async with World() as world:
        yield world
    await assert_no_leaks(before)
