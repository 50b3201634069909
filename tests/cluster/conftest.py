from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A database, a media server and a bus, and no node yet."""
    async with World() as world:
        yield world
