"""What a file adds: durable, in a thread of its own, and commits that wait for the disk together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import pytest

from utd_core.errors import Closed, Conflict, StoreFailed
from utd_core.store import Commit, open_store
from utd_core.store.file import FileStore
from utd_core.store.memory import MemoryStore
from utd_core.store.sqlite import Database
from utd_core.store.worker import Worker
from utd_core.testing.blocking import no_blocking_calls

from .rows import ROOM, answer, assert_time_stands_still_for, envelopes, offsets, publish, put, state


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[FileStore]:
    async with FileStore(tmp_path / "store.db") as store:
        yield store


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many operations each call that writes was given."""
    seen: list[int] = []
    write_together = Database.write_together

    def counted(database: Database, operations: Any) -> Any:
        if operations:
            seen.append(len(operations))
        return write_together(database, operations)

    monkeypatch.setattr(Database, "write_together", counted)
    return seen


class Turnstile:
    """Stops the store's thread in an operation until it is opened."""

    def __init__(self, store: FileStore) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.task = asyncio.ensure_future(store.driver.read(self._wait))

    async def _wait(self, _: object) -> None:
        self.entered.set()
        assert self.open.wait(10)

    async def __aenter__(self) -> Self:
        assert await asyncio.to_thread(self.entered.wait, 10)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.open.set()
        await self.task


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def pragma(store: FileStore, name: str) -> Any:
    async def read(session: Any) -> Any:
        return session.connection.execute(f"PRAGMA {name}").fetchone()[0]

    return await store.driver.read(read)


async def test_commits_are_durable_when_they_return(file: FileStore) -> None:
    assert await pragma(file, "journal_mode") == "wal"
    assert await pragma(file, "synchronous") == 2, "FULL: the disk has confirmed the commit"
    assert await pragma(file, "busy_timeout") == 5000


async def test_everything_is_there_again_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_store(path) as store:
        await put(store, state(version=3, deadline=5.0))
        written = await publish(store, 3)
        await store.commit(Commit(answers=[answer()]))
        head = await store.head(written[0].channel)
    async with open_store(f"sqlite:///{path}") as store:
        assert await store.load(ROOM, "lobby") == state(version=3, deadline=5.0)
        assert await store.head(written[0].channel) == head
        assert await store.history(written[0].channel, head.epoch, 0, 9) == written
        assert await store.answer("alice", "k1") == answer()
        assert offsets(await publish(store)) == [4]


async def test_commits_that_wait_share_one_transaction(file: FileStore, transactions: list[int]) -> None:
    async with Turnstile(file):
        waiting = [asyncio.ensure_future(put(file, state(str(n)))) for n in range(20)]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert transactions == [20]


async def test_a_bad_commit_does_not_fail_those_that_wait_with_it(file: FileStore) -> None:
    await put(file, state("7"))
    async with Turnstile(file):
        waiting = [asyncio.ensure_future(put(file, state(str(n)))) for n in range(20)]
        await asyncio.sleep(0)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [n for n, result in enumerate(results) if result is not None] == [7]
    assert isinstance(results[7], Conflict)
    assert len(await file.states(ROOM)) == 20


async def test_after_a_bad_commit_the_events_that_counted_on_it_fail_too_and_leave_no_hole(file: FileStore) -> None:
    await put(file, state("taken"))
    first, second, third = await envelopes(file, 3)
    async with Turnstile(file):
        commits = (
            Commit(states=[(state("free"), 0)], events=[first]),
            Commit(states=[(state("taken"), 0)], events=[second]),
            Commit(events=[third]),
        )
        waiting = [asyncio.ensure_future(file.commit(commit)) for commit in commits]
        await asyncio.sleep(0)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["NoneType", "Conflict", "Conflict"]
    assert (await file.head(first.channel)).offset == 1


async def test_a_failure_that_is_no_error_of_the_database_fails_alone_too(file: FileStore) -> None:
    async def broken(_: object) -> None:
        raise ZeroDivisionError

    async with Turnstile(file):
        waiting = [asyncio.ensure_future(file.driver.write(broken)), asyncio.ensure_future(put(file, state()))]
        await asyncio.sleep(0)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [ZeroDivisionError, type(None)]
    assert await file.load(ROOM, "lobby") == state()


async def test_a_read_does_not_wait_for_the_commits_before_it(file: FileStore) -> None:
    async with Turnstile(file):
        commit = asyncio.ensure_future(put(file, state()))
        read = asyncio.ensure_future(file.load(ROOM, "other"))
        order: list[str] = []
        commit.add_done_callback(lambda _: order.append("commit"))
        read.add_done_callback(lambda _: order.append("read"))
        await asyncio.sleep(0)
    await asyncio.gather(commit, read)
    assert order == ["read", "commit"]


async def test_what_a_caller_committed_it_reads(file: FileStore) -> None:
    async def lane(name: str) -> None:
        for version in range(1, 30):
            await file.commit(Commit(states=[(state(name, version), version - 1)]))
            assert await file.load(ROOM, name) == state(name, version)

    await asyncio.gather(*(lane(str(n)) for n in range(10)))


async def test_a_cancelled_caller_does_not_undo_its_commit_and_reads_it_afterwards(file: FileStore) -> None:
    async with Turnstile(file):
        commit = asyncio.ensure_future(put(file, state()))
        await asyncio.sleep(0)
        commit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await commit
    assert await file.load(ROOM, "lobby") == state()


async def test_closing_finishes_what_was_begun(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = FileStore(path)
    await store.open()
    async with Turnstile(store):
        waiting = [asyncio.ensure_future(put(store, state(str(n)))) for n in range(5)]
        await asyncio.sleep(0)
        closing = [asyncio.ensure_future(store.aclose()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Closed):
            await put(store, state("too late"))
    await asyncio.gather(*waiting, *closing)
    async with open_store(path) as again:
        assert [row.key for row in await again.states(ROOM)] == list("01234")


async def test_closing_leaves_no_thread_and_one_file(tmp_path: Path) -> None:
    async with open_store(tmp_path / "store.db") as store:
        await put(store, state())
        assert any(thread.name == "store store.db" for thread in threading.enumerate())
    assert not any(thread.name == "store store.db" for thread in threading.enumerate())
    assert names_in(tmp_path) == ["store.db"]


async def test_opening_may_be_tried_again_after_it_failed(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "missing" / "store.db")
    for _ in range(2):
        with pytest.raises(StoreFailed):
            await store.open()
    (tmp_path / "missing").mkdir()
    async with store:
        await put(store, state())


async def test_opening_that_is_cancelled_leaves_no_thread(tmp_path: Path) -> None:
    for turns in range(6):
        store = FileStore(tmp_path / f"{turns}.db")
        opening = asyncio.ensure_future(store.open())
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        if not opening.cancelled():
            opening.result()
        await store.aclose()


async def test_closing_while_opening(tmp_path: Path) -> None:
    for store in (FileStore(tmp_path / "store.db"), MemoryStore()):
        opening = asyncio.ensure_future(store.open())
        await asyncio.sleep(0)
        await store.aclose()
        await asyncio.wait([opening])
        with pytest.raises(Closed):
            await store.load(ROOM, "lobby")
        assert isinstance(opening.exception(), Closed)


async def test_a_thread_that_outlives_its_loop_ends_with_the_next_result(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store.db")

    async def nothing(_: object) -> None:
        return None

    def forget_to_close() -> None:
        asyncio.run(store.open())
        assert isinstance(store.driver, Worker)
        thread = store.driver._thread
        assert thread is not None
        thread.submit(nothing, writes=False)
        thread.join(10)
        assert not thread.is_alive()

    await asyncio.to_thread(forget_to_close)


async def test_the_event_loop_is_never_blocked(tmp_path: Path) -> None:
    for target in (None, tmp_path / "store.db"):
        with no_blocking_calls():
            async with open_store(target) as store:
                await put(store, state())
                await publish(store, 3)
                await store.load(ROOM, "lobby")
                await store.prune(0.0, 0)


async def test_virtual_time_stands_still_while_the_disk_works(file: FileStore) -> None:
    await assert_time_stands_still_for(file)


async def test_an_event_that_a_newer_version_wrote_is_a_typed_error(file: FileStore) -> None:
    written = await publish(file)

    async def change(session: Any) -> None:
        session.connection.execute("UPDATE utd_event SET type = 'from_the_future'")

    await file.driver.write(change)
    with pytest.raises(StoreFailed, match=r"from_the_future.*upgrade"):
        await file.history(written[0].channel, written[0].epoch, 0, 10)
