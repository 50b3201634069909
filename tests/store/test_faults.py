"""Real faults of a database: each is one typed error that says what to do, and nothing is half written."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from utd_core.errors import StoreFailed
from utd_core.store import Commit, open_store
from utd_core.store.faults import DUPLICATE, SQLITE, explain
from utd_core.store.file import FileStore
from utd_core.store.sql_store import SqlStore

from .rows import CHANNEL, ROOM, envelopes, put, state

NOBODY = 65534


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder, and no right to write anything that is made read-only in it; the superuser may write everything."""
    folder = Path(tempfile.mkdtemp(prefix="utd-faults-"))
    folder.chmod(0o755)
    is_root = os.geteuid() == 0
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


def make_read_only(path: Path) -> None:
    path.chmod(0o444)
    path.parent.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)


@contextmanager
def held_by_another_process(path: Path) -> Iterator[None]:
    program = (
        f"import sqlite3, sys; c = sqlite3.connect({str(path)!r}, isolation_level=None); c.execute('BEGIN IMMEDIATE');"
        "print('locked', flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        try:
            assert other.stdout.readline() == b"locked\n"
            yield
        finally:
            other.stdin.close()


async def filled(path: Path) -> None:
    async with open_store(path) as store:
        await put(store, state())


async def fails_to_open(path: Path, words: str) -> StoreFailed:
    store = open_store(path)
    with pytest.raises(StoreFailed, match=words) as failed:
        await store.open()
    await store.aclose()
    return failed.value


async def test_a_missing_folder(tmp_path: Path) -> None:
    failure = await fails_to_open(tmp_path / "missing" / "store.db", "check that the folder exists")
    assert failure.details["reason"] == "SQLITE_CANTOPEN"
    assert not (tmp_path / "missing").exists()


async def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    await fails_to_open(tmp_path, "cannot be opened")


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary, " * 500)
    await fails_to_open(path, "not a SQLite database")
    assert path.read_text() == "Dear diary, " * 500


async def test_a_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_store(path) as store:
        await put(store, *(state(str(n), payload=b"x" * 2_000) for n in range(100)))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * (path.stat().st_size - 4096))
    with pytest.raises(StoreFailed, match=r"damaged.*backup"):
        async with open_store(path) as store:
            await store.states(ROOM)


async def test_a_read_only_file(unprivileged: Path) -> None:
    path = unprivileged / "store.db"
    await filled(path)
    make_read_only(path)
    failure = await fails_to_open(path, "check the permissions of the file")
    assert failure.details["reason"].startswith("SQLITE_READONLY")


async def test_a_file_that_becomes_read_only_while_it_is_open(tmp_path: Path) -> None:
    async with FileStore(tmp_path / "store.db") as store:
        await execute(store, "PRAGMA query_only = ON")
        with pytest.raises(StoreFailed, match="may not be written") as failed:
            await put(store, state())
        assert failed.value.details["reason"] == "SQLITE_READONLY"
        assert await store.load(ROOM, "lobby") is None
        await execute(store, "PRAGMA query_only = OFF")
        await put(store, state())


async def test_a_full_disk_fails_what_does_not_fit_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with FileStore(path) as store:
        await put(store, state("small"))
        (pages,) = await execute(store, "PRAGMA page_count")
        await execute(store, f"PRAGMA max_page_count = {pages + 4}")
        head = await store.head(CHANNEL)
        commit = Commit(states=[(state("large", payload=b"x" * 200_000), 0)], events=await envelopes(store, 3))
        with pytest.raises(StoreFailed, match="disk is full; free some space"):
            await store.commit(commit)
        assert await store.load(ROOM, "large") is None
        assert await store.head(CHANNEL) == head
        # A commit that waits together with one that does not fit is not dragged down.
        results = await asyncio.gather(
            *(store.commit(each) for each in (commit, Commit(states=[(state("small", 2), 1)]), commit)),
            return_exceptions=True,
        )
        assert [type(result).__name__ for result in results] == ["StoreFailed", "NoneType", "StoreFailed"]
        await execute(store, "PRAGMA max_page_count = 1000000")
        await store.commit(commit)
    async with open_store(path) as store:
        assert await store.load(ROOM, "small") == state("small", 2)
        assert (await store.head(CHANNEL)).offset == 3


async def test_a_file_that_another_process_holds_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utd_core.store.sqlite.BUSY_TIMEOUT", 0.05)
    path = tmp_path / "store.db"
    await filled(path)
    async with FileStore(path) as store:
        with held_by_another_process(path):
            assert await store.load(ROOM, "lobby") == state(), "reading goes on"
            results = await asyncio.gather(*(put(store, state(str(n))) for n in range(8)), return_exceptions=True)
        assert {type(result) for result in results} == {StoreFailed}
        assert "another process holds it locked" in str(results[0])
        await put(store, state("free again"))
        assert len(await store.states(ROOM)) == 2


async def test_a_schema_of_a_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await filled(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE utd_version SET version_num = '9999'")
    before = path.read_bytes()
    await fails_to_open(path, "newer utd-core.*'9999'.*upgrade")
    assert path.read_bytes() == before


async def test_tables_that_vanish_while_the_store_is_open(tmp_path: Path) -> None:
    async with FileStore(tmp_path / "store.db") as store:
        await execute(store, "DROP TABLE utd_answer")
        with pytest.raises(StoreFailed, match="no such table"):
            await store.answer("alice", "k")
        await put(store, state())


def test_the_most_specific_fault_comes_first() -> None:
    names = [name for name, _ in SQLITE]
    for index, name in enumerate(names):
        assert not any(name.startswith(earlier) for earlier in names[:index]), f"{name} is never reached"


@pytest.mark.parametrize("name", [*(name for name, _ in SQLITE), *DUPLICATE, "SQLITE_ERROR", "SQLITE_MISUSE"])
def test_every_fault_has_words_of_its_own(name: str) -> None:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorname = name
    explained = explain(error, "the store 'rooms.db'")
    assert explained.message.startswith("the store 'rooms.db'")
    assert explained.details["reason"] == name
    assert explained.status_code in (409, 503)


async def execute(store: SqlStore, sql: str) -> Any:
    async def run(session: Any) -> Any:
        return session.connection.execute(sql).fetchone()

    return await store.driver.read(run)
