from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .world import GatedStore, World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """An engine with its store in memory."""
    async with World() as world:
        yield world


@pytest.fixture
async def store() -> AsyncIterator[GatedStore]:
    """A store whose commits can be held or made to fail, for `gated`."""
    store = GatedStore()
    yield store
    store.release()
    await store.aclose()


@pytest.fixture
async def gated(store: GatedStore) -> AsyncIterator[World]:
    """An engine on `store`."""
    async with World(store) as world:
        yield world
