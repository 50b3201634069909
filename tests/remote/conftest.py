"""A server in virtual time, and real ones on loopback sockets; all are gone afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from utd_core.testing.leaks import Snapshot, assert_no_leaks

from .server import RealWorld
from .world import RemoteWorld


@pytest.fixture
async def world() -> AsyncIterator[RemoteWorld]:
    before = Snapshot.take()
    async with RemoteWorld() as world:
        yield world
    await assert_no_leaks(before)


@pytest.fixture
async def real() -> AsyncIterator[RealWorld]:
    async with RealWorld() as real:
        yield real
