"""What PostgreSQL adds: many writers, commits that share a transaction, and a database that comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self

import asyncpg
import pytest

from tests.postgres import Database, PostgresServer
from utd_core.errors import Closed, Conflict, InvalidInput, StoreFailed, UTDStreamException
from utd_core.store import Commit, Remains, open_store
from utd_core.store import statements as sql
from utd_core.store.postgres import PostgresStore, link, transactions
from utd_core.store.postgres.driver import Postgres
from utd_core.store.postgres.faults import DUPLICATE, POSTGRES, explain
from utd_core.store.postgres.session import PostgresSession, compiled
from utd_core.testing.blocking import no_blocking_calls

from .rows import CHANNEL, ROOM, answer, assert_time_stands_still_for, envelopes, offsets, publish, put, state


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


class Lock:
    """Another session, with a row that nobody else gets until it lets go."""

    def __init__(self, url: str, project: str, key: str = "lobby") -> None:
        self._url = url
        self._row = (project, ROOM, key)

    async def __aenter__(self) -> Self:
        self._connection = await link.connect(self._url)
        await self._connection.execute("BEGIN")
        where = "WHERE project = $1 AND kind = $2 AND key = $3"
        await self._connection.execute(f"SELECT 1 FROM utd_state {where} FOR UPDATE", *self._row)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.execute("ROLLBACK")
        await self._connection.close()


async def eventually(condition: Any, what: str, patience: float = 20.0) -> None:
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.005)
    assert condition(), what


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


class TestAway:
    async def test_a_restart_is_waited_for(self, postgres_server: PostgresServer, own: PostgresStore) -> None:
        await put(own, state())
        await asyncio.to_thread(postgres_server.restart)
        assert await own.load(ROOM, "lobby") == state()
        await own.commit(Commit(states=[(state(version=2), 1)]))

    @pytest.mark.parametrize("how", ["SIGINT", "SIGQUIT"])
    async def test_a_restart_under_load_loses_nothing_that_was_acknowledged_and_applies_nothing_twice(
        self, postgres_server: PostgresServer, own: PostgresStore, how: str
    ) -> None:
        import signal

        acknowledged = dict.fromkeys(map(str, range(16)), 0)
        unknown: list[str] = []
        ended = False

        async def lane(key: str) -> None:
            while not ended:
                version = acknowledged[key]
                events = [
                    event.__class__(f"channel-{key}", own_epoch, version + 1, ROOM, key, 0.0, event.event)
                    for event in await envelopes(own, 1, f"channel-{key}")
                ]
                try:
                    await own.commit(Commit(states=[(state(key, version + 1), version)], events=events))
                except StoreFailed as failure:
                    unknown.append(failure.message)
                    continue
                acknowledged[key] += 1

        own_epoch = (await own.head("any")).epoch
        lanes = [asyncio.ensure_future(lane(key)) for key in acknowledged]
        for _ in range(3):
            await eventually(lambda: min(acknowledged.values()) >= 3, "they are at work")
            before = sum(acknowledged.values())
            await asyncio.to_thread(postgres_server.restart, getattr(signal, how))
            await eventually(lambda: sum(acknowledged.values()) > before + 100, "they go on")  # noqa: B023  # at once
        ended = True
        await asyncio.gather(*lanes)
        assert not unknown, "a restart takes less than the patience"
        for key, version in acknowledged.items():
            stored = await own.load(ROOM, key)
            assert stored is not None
            assert stored.version == version, "a Conflict would have ended the lane"
            assert offsets(await own.history(f"channel-{key}", own_epoch, 0, 10_000)) == list(range(1, version + 1))

    async def test_a_database_that_stays_away_fails_what_waits_and_then_whatever_comes_at_once(
        self, postgres_server: PostgresServer, own: PostgresStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(link, "RECONNECT", 0.3)
        await put(own, state())
        await asyncio.to_thread(postgres_server.stop)
        results = await asyncio.gather(
            own.load(ROOM, "lobby"), *(put(own, state(str(n))) for n in range(30)), return_exceptions=True
        )
        assert {type(result) for result in results} == {StoreFailed}
        assert "cannot be reached" in str(results[0])
        assert "postgres@" not in str(results[0])
        async with asyncio.timeout(0.2):
            with pytest.raises(StoreFailed):
                await own.load(ROOM, "lobby")
        await asyncio.to_thread(postgres_server.start)
        assert await own.load(ROOM, "lobby") == state()
        await put(own, state("again"))
        assert len(await own.states(ROOM)) == 2

    async def test_closing_while_it_is_away(
        self, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("utd_core.store.postgres.driver.CLOSE_PATIENCE", 0.1)
        store = PostgresStore(postgres_server.url())
        await store.open()
        await asyncio.to_thread(postgres_server.stop)
        waiting = [asyncio.ensure_future(put(store, state())), asyncio.ensure_future(store.load(ROOM, "lobby"))]
        await asyncio.sleep(0.05)
        await store.aclose()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(result) for result in results} == {Closed}

    async def test_opening_waits_for_a_database_that_starts(
        self, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await asyncio.to_thread(postgres_server.stop)
        store = PostgresStore(postgres_server.url())
        opening = asyncio.ensure_future(store.open())
        await asyncio.to_thread(postgres_server.start)
        await opening
        await store.aclose()
        await asyncio.to_thread(postgres_server.stop)
        monkeypatch.setattr(link, "RECONNECT", 0.1)
        late = PostgresStore(postgres_server.url())
        for _ in range(2):
            with pytest.raises(StoreFailed, match="cannot be reached"):
                await late.open()
        await asyncio.to_thread(postgres_server.start)
        async with late:
            await put(late, state())


class TestAnswersThatWereLost:
    """The connection breaks while COMMIT is under way."""

    @pytest.fixture
    def cut(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What happens at the next COMMITs: "before" or "after" it has reached the database."""
        plan: list[str] = []
        execute = asyncpg.Connection.execute

        async def cutting(connection: Any, query: str, *args: Any, **options: Any) -> Any:
            when = plan.pop(0) if query == "COMMIT" and plan else ""
            if when == "before":
                connection.terminate()
            result = await execute(connection, query, *args, **options)
            if when == "after":
                connection.terminate()
                raise ConnectionResetError("cut off")
            return result

        monkeypatch.setattr(asyncpg.Connection, "execute", cutting)
        return plan

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_a_commit_is_done_once(self, store: PostgresStore, cut: list[str], when: str) -> None:
        await publish(store)
        for commit in (
            Commit(events=await envelopes(store, 3)),
            Commit(states=[(state(), 0)]),
            Commit(answers=[answer()]),
            Commit(states=[(state(version=2), 1)], events=await envelopes(store, 2, after=4), answers=[answer("k2")]),
            Commit(),
        ):
            cut.append(when)
            await store.commit(commit)
            assert not cut
        assert (await store.head(CHANNEL)).offset == 6
        assert await store.load(ROOM, "lobby") == state(version=2)

    async def test_commits_that_shared_the_transaction_are_done_once(
        self, store: PostgresStore, cut: list[str]
    ) -> None:
        cut += ["before", "after"]
        await asyncio.gather(*(put(store, state(str(n))) for n in range(30)))
        assert len(await store.states(ROOM)) == 30

    async def test_pruning_and_discarding_are_simply_done_again(self, store: PostgresStore, cut: list[str]) -> None:
        await publish(store, 10, at=1.0)
        await put(store, state(ended_at=1.0))
        cut += ["before"]
        assert await store.prune(2.0, 4) == 6
        cut += ["before"]
        assert await store.discard([Remains(ROOM, "lobby", 1, None)]) == [True]

    async def test_a_transaction_that_is_still_ending_is_waited_for(
        self, store: PostgresStore, cut: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks = 0
        is_under_way = transactions._is_under_way

        async def slow(connection: Any, transaction: int) -> bool:
            nonlocal looks
            looks += 1
            return looks < 4 or await is_under_way(connection, transaction)

        monkeypatch.setattr(transactions, "_is_under_way", slow)
        cut.append("after")
        await put(store, state())
        assert looks == 4

    async def test_what_cannot_be_found_out_is_said_to_be_unknown(
        self, postgres_server: PostgresServer, own: PostgresStore, cut: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(link, "RECONNECT", 0.2)
        monkeypatch.setattr(transactions, "_is_under_way", lambda *_: asyncio.to_thread(stop_it))

        def stop_it() -> bool:
            postgres_server.stop()
            return True

        cut.append("after")
        with pytest.raises(StoreFailed, match="whether it holds is not known") as failed:
            await put(own, state())
        assert failed.value.details["unknown"]
        await asyncio.to_thread(postgres_server.start)
        assert await own.load(ROOM, "lobby") == state()

    async def test_a_number_that_a_crashed_database_does_not_know_is_not_under_way(self, store: PostgresStore) -> None:
        async def look(session: Any) -> tuple[bool, bool]:
            connection = session.connection
            return (
                await transactions._is_under_way(connection, 2**40),
                await transactions._is_under_way(connection, await connection.fetchval("SELECT txid_current()")),
            )

        assert await store.driver.read(look) == (False, False)


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


async def shown(store: PostgresStore, name: str) -> str:
    async def show(session: Any) -> str:
        value: str = await session.connection.fetchval(f"SHOW {name}")
        return value

    return await store.driver.read(show)
