"""Many writers: commits that share a transaction, and stores that meet at the same rows."""

from __future__ import annotations

import asyncio

import pytest

from tests.postgres import Database, PostgresServer
from utd_core.errors import Conflict, StoreFailed
from utd_core.store import Commit, Remains
from utd_core.store.postgres import PostgresStore, transactions

from ..rows import CHANNEL, ROOM, envelopes, offsets, publish, put, state
from .sessions import Lock, eventually, shown


class TestCommits:
    async def test_those_that_wait_share_one_transaction(
        self, postgres: Database, transactions_seen: list[int], store: PostgresStore
    ) -> None:
        await put(store, state())
        async with Lock(postgres.url, store.project):
            first = asyncio.ensure_future(store.commit(Commit(states=[(state(version=2), 1)])))
            await eventually(lambda: len(transactions_seen) == 2, "the first is under way")
            waiting = [asyncio.ensure_future(put(store, state(str(n)))) for n in range(20)]
            await asyncio.sleep(0)
        await asyncio.gather(first, *waiting)
        assert transactions_seen == [1, 1, 20]

    async def test_a_bad_one_does_not_fail_those_that_wait_with_it(self, store: PostgresStore) -> None:
        await put(store, state("7"))
        results = await asyncio.gather(*(put(store, state(str(n))) for n in range(20)), return_exceptions=True)
        assert [n for n, result in enumerate(results) if result is not None] == [7]
        assert isinstance(results[7], Conflict)
        assert len(await store.states(ROOM)) == 20

    async def test_one_that_counts_on_another_in_the_same_transaction_holds(self, store: PostgresStore) -> None:
        events = await envelopes(store, 6)
        commits = [Commit(states=[(state(version=n + 1), n)], events=[events[n]]) for n in range(6)]
        await asyncio.gather(*(store.commit(commit) for commit in commits))
        assert await store.load(ROOM, "lobby") == state(version=6)
        assert offsets(await store.history(CHANNEL, events[0].epoch, 0, 9)) == [1, 2, 3, 4, 5, 6]

    async def test_after_a_bad_one_the_events_that_counted_on_it_fail_too_and_leave_no_hole(
        self, store: PostgresStore
    ) -> None:
        await put(store, state("taken"))
        first, second, third = await envelopes(store, 3)
        results = await asyncio.gather(
            store.commit(Commit(states=[(state("free"), 0)], events=[first])),
            store.commit(Commit(states=[(state("taken"), 0)], events=[second])),
            store.commit(Commit(events=[third])),
            return_exceptions=True,
        )
        assert [type(result).__name__ for result in results] == ["NoneType", "Conflict", "Conflict"]
        assert (await store.head(CHANNEL)).offset == 1

    async def test_a_cancelled_caller_does_not_undo_its_commit_and_reads_it_afterwards(
        self, postgres: Database, store: PostgresStore
    ) -> None:
        await put(store, state())
        async with Lock(postgres.url, store.project):
            commit = asyncio.ensure_future(store.commit(Commit(states=[(state(version=2), 1)])))
            await asyncio.sleep(0.02)
            commit.cancel()
            read = asyncio.ensure_future(store.load(ROOM, "lobby"))
            with pytest.raises(asyncio.CancelledError):
                await commit
            await asyncio.sleep(0.02)
            assert not read.done(), "it must see what was begun"
        assert await read == state(version=2)

    async def test_a_cancelled_read_leaves_its_connection_usable(self, store: PostgresStore) -> None:
        for turns in range(8):
            reading = asyncio.ensure_future(store.load(ROOM, "lobby"))
            for _ in range(turns):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
        assert await store.load(ROOM, "lobby") is None

    async def test_they_are_durable_whatever_the_default_of_the_server_is(
        self, postgres_server: PostgresServer
    ) -> None:
        postgres_server.execute(f"ALTER DATABASE {postgres_server.database} SET synchronous_commit = off", "postgres")
        postgres_server.execute(
            f"ALTER DATABASE {postgres_server.database} SET default_transaction_isolation = serializable", "postgres"
        )
        async with PostgresStore(postgres_server.url()) as store:
            assert await shown(store, "synchronous_commit") == "on"
            assert await shown(store, "transaction_isolation") == "read committed"


class TestSeveralWriters:
    async def test_two_creations_of_one_key_make_one(self, store: PostgresStore, other: PostgresStore) -> None:
        for number in range(10):
            results = await asyncio.gather(
                *(put(each, state(str(number))) for each in (store, other)), return_exceptions=True
            )
            assert sorted(type(result).__name__ for result in results) == ["Conflict", "NoneType"]

    async def test_one_version_is_written_once_however_many_writers_there_are(
        self, store: PostgresStore, other: PostgresStore
    ) -> None:
        await put(store, state())

        async def raise_it(each: PostgresStore, times: int) -> int:
            lost = 0
            while times:
                present = await each.load(ROOM, "lobby")
                assert present is not None
                try:
                    events = await envelopes(each)
                    await each.commit(
                        Commit(states=[(state(version=present.version + 1), present.version)], events=events)
                    )
                    times -= 1
                except Conflict:
                    lost += 1
            return lost

        lost = await asyncio.gather(*(raise_it(each, 25) for each in (store, other) for _ in range(2)))
        assert sum(lost) > 0, "they did meet"
        present = await store.load(ROOM, "lobby")
        assert present is not None
        assert present.version == 101
        head = await other.head(CHANNEL)
        assert offsets(await other.history(CHANNEL, head.epoch, 0, 200)) == list(range(1, 101))

    async def test_transactions_over_the_same_rows_in_any_order_never_wait_for_each_other(
        self, store: PostgresStore, other: PostgresStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A deadlock would be found after a second, and cost one of them its transaction."""
        undone: list[str] = []
        monkeypatch.setattr(transactions, "UNDONE", frozenset())
        keys = [str(n) for n in range(20)]
        await put(store, *(state(key) for key in keys))

        async def write(each: PostgresStore, order: list[str], first: int) -> None:
            for version in range(first, first + 15):
                commit = Commit(states=[(state(key, version + 1), version) for key in order])
                try:
                    await each.commit(commit)
                except Conflict:
                    pass
                except StoreFailed as failure:
                    undone.append(failure.message)

        await asyncio.gather(write(store, keys, 1), write(other, keys[::-1], 1), write(other, keys[1::2] + keys, 1))
        assert not undone

    async def test_who_prunes_beside_another_one_takes_back_nothing(
        self, store: PostgresStore, other: PostgresStore
    ) -> None:
        for number in range(5):
            await publish(store, 30, f"channel-{number}", at=1.0)
        deleted = await asyncio.gather(*(each.prune(2.0, keep) for each in (store, other) for keep in (20, 10, 5)))
        assert sum(deleted) == 5 * 25
        epoch = (await store.head("channel-0")).epoch
        for number in range(5):
            assert await store.history(f"channel-{number}", epoch, 24, 99) is None
            assert offsets(await store.history(f"channel-{number}", epoch, 25, 99)) == [26, 27, 28, 29, 30]

    async def test_what_is_discarded_while_others_commit_prune_and_read_is_whole_or_gone(
        self, store: PostgresStore, other: PostgresStore
    ) -> None:
        """No hole, and no event of one epoch under the name of another."""
        ended = False

        async def discard() -> None:
            nonlocal ended
            for number in range(25):
                events = [
                    event.__class__(CHANNEL, f"epoch-{number}", n, ROOM, "lobby", 0.0, event.event)
                    for n, event in enumerate(await envelopes(store, 5), 1)
                ]
                await store.commit(Commit(states=[(state(version=1, ended_at=1.0), 0)], events=events))
                assert await store.discard([Remains(ROOM, "lobby", 1, CHANNEL)]) == [True]
            ended = True

        async def read() -> None:
            while not ended:
                head = await other.head(CHANNEL)
                found = await other.history(CHANNEL, head.epoch, 0, 9)
                if found is not None and head.offset:
                    assert offsets(found) == [1, 2, 3, 4, 5]

        async def prune() -> None:
            while not ended:
                await other.prune(-1.0, 100)

        await asyncio.gather(discard(), read(), prune())
