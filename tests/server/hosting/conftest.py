from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.postgres import PostgresServer, _private_server, postgres_server  # noqa: F401  # fixtures
from utd_core.server.hosting.vault import VARIABLE, new_key
from utd_core.store import open_store

from .house import House
from .world import World


@pytest.fixture(params=["sqlite", "postgresql"])
async def house(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """Servers on a file of SQLite, and on a database of PostgreSQL."""
    target = str(tmp_path / "utd.db")
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        target = server.url()
    key = new_key()
    monkeypatch.setenv(VARIABLE, key)
    async with open_store(target) as store:
        house = House(target, store, key)
        async with house.bus:
            yield house
        await house.media.aclose()


@pytest.fixture(params=["memory", "postgresql"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    target = None
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        target = server.url()
    async with open_store(target) as store:
        world = World(store)
        yield world
        await world.media.aclose()
