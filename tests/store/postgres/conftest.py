"""Stores on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.postgres import Database, PostgresServer
from utd_core.store.postgres import PostgresStore, transactions


@pytest.fixture
async def store(postgres: Database) -> AsyncIterator[PostgresStore]:
    async with postgres.store() as store:
        yield store


@pytest.fixture
async def other(postgres: Database, store: PostgresStore) -> AsyncIterator[PostgresStore]:
    """The same project, over connections of its own, as another node has it."""
    async with postgres.store(store.project) as other:
        yield other


@pytest.fixture
async def own(postgres_server: PostgresServer) -> AsyncIterator[PostgresStore]:
    """A store on the test's own server."""
    async with PostgresStore(postgres_server.url()) as store:
        yield store


@pytest.fixture
def transactions_seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many commits each transaction held."""
    seen: list[int] = []
    commit_together = transactions.commit_together

    async def counted(link: Any, commits: Any) -> Any:
        seen.append(len(commits))
        return await commit_together(link, commits)

    monkeypatch.setattr(transactions, "commit_together", counted)
    return seen
