"""Real servers on loopback sockets, which are gone afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .server import RealWorld


@pytest.fixture
async def real() -> AsyncIterator[RealWorld]:
    async with RealWorld() as real:
        yield real
