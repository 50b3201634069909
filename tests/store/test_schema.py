"""Both ways to the tables give the same ones, and every migration goes both ways."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from utd_core.errors import StoreFailed
from utd_core.store import Head, open_store
from utd_core.store.schema import alembic_config, create_tables, revision, run_migrations
from utd_core.store.sqlite import connect_to_file
from utd_core.store.tables import SCHEMA, metadata, version

from .rows import ROOM, put, state

Schema = list[tuple[str, str, str]]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def schema_of(connection: sqlite3.Connection) -> Schema:
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    # SQLite's own tables come with the first number that counts up, and never go.
    return sorted((kind, name, " ".join(sql.split())) for kind, name, sql in rows if not name.startswith("sqlite_"))


def schema_of_file(path: Path) -> Schema:
    with closing(sqlite3.connect(path)) as connection:
        return schema_of(connection)


def test_create_and_migrate_give_the_same_schema(connection: sqlite3.Connection, tmp_path: Path) -> None:
    create_tables(connection)
    run_migrations(tmp_path / "migrated.db", SCHEMA)
    assert schema_of(connection) == schema_of_file(tmp_path / "migrated.db")
    with closing(sqlite3.connect(tmp_path / "migrated.db")) as migrated:
        assert revision(connection) == revision(migrated) == SCHEMA


def test_alembic_finds_nothing_left_to_migrate(tmp_path: Path) -> None:
    run_migrations(tmp_path / "store.db", SCHEMA)
    engine = create_engine(URL.create("sqlite", database=str(tmp_path / "store.db")), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "version_table": version.name}
        )
        declared = metadata.__class__()
        for table in metadata.tables.values():
            if table is not version:  # Alembic's own, which it leaves out of the comparison
                table.to_metadata(declared)
        assert compare_metadata(context, declared) == []


def test_the_declared_revision_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [SCHEMA]


def test_every_migration_goes_up_and_down(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    script = ScriptDirectory.from_config(alembic_config())
    revisions = ["base", *(found.revision for found in reversed(list(script.walk_revisions())))]
    schemas = {}
    for target in revisions[1:]:
        run_migrations(path, target)
        schemas[target] = schema_of_file(path)
    for target in reversed(revisions[1:-1]):
        run_migrations(path, target)
        assert schema_of_file(path) == schemas[target]
    run_migrations(path, "base")
    assert [name for kind, name, _ in schema_of_file(path) if kind == "table"] == [version.name]
    run_migrations(path, SCHEMA)
    assert schema_of_file(path) == schemas[SCHEMA]


async def test_a_file_from_before_there_was_a_retention_keeps_everything_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    run_migrations(path, "0001")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO utd_state VALUES ('room', 'lobby', 3, X'7b7d', 5.0, 0), ('call', 'c-1', 2, X'7b7d', NULL, 1)"
        )
        connection.execute("INSERT INTO utd_channel VALUES ('private-room.lobby', 2, 1)")
        connection.execute(
            "INSERT INTO utd_event VALUES"
            " ('private-room.lobby', 2, 'room', 'lobby', 1.0, 'host_returned', '{\"identity\": \"ann\"}')"
        )
        (epoch,) = connection.execute("SELECT epoch FROM utd_epoch").fetchone()
    began = time.time()
    async with open_store(path) as store:
        assert await store.load(ROOM, "lobby") == state(version=3, deadline=5.0)
        assert [row.key for row in await store.states("call")] == []
        assert await store.ended(began) == [], "kept for a whole retention from now on"
        assert await store.ended(time.time() + 1) == [("call", "c-1", 2)]
        assert await store.head("private-room.lobby") == Head(epoch, 2)
        assert [envelope.offset for envelope in await store.history("private-room.lobby", epoch, 1, 9) or ()] == [2]
    run_migrations(path, "0001")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT key, ended FROM utd_state ORDER BY key").fetchall() == [
            ("c-1", 1),
            ("lobby", 0),
        ]
        assert connection.execute("SELECT * FROM utd_channel").fetchall() == [("private-room.lobby", 2, 1)]
        assert connection.execute("SELECT epoch FROM utd_epoch").fetchone() != (epoch,)


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE utd_answer (mine TEXT)")
    before = schema_of_file(path)
    with pytest.raises(StoreFailed, match="utd_answer"):
        connect_to_file(path)
    assert schema_of_file(path) == before


async def test_an_application_may_keep_its_own_tables_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('the application''s')")
    async with open_store(path) as store:
        await put(store, state())
    async with open_store(path) as store:
        assert await store.load(ROOM, "lobby") == state()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("the application's",)]


def test_processes_that_open_a_new_file_at_once_migrate_it_once(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    program = f"from utd_core.store.sqlite import *; connect_to_file(Path({str(path)!r})).close()"
    processes = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(4)]
    said = [process.communicate(timeout=60)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    with closing(sqlite3.connect(path)) as connection:
        assert revision(connection) == SCHEMA
        assert connection.execute("SELECT project FROM utd_epoch").fetchall() == [("embedded",)]


@pytest.mark.alone
async def test_a_store_in_memory_opens_fast() -> None:
    async with open_store():
        pass  # the first one loads SQLAlchemy
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        async with open_store():
            seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.030


def loaded_by(program: str) -> set[str]:
    after = "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    ran = subprocess.run([sys.executable, "-c", program + after], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_importing_the_store_loads_no_sqlalchemy() -> None:
    assert not loaded_by("import utd_core.store, utd_core.broker") & {"sqlalchemy", "alembic", "sqlite3"}
    assert not loaded_by("from utd_core.store import open_store; open_store('x')") & {"sqlalchemy", "alembic"}


def test_a_store_in_memory_loads_no_alembic() -> None:
    program = "import asyncio; from utd_core.store import open_store; asyncio.run(open_store().open())"
    assert "alembic" not in loaded_by(program)
