from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Database, postgres  # noqa: F401  # a fixture
from utd_core.store import Store

from .world import GatedStore, Way, World

MakeWorld = Callable[..., Awaitable[World]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """People reach the engine in both ways, but in tests with the mark `embedded`."""
    if "way" in metafunc.fixturenames:
        is_embedded = metafunc.definition.get_closest_marker("embedded") is not None
        metafunc.parametrize("way", ["embedded"] if is_embedded else ["embedded", "remote"])


@pytest.fixture
async def world(way: Way) -> AsyncIterator[World]:
    """An engine with its store in memory."""
    async with World(way=way) as world:
        yield world


@pytest.fixture
async def world_on(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """`await world_on(kind, **settings)`: an engine with its store in memory, in a file, or on PostgreSQL."""
    async with AsyncExitStack() as stack:

        async def make(kind: str, **settings: Any) -> World:
            store: Callable[[], Store] | Path | None = None
            if kind == "postgresql":
                database: Database = request.getfixturevalue("postgres")
                store = partial(database.store, f"engine-{secrets.token_hex(6)}")
            elif kind == "file":
                store = tmp_path / "engine.db"
            return await stack.enter_async_context(World(store, **settings))

        yield make


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
