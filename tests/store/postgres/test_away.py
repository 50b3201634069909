"""A database that goes away and comes back, and answers that are lost with it."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.postgres import PostgresServer
from utd_core.errors import Closed, StoreFailed
from utd_core.store import Commit, Remains
from utd_core.store.postgres import PostgresStore, link, transactions

from ..rows import CHANNEL, ROOM, answer, envelopes, offsets, publish, put, state
from .sessions import eventually


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
