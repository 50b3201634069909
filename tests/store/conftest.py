from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.postgres import Database, _private_server, postgres, postgres_server  # noqa: F401  # fixtures
from utd_core.store import open_store
from utd_core.store.leases import Leases
from utd_core.store.sql_store import SqlStore


@pytest.fixture(params=["memory", "file", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    """A new, open store of each kind."""
    async with store_of_kind(request, tmp_path) as opened:
        yield opened


@pytest.fixture
def leases(store: SqlStore) -> Leases:
    return store.leases()


@pytest.fixture
def project(store: SqlStore) -> str:
    return store.project


@pytest.fixture
def ann(project: str) -> str:
    """A node; its name is nobody else's in a database that tests share."""
    return f"ann of {project}"


@pytest.fixture
def bob(project: str) -> str:
    return f"bob of {project}"


def store_of_kind(request: pytest.FixtureRequest, folder: Path) -> SqlStore:
    """A new store of the kind that a test's parameter names: memory, file or postgresql."""
    if request.param == "postgresql":
        database: Database = request.getfixturevalue("postgres")
        return database.store()
    return open_store(folder / "store.db" if request.param == "file" else None)
