"""Nothing is written by whoever held a project before: every write is under a fence, which is shut by then."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.errors import Conflict, Deposed, InvalidInput
from utd_core.store import Commit, Remains
from utd_core.store.leases import Fence, Lease, Leases
from utd_core.store.outbox import Outgoing
from utd_core.store.sql_store import SqlStore

from .rows import ROOM, publish, put, state

TTL = 60.0
"""Longer than any test takes."""


class TestFence:
    async def test_the_holder_writes_whatever_it_likes(
        self, store: SqlStore, leases: Leases, project: str, ann: str
    ) -> None:
        fence = Fence(await leases.claim(project, ann, TTL))
        async with store.scoped(project, fence=fence) as held:
            assert held.fence is fence
            await put(held, state(ended_at=1.0))
            await publish(held, 3)
            await held.prune(2.0, 1)
            assert await held.discard([Remains(ROOM, "lobby", 1)]) == [True]
        assert not fence.is_shut

    async def test_as_long_as_nobody_else_claims_a_holder_whose_time_is_over_still_writes(
        self, store: SqlStore, leases: Leases, project: str, ann: str
    ) -> None:
        """That it stops in time is its node's business; here nothing can go wrong yet."""
        fence = Fence(await leases.claim(project, ann, 0.0))
        async with store.scoped(project, fence=fence) as held:
            await put(held, state())
        assert await store.load(ROOM, "lobby") == state()

    async def test_nothing_is_written_once_another_one_holds_the_lease_and_the_fence_is_shut(
        self, store: SqlStore, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        fence = Fence(await leases.claim(project, ann, 0.0))
        async with store.scoped(project, fence=fence) as held:
            await put(held, state("ended", ended_at=1.0))
            await leases.claim(project, bob, TTL)
            for write in (
                lambda: put(held, state()),
                lambda: held.prune(9.0, 0),
                lambda: held.discard([Remains(ROOM, "ended", 1)]),
            ):
                again = Fence(fence.lease)
                async with store.scoped(project, fence=again) as held:
                    with pytest.raises(Deposed):
                        await write()
                    assert again.is_shut
            assert await store.load(ROOM, "lobby") is None
            assert await store.load(ROOM, "ended") is not None

    async def test_a_lost_lease_is_no_conflict_even_where_the_row_was_changed_too(
        self, store: SqlStore, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        """Whoever had a conflict would load and decide again; this one must not."""
        async with store.scoped(project, fence=Fence(await leases.claim(project, ann, 0.0))) as held:
            await put(held, state())
            async with store.scoped(project, fence=Fence(await leases.claim(project, bob, TTL))) as other:
                await other.commit(Commit(states=[(state(version=2), 1)]))
            with pytest.raises(Deposed):
                await held.commit(Commit(states=[(state(version=2), 1)]))

    async def test_a_commit_of_the_same_node_from_before_its_new_claim_is_refused(
        self, store: SqlStore, leases: Leases, project: str, ann: str
    ) -> None:
        first, second = [Fence(await leases.claim(project, ann, TTL)) for _ in range(2)]
        async with store.scoped(project, fence=first) as before, store.scoped(project, fence=second) as now:
            with pytest.raises(Deposed):
                await put(before, state("before"))
            await put(now, state("now"))

    async def test_once_shut_it_refuses_without_asking_the_database(
        self, store: SqlStore, leases: Leases, project: str, ann: str
    ) -> None:
        fence = Fence(await leases.claim(project, ann, TTL))
        async with store.scoped(project, fence=fence) as held:
            fence.shut("a test says so")
            with pytest.raises(Deposed, match="a test says so"):
                await put(held, state())
            assert await held.load(ROOM, "lobby") is None, "reading is no harm"

    async def test_what_was_delivered_is_noted_by_whoever_delivered_it(
        self, store: SqlStore, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        async with store.scoped(project, fence=Fence(await leases.claim(project, ann, 0.0))) as held:
            parcels = [Outgoing("shop", ROOM, "lobby", str(n), "seat_taken", 0.0, b"{}") for n in range(2)]
            await held.commit(Commit(outbox=parcels))
            (first,) = await held.outbox.claim("shop", 1.0, 2.0, 9)
            await leases.claim(project, bob, TTL)
            second = await held.outbox.delivered(first, 1.0, 2.0)
            assert second is not None
            await held.outbox.hand_back(second, 1.5)
            assert [parcel.number for parcel in await store.outbox.claim("shop", 1.5, 9.0, 9)] == [second.number]

    async def test_of_commits_that_share_a_transaction_only_those_of_a_lost_lease_fail(
        self, store: SqlStore, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        fences = {n: Fence(await leases.claim(f"{project}-{n}", ann, 0.0)) for n in range(20)}
        views = {n: store.scoped(f"{project}-{n}", fence=fence) for n, fence in fences.items()}
        await asyncio.gather(*(view.open() for view in views.values()))
        lost = {3, 4, 11}
        for n in lost:
            await leases.claim(f"{project}-{n}", bob, TTL)
        results = await asyncio.gather(*(put(view, state()) for view in views.values()), return_exceptions=True)
        for n, result in enumerate(results):
            assert isinstance(result, Deposed if n in lost else type(None)), (n, result)
            assert fences[n].is_shut == (n in lost)
            assert (await views[n].load(ROOM, "lobby") is None) == (n in lost)

    async def test_a_conflict_does_not_shut_it(self, store: SqlStore, leases: Leases, project: str, ann: str) -> None:
        fence = Fence(await leases.claim(project, ann, TTL))
        async with store.scoped(project, fence=fence) as held:
            await put(held, state())
            with pytest.raises(Conflict):
                await put(held, state())
            assert not fence.is_shut

    async def test_the_fence_of_another_project_is_refused(
        self, store: SqlStore, leases: Leases, project: str, ann: str
    ) -> None:
        fence = Fence(await leases.claim(project, ann, TTL))
        with pytest.raises(InvalidInput, match="the lease is that of"):
            store.scoped("other", fence=fence)

    async def test_a_view_without_a_fence_asks_for_no_lease(
        self, store: SqlStore, leases: Leases, project: str, ann: str
    ) -> None:
        await leases.claim(project, ann, TTL)
        assert store.fence is None
        await put(store, state())

    async def test_whose_project_was_deleted_writes_nothing_more_even_when_it_is_made_anew(
        self, store: SqlStore, leases: Leases, project: str, ann: str, bob: str
    ) -> None:
        fence = Fence(await leases.claim(project, ann, TTL))
        async with store.scoped(project, fence=fence) as held:
            await put(held, state())
            assert await store.projects.purge(project) > 0
            anew = await leases.claim(project, bob, TTL)
            assert anew.holder == bob
            assert anew.term != fence.lease.term
            with pytest.raises(Deposed):
                await put(held, state("late"))


class TestFenceItself:
    LEASE = Lease("shop", "a", 7)

    def test_it_tells_each_listener_once_and_keeps_the_first_reason(self) -> None:
        fence, told = Fence(self.LEASE), []
        fence.on_shut(lambda: told.append(1))
        fence.check()
        assert fence.error is None
        fence.shut("first")
        fence.shut("second")
        fence.on_shut(lambda: told.append(2))
        assert told == [1, 2]
        assert fence.is_shut
        with pytest.raises(Deposed, match="first"):
            fence.check()

    def test_each_refusal_is_an_error_of_its_own(self) -> None:
        fence = Fence(self.LEASE)
        fence.shut("over")
        raised = []
        for _ in range(2):
            with pytest.raises(Deposed) as caught:
                fence.check()
            raised.append(caught.value)
        assert raised[0] is not raised[1]
