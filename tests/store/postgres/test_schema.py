"""The migrations on PostgreSQL: up and down, with what is in the tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy.schema import CreateIndex, CreateTable

from tests.postgres import PostgresServer
from utd_core.errors import StoreFailed
from utd_core.store import Head
from utd_core.store.postgres import PostgresStore
from utd_core.store.postgres.link import connect
from utd_core.store.postgres.schema import IS_THERE, migrate, revision
from utd_core.store.postgres.session import Connection, compiled
from utd_core.store.schema import alembic_config
from utd_core.store.tables import SCHEMA, metadata, version

from ..rows import ROOM, answer, put, state


@pytest.fixture
async def connection(postgres_server: PostgresServer) -> AsyncIterator[Connection]:
    async with connected(postgres_server) as connection:
        yield connection


@asynccontextmanager
async def connected(server: PostgresServer) -> AsyncIterator[Any]:
    connection = await connect(server.url())
    try:
        yield connection
    finally:
        await connection.close()


async def test_the_migrations_lead_to_the_declared_tables(
    postgres_server: PostgresServer, connection: Connection
) -> None:
    await migrate(connection)
    migrated = await asyncio.to_thread(postgres_server.schema_of, postgres_server.database)
    await connection.execute("CREATE SCHEMA declared; SET search_path = declared")
    for table in metadata.sorted_tables:
        await connection.execute(compiled(CreateTable(table))[0])
        for index in table.indexes:
            await connection.execute(compiled(CreateIndex(index))[0])
    await connection.execute("DROP SCHEMA public CASCADE; ALTER SCHEMA declared RENAME TO public")
    declared = await asyncio.to_thread(postgres_server.schema_of, postgres_server.database)
    assert [line for line in declared if "SCHEMA public" not in line] == migrated


async def test_every_migration_goes_up_and_down(postgres_server: PostgresServer, connection: Connection) -> None:
    script = ScriptDirectory.from_config(alembic_config())
    revisions = [found.revision for found in reversed(list(script.walk_revisions()))]
    schemas = {}
    for target in revisions:
        await migrate(connection, target)
        assert await revision(connection) == target
        schemas[target] = await asyncio.to_thread(postgres_server.schema_of, postgres_server.database)
    for target in reversed(revisions[:-1]):
        await migrate(connection, target)
        assert await asyncio.to_thread(postgres_server.schema_of, postgres_server.database) == schemas[target]
    await migrate(connection, "base")
    assert await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []
    await migrate(connection)
    assert await asyncio.to_thread(postgres_server.schema_of, postgres_server.database) == schemas[SCHEMA]


async def test_rows_from_before_there_were_projects_belong_to_the_embedded_one(
    postgres_server: PostgresServer, connection: Connection
) -> None:
    await migrate(connection, "0001")
    await connection.execute(
        """
        INSERT INTO utd_state VALUES ('room', 'lobby', 3, '{}', 5.0, false), ('call', 'c-1', 2, '{}', NULL, true);
        INSERT INTO utd_channel VALUES ('private-room.lobby', 2, 1);
        INSERT INTO utd_event VALUES
          ('private-room.lobby', 2, 'room', 'lobby', 1.0, 'host_returned', '{"identity": "ann"}');
        INSERT INTO utd_answer VALUES ('alice', 'k1', 'of k1', '1', 0.0);
        """
    )
    epoch = await connection.fetchval("SELECT epoch FROM utd_epoch")
    async with PostgresStore(postgres_server.url()) as store:
        assert await store.load(ROOM, "lobby") == state(version=3, deadline=5.0)
        assert await store.head("private-room.lobby") == Head(epoch, 2)
        assert await store.head("private-room.other") == Head(epoch, 0)
        assert [envelope.offset for envelope in await store.history("private-room.lobby", epoch, 1, 9) or ()] == [2]
        assert await store.answer("alice", "k1") == answer()
        other = store.scoped("other")
        await other.open()
        await put(other, state())
    await migrate(connection, "0001")
    rows = await connection.fetch("SELECT key, version, ended FROM utd_state ORDER BY key")
    assert [tuple(row) for row in rows] == [("c-1", 2, True), ("lobby", 3, False)], "the other project is gone"
    assert [tuple(row) for row in await connection.fetch("SELECT * FROM utd_channel")] == [("private-room.lobby", 2, 1)]


async def test_a_migration_that_fails_leaves_nothing_behind(
    postgres_server: PostgresServer, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE utd_answer (mine TEXT)")
    before = await asyncio.to_thread(postgres_server.schema_of, postgres_server.database)
    store = PostgresStore(postgres_server.url())
    with pytest.raises(StoreFailed, match="utd_answer"):
        await store.open()
    await store.aclose()
    assert await asyncio.to_thread(postgres_server.schema_of, postgres_server.database) == before


async def test_nodes_that_open_a_new_database_at_one_instant_migrate_it_once(
    postgres_server: PostgresServer, connection: Connection
) -> None:
    for _ in range(3):
        stores = [PostgresStore(postgres_server.url()) for _ in range(4)]
        try:
            await asyncio.gather(*(store.open() for store in stores))
            assert len({(await store.head("any")).epoch for store in stores}) == 1
        finally:
            await asyncio.gather(*(store.aclose() for store in stores))
        assert await revision(connection) == SCHEMA
        await migrate(connection, "base")


async def test_who_waits_with_an_open_transaction_sees_a_table_that_was_made_meanwhile(
    postgres_server: PostgresServer, connection: Connection
) -> None:
    async with connected(postgres_server) as waiting:
        assert await revision(waiting) is None
        async with waiting.transaction():
            await waiting.execute("SELECT 1")
            # No more than this: so many changes as a migration makes, the database tells a session of its own accord.
            await connection.execute(compiled(CreateTable(version))[0])
            assert await waiting.fetchval(IS_THERE, version.name)


async def test_a_schema_of_the_application_s_choice(postgres_server: PostgresServer, connection: Connection) -> None:
    await connection.execute("CREATE SCHEMA rtc; CREATE TABLE alembic_version (version_num TEXT)")
    async with PostgresStore(f"{postgres_server.url()}&search_path=rtc") as store:
        await put(store, state())
    tables = await connection.fetch("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE 'utd%'")
    assert [row[0] for row in tables] == ["rtc"]
    assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 0


async def test_names_are_in_one_order_on_every_database(postgres_server: PostgresServer) -> None:
    keys = ["B", "a", "b", "Z", "ä", "é", "_", "-", "😀", "字"]
    async with PostgresStore(postgres_server.url()) as store:
        await put(store, *(state(key) for key in keys))
        listed = [row.key for row in await store.states(ROOM)]
    assert listed == sorted(keys, key=str.encode)
