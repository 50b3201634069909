"""Faults of a database server: each is one typed error."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.postgres import Database, PostgresServer
from utd_core.errors import InvalidInput, StoreFailed, UTDStreamException
from utd_core.store import Commit, open_store
from utd_core.store.postgres import PostgresStore, link, transactions
from utd_core.store.postgres.faults import DUPLICATE, POSTGRES, explain
from utd_core.store.postgres.session import PostgresSession

from ..rows import CHANNEL, ROOM, envelopes, publish, put, state


class TestFaults:
    async def test_a_database_that_may_only_be_read(self, postgres_server: PostgresServer, own: PostgresStore) -> None:
        await put(own, state())
        head = await own.head(CHANNEL)
        postgres_server.execute(
            f"ALTER DATABASE {postgres_server.database} SET default_transaction_read_only = on", "postgres"
        )
        async with PostgresStore(postgres_server.url()) as reader:
            with pytest.raises(StoreFailed, match="may not be written now") as failed:
                await put(reader, state("other"))
            assert failed.value.details["reason"] == "25006"
            with pytest.raises(StoreFailed):
                await reader.commit(Commit(states=[(state(version=2), 1)], events=await envelopes(reader, 3)))
            assert await reader.load(ROOM, "lobby") == state()
            assert await reader.head(CHANNEL) == head
        postgres_server.execute(
            f"ALTER DATABASE {postgres_server.database} SET default_transaction_read_only = off", "postgres"
        )
        await own.commit(Commit(states=[(state(version=2), 1)]))

    async def test_a_new_database_that_may_only_be_read_is_not_opened(self, postgres_server: PostgresServer) -> None:
        name = postgres_server.database
        postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on", "postgres")
        store = PostgresStore(postgres_server.url())
        with pytest.raises(StoreFailed, match="may not be written"):
            await store.open()
        await store.aclose()

    async def test_no_such_database(self, postgres_server: PostgresServer) -> None:
        store = PostgresStore(postgres_server.url("nowhere"))
        with pytest.raises(StoreFailed, match="no such database; create it"):
            await store.open()
        await store.aclose()

    async def test_nobody_at_the_address_and_a_wrong_password_do_not_get_into_the_words(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(link, "RECONNECT", 0.0)
        store = open_store("postgresql://postgrace:secret@127.0.0.1:9/rooms")
        with pytest.raises(StoreFailed, match=r"postgresql://127.0.0.1:9/rooms failed: it cannot be reached") as failed:
            await store.open()
        assert "secret" not in str(failed.value)
        assert "postgrace" not in str(failed.value)
        await store.aclose()

    async def test_a_table_that_is_gone(self, postgres_server: PostgresServer, own: PostgresStore) -> None:
        postgres_server.execute("DROP TABLE utd_answer")
        with pytest.raises(StoreFailed, match="a table of the store is gone"):
            await own.answer("alice", "k")
        await put(own, state())

    async def test_a_schema_of_a_newer_version(self, postgres_server: PostgresServer, own: PostgresStore) -> None:
        postgres_server.execute("UPDATE utd_version SET version_num = '9999'")
        late = PostgresStore(postgres_server.url())
        with pytest.raises(StoreFailed, match=r"newer utd-core.*'9999'.*upgrade"):
            await late.open()
        await late.aclose()

    async def test_an_event_that_a_newer_version_wrote(
        self, postgres_server: PostgresServer, own: PostgresStore
    ) -> None:
        written = await publish(own)
        postgres_server.execute("UPDATE utd_event SET type = 'from_the_future'")
        with pytest.raises(StoreFailed, match=r"from_the_future.*upgrade"):
            await own.history(written[0].channel, written[0].epoch, 0, 10)

    async def test_a_deadlock_is_tried_again(self, store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
        failures = [asyncpg.DeadlockDetectedError("deadlock"), asyncpg.SerializationError("serialization")]
        write_many = PostgresSession.write_many

        async def failing(session: PostgresSession, statement: Any, rows: Any) -> int:
            if failures:
                raise failures.pop()
            return await write_many(session, statement, rows)

        monkeypatch.setattr(PostgresSession, "write_many", failing)
        await put(store, state())
        assert not failures
        failures += [asyncpg.DeadlockDetectedError("deadlock")] * 10
        with pytest.raises(StoreFailed, match="in another order; repeat"):
            await put(store, state("other"))

    async def test_a_statement_that_never_ends(self, postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(link, "COMMAND_TIMEOUT", 0.2)
        monkeypatch.setattr(transactions, "MOST_TRIES", 2)

        async def sleep(session: Any) -> None:
            await session.connection.execute("SELECT pg_sleep(20)")

        async with postgres.store() as store:
            with pytest.raises(StoreFailed, match="cannot be reached"):
                await store.driver.read(sleep)
            assert await store.load(ROOM, "lobby") is None

    def test_the_most_specific_fault_comes_first(self) -> None:
        codes = [code for code, _ in POSTGRES]
        for index, code in enumerate(codes):
            assert not any(code.startswith(earlier) for earlier in codes[:index]), f"{code} is never reached"

    @pytest.mark.parametrize("code", [*(code for code, _ in POSTGRES), DUPLICATE, "99999", ""])
    def test_every_fault_is_typed_and_has_words_of_its_own(self, code: str) -> None:
        error = asyncpg.PostgresError("as PostgreSQL says it")
        error.sqlstate = code
        explained = explain(error, "the store postgresql://db")
        assert isinstance(explained, UTDStreamException)
        assert explained.message.startswith("the store postgresql://db")
        assert explained.status_code == (409 if code == DUPLICATE else 503)

    def test_one_connection_is_not_enough(self) -> None:
        with pytest.raises(InvalidInput, match="2 connections"):
            PostgresStore("postgresql://db", connections=1)
