from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """An engine and its sockets."""
    async with World() as world:
        yield world


@pytest.fixture
async def room(world: World) -> World:
    """The same, with a room that a host and ann are in."""
    await world.join("host", as_host=True)
    await world.join("ann")
    return world
