"""Connections: how many there are, and how they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.postgres import Database
from utd_core.errors import Closed
from utd_core.store import Commit
from utd_core.store import statements as sql
from utd_core.store.postgres import PostgresStore
from utd_core.store.postgres.driver import Postgres
from utd_core.store.postgres.session import compiled
from utd_core.testing.blocking import no_blocking_calls

from ..rows import ROOM, assert_time_stands_still_for, publish, put, state
from .sessions import Lock


class TestLife:
    async def test_at_most_so_many_connections_are_opened(self, postgres: Database) -> None:
        store = PostgresStore(postgres.url, "crowded", connections=3)
        async with store:
            seen: list[int] = []

            async def count(session: Any) -> None:
                seen.append(await session.connection.fetchval("SELECT pg_backend_pid()"))
                await session.connection.execute("SELECT pg_sleep(0.01)")

            await asyncio.gather(*(store.driver.read(count) for _ in range(20)))
            assert len(seen) == 20
            assert len(set(seen)) == 2, "and one for commits"

    async def test_a_store_that_is_used_by_one_opens_two_connections(self, postgres: Database) -> None:
        async with postgres.store() as store:
            for n in range(5):
                await put(store, state(str(n)))
                await store.load(ROOM, str(n))
            assert isinstance(store.driver, Postgres)
            assert store.driver._lanes == 2

    async def test_too_many_that_wait_are_refused(self, postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("utd_core.store.postgres.driver.MOST_WAITING", 5)
        async with postgres.store() as store:
            results = await asyncio.gather(*(put(store, state(str(n))) for n in range(20)), return_exceptions=True)
            refused = [result for result in results if result is not None]
            assert len(refused) == 15
            assert "does not keep up" in str(refused[0])

    async def test_closing_finishes_what_was_begun(self, postgres: Database, store: PostgresStore) -> None:
        await put(store, state())
        closing = postgres.store(store.project)
        await closing.open()
        async with Lock(postgres.url, store.project):
            waiting = [
                asyncio.ensure_future(closing.commit(Commit(states=[(state(version=2), 1)]))),
                asyncio.ensure_future(put(closing, state("other"))),
                asyncio.ensure_future(closing.load(ROOM, "lobby")),
            ]
            await asyncio.sleep(0.02)
            ends = [asyncio.ensure_future(closing.aclose()) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(Closed):
                await put(closing, state("too late"))
        await asyncio.gather(*waiting, *ends)
        assert await store.load(ROOM, "lobby") == state(version=2)

    async def test_opening_that_is_cancelled_leaves_nothing(self, postgres: Database) -> None:
        for turns in (0, 1, 2, 5, 10, 20, 40):
            store = postgres.store()
            opening = asyncio.ensure_future(store.open())
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            await asyncio.wait([opening])
            await store.aclose()

    async def test_closing_while_opening(self, postgres: Database) -> None:
        for turns in (1, 5, 20, 60):
            store = postgres.store()
            opening = asyncio.ensure_future(store.open())
            for _ in range(turns):
                await asyncio.sleep(0)
            await store.aclose()
            await asyncio.wait([opening])
            with pytest.raises(Closed):
                await store.load(ROOM, "lobby")

    async def test_the_event_loop_is_never_blocked(self, postgres: Database) -> None:
        with no_blocking_calls():
            async with postgres.store() as store:
                await put(store, state())
                await publish(store, 3)
                await store.load(ROOM, "lobby")
                await store.prune(0.0, 0)

    async def test_virtual_time_stands_still_while_the_database_works(self, store: PostgresStore) -> None:
        await assert_time_stands_still_for(store)

    async def test_lists_deadlines_and_ends_are_found_by_their_indexes(self, store: PostgresStore) -> None:
        async def plan(session: Any) -> str:
            found = []
            await session.connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
            for statement, values in (
                (sql.STATES_GOING_ON, {"of_kind": ROOM, "after": "", "limit": 1}),
                (sql.ENDED, {"before": 1.0, "limit": 1}),
                (sql.DUE, {"now": 1.0, "limit": 1}),
            ):
                text, ordered = compiled(statement)
                rows = await session.connection.fetch(f"EXPLAIN {text}", *ordered({**values, "of_project": "p"}))
                found.append("\n".join(row[0] for row in rows))
            return "\n".join(found)

        plans = await store.driver.read(plan)
        for index in ("utd_state_listing", "utd_state_ended", "utd_state_due"):
            assert index in plans
        assert "Sort" not in plans
