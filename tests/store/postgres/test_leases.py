"""Leases where transactions of several nodes really run beside each other, and nodes stop in the middle of one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.postgres import PostgresServer
from utd_core.errors import Deposed, StoreFailed
from utd_core.store import Commit
from utd_core.store.lease_queries import hold
from utd_core.store.leases import Fence, Lease
from utd_core.store.postgres import PostgresStore, link
from utd_core.store.postgres.store import CONNECTIONS

from ..rows import CHANNEL, ROOM, envelopes, offsets, put, state

SHOP = "shop"
TTL = 60.0
PATIENCE = 20.0


class Pause:
    """Stops transactions right behind the look at the fence, as a node that is put to sleep there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = asyncio.Event()
        self.awake = asyncio.Event()
        self.is_on = True

        async def hold_and_sleep(session: Any, terms: Any) -> None:
            await hold(session, terms)
            if self.is_on:
                self.reached.set()
                await self.awake.wait()

        monkeypatch.setattr("utd_core.store.queries.hold", hold_and_sleep)

    def end(self) -> None:
        self.is_on = False
        self.awake.set()


@pytest.fixture
async def node(postgres_server: PostgresServer) -> AsyncIterator[Callable[[], Any]]:
    """Makes open stores on one database, each with connections of its own, as nodes have them."""
    stores: list[PostgresStore] = []

    async def make() -> PostgresStore:
        store = PostgresStore(postgres_server.url(), SHOP)
        await store.open()
        stores.append(store)
        return store

    yield make
    for store in stores:
        await store.aclose()


async def held(store: PostgresStore, holder: str, ttl: float = TTL) -> tuple[Lease, Any]:
    """The lease of the project, and its store under it."""
    lease = await store.leases().claim(SHOP, holder, ttl)
    view = store.scoped(SHOP, fence=Fence(lease))
    await view.open()
    return lease, view


class TestInTheMiddleOfACommit:
    async def test_a_claim_waits_for_the_commit_and_whoever_took_over_sees_it(
        self, node: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = await node(), await node()
        _, view = await held(first, "first", 0.0)
        pause = Pause(monkeypatch)
        commit = asyncio.ensure_future(put(view, state()))
        async with asyncio.timeout(PATIENCE):
            await pause.reached.wait()
            claim = asyncio.ensure_future(second.leases().claim(SHOP, "second", TTL))
            await asyncio.sleep(0.1)
            assert not claim.done(), "it does not know yet what there is"
            pause.end()
            assert (await claim).holder == "second"
            await commit
            assert await second.load(ROOM, "lobby") == state()
            with pytest.raises(Deposed):
                await put(view, state("late"))

    async def test_a_renewal_neither_waits_for_a_commit_nor_keeps_one_waiting(
        self, node: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = await node()
        lease, view = await held(store, "first")
        pause = Pause(monkeypatch)
        commit = asyncio.ensure_future(put(view, state()))
        async with asyncio.timeout(PATIENCE):
            await pause.reached.wait()
            assert await store.leases().renew("first", TTL) == [lease]
            assert not commit.done()
            pause.end()
            await commit

    async def test_who_sleeps_in_the_middle_of_a_commit_keeps_nobody_waiting_and_writes_nothing_when_it_wakes_up(
        self, node: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(link._SETTINGS, "idle_in_transaction_session_timeout", "200ms")
        first, second = await node(), await node()
        _, view = await held(first, "first", 0.0)
        events = await envelopes(view, 1)
        pause = Pause(monkeypatch)
        commit = asyncio.ensure_future(view.commit(Commit(states=[(state(), 0)], events=events)))
        async with asyncio.timeout(PATIENCE):
            await pause.reached.wait()
            _, taken = await held(second, "second")
            pause.is_on = False
            await taken.commit(Commit(states=[(state(version=2), 0)], events=await envelopes(taken, 1)))
            pause.end()
            with pytest.raises(Deposed):
                await commit
            assert view.fence.is_shut
        assert await second.load(ROOM, "lobby") == state(version=2)
        assert offsets(await second.history(CHANNEL, events[0].epoch, 0, 9)) == [1]

    async def test_who_only_slept_for_long_with_its_lease_commits_when_it_wakes_up(
        self, node: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """PostgreSQL ended its session, and nobody took over: nothing was done yet, so it is done again."""
        monkeypatch.setitem(link._SETTINGS, "idle_in_transaction_session_timeout", "100ms")
        store = await node()
        _, view = await held(store, "first")
        pause = Pause(monkeypatch)
        commit = asyncio.ensure_future(put(view, state()))
        async with asyncio.timeout(PATIENCE):
            await pause.reached.wait()
            while await sessions_in_a_transaction(store):
                await asyncio.sleep(0.02)
            pause.end()
            await commit
        assert await store.load(ROOM, "lobby") == state()

    async def test_a_commit_that_comes_while_a_claim_is_under_way_waits_and_is_refused(self, node: Any) -> None:
        first, second = await node(), await node()
        lease, view = await held(first, "first", 0.0)
        claimer = await link.connect(second.driver._url)
        try:
            await claimer.execute("BEGIN")
            await claimer.execute(
                "UPDATE utd_lease SET term = term + 1, holder = 'second' WHERE project = $1 AND term = $2",
                SHOP,
                lease.term,
            )
            commit = asyncio.ensure_future(put(view, state()))
            await asyncio.sleep(0.1)
            assert not commit.done()
            await claimer.execute("COMMIT")
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(Deposed):
                    await commit
        finally:
            await claimer.close()
        assert await second.load(ROOM, "lobby") is None


async def sessions_in_a_transaction(store: PostgresStore) -> int:
    async def count(session: Any) -> int:
        words = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        return int(await session.connection.fetchval(words))

    return await store.driver.read(count)


class TestHaste:
    async def test_a_renewal_does_not_wait_behind_whatever_else_there_is(self, node: Any) -> None:
        store = await node()
        lease, _ = await held(store, "first")

        async def wait(session: Any) -> None:
            await session.connection.execute("SELECT pg_advisory_xact_lock_shared(1)")

        gate = await link.connect(store.driver._url)
        await gate.execute("SELECT pg_advisory_lock(1)")
        busy = [asyncio.ensure_future(store.driver.read(wait)) for _ in range(30)]
        try:
            async with asyncio.timeout(PATIENCE):
                while store.driver._lanes < CONNECTIONS:
                    await asyncio.sleep(0.005)
                assert await store.leases().renew("first", TTL) == [lease]
            assert not any(job.done() for job in busy)
        finally:
            await gate.close()
        await asyncio.gather(*busy)

    async def test_where_its_connection_is_dead_a_renewal_takes_another_one_in_time(
        self, node: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A session that is there and never answers, as behind a network that swallows packets."""
        monkeypatch.setattr(link, "URGENT_TIMEOUT", 0.3)
        store = await node()
        lease, _ = await held(store, "first")

        async def pid(session: Any) -> int:
            return int(await session.connection.fetchval("SELECT pg_backend_pid()"))

        dead = await store.driver.write(pid, urgent=True)
        os.kill(dead, signal.SIGSTOP)
        try:
            async with asyncio.timeout(3):
                assert await store.leases().renew("first", TTL) == [lease]
        finally:
            os.kill(dead, signal.SIGCONT)


class TestRestart:
    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
    async def test_under_load_of_two_holders_who_take_turns_nothing_is_lost_and_nothing_done_twice(
        self, postgres_server: PostgresServer, node: Any, how: signal.Signals
    ) -> None:
        stores = [await node() for _ in range(2)]
        acknowledged: list[tuple[int, int]] = []
        unknown = 0
        ended = False

        async def work(n: int) -> None:
            """Write the next version while the lease is one's own; give it back now and then."""
            nonlocal unknown
            store, node_id = stores[n], f"node-{n}"
            while not ended:
                lease = await store.leases().claim(SHOP, node_id, TTL)
                if lease.holder != node_id:
                    await asyncio.sleep(0.005)
                    continue
                async with store.scoped(SHOP, fence=Fence(lease)) as view:
                    for _ in range(20):
                        present = await view.load(ROOM, "lobby")
                        version = 0 if present is None else present.version
                        row = state(version=version + 1, payload=f"{lease.term}".encode())
                        try:
                            await view.commit(Commit(states=[(row, version)], events=await envelopes(view, 1)))
                        except StoreFailed:
                            unknown += 1
                            continue
                        acknowledged.append((version + 1, lease.term))
                await store.leases().release([lease])

        async def at_least(count: int) -> None:
            async with asyncio.timeout(PATIENCE):
                while len(acknowledged) < count:
                    failed = [task for task in working if task.done()]
                    assert not failed, failed
                    await asyncio.sleep(0.005)

        working = [asyncio.ensure_future(work(n)) for n in range(2)]
        await at_least(50)
        for _ in range(2):
            await asyncio.to_thread(postgres_server.restart, how)
            await at_least(len(acknowledged) + 100)
        ended = True
        await asyncio.gather(*working)
        assert not unknown, "a restart takes less than the patience"
        acknowledged.sort()
        assert [version for version, _ in acknowledged] == list(range(1, len(acknowledged) + 1))
        terms = [term for _, term in acknowledged]
        assert terms == sorted(terms)
        assert len(set(terms)) > 2, "they did take turns"
        epoch = (await stores[0].head(CHANNEL)).epoch
        assert offsets(await stores[0].history(CHANNEL, epoch, 0, 99_999)) == list(range(1, len(acknowledged) + 1))

    async def test_a_lease_outlives_it(self, postgres_server: PostgresServer, node: Any) -> None:
        store = await node()
        lease, view = await held(store, "first")
        await asyncio.to_thread(postgres_server.restart, signal.SIGQUIT)
        assert await store.leases().renew("first", TTL) == [lease]
        await put(view, state())
        assert await store.leases().claim(SHOP, "second", TTL) == lease
