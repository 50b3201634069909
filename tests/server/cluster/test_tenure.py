"""What one node holds: claimed, kept, lost and given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from utd_core.errors import Closed, Deposed, StoreFailed
from utd_core.server.cluster import Tenure
from utd_core.server.cluster.reach import AWAY, COURTESY, SETTLED
from utd_core.server.cluster.tenure import INTERVAL, MARGIN, TTL
from utd_core.store import open_store
from utd_core.store.leases import Fence, Lease
from utd_core.store.sql_store import SqlStore
from utd_core.testing import VirtualClock

from .nodes import Node, Trouble

MakeNode = Callable[[str], Node]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    async with open_store() as store:
        yield store


@pytest.fixture
def node(clock: VirtualClock, store: SqlStore) -> MakeNode:
    return lambda name: Node(clock, store, name)


async def own(node: Node, project: str = "shop") -> Fence:
    found = await node.claim(project)
    assert isinstance(found, Fence), f"it is not: {found}"
    return found


class TestClaiming:
    async def test_what_nobody_has_is_the_nodes_for_as_long_as_it_lives(
        self, node: MakeNode, clock: VirtualClock
    ) -> None:
        ann = node("ann")
        async with ann as tenure:
            fence = await own(ann)
            assert fence.lease.holder == tenure.node == "ann"
            assert tenure.fence_of("shop") is fence
            assert dict(tenure.held) == {"shop": fence}
            await clock.advance(20 * TTL)
            assert await tenure.holder_of("shop") == fence.lease
            assert not fence.is_shut
            assert await tenure.claim("shop") is fence

    async def test_whose_it_is_otherwise(self, node: MakeNode) -> None:
        ann, bob = node("ann"), node("bob")
        async with ann, bob:
            fence = await own(ann)
            assert await bob.tenure.claim("shop") == fence.lease
            assert bob.tenure.fence_of("shop") is None
            assert await bob.tenure.holder_of("club") is None

    async def test_callers_share_one_claim(self, node: MakeNode) -> None:
        ann = node("ann")
        async with ann as tenure:
            found = await asyncio.gather(*(tenure.claim("shop") for _ in range(5)))
            assert len(set(map(id, found))) == 1
            assert ann.line.asked == ["claim"]

    async def test_a_caller_that_is_cancelled_does_not_spoil_it_for_the_others(
        self, node: MakeNode, clock: VirtualClock
    ) -> None:
        ann = node("ann")
        async with ann as tenure:
            ann.trouble = Trouble.STUCK
            first, second = (asyncio.ensure_future(tenure.claim("shop")) for _ in range(2))
            await clock.settle()
            first.cancel()
            ann.mend()
            assert isinstance(await second, Fence)

    async def test_where_the_database_fails_the_claimer_hears_it_and_may_try_again(self, node: MakeNode) -> None:
        ann = node("ann")
        async with ann as tenure:
            ann.trouble = Trouble.CUT
            with pytest.raises(StoreFailed):
                await tenure.claim("shop")
            ann.mend()
            await own(ann)

    async def test_one_whose_answer_was_lost_is_given_back_as_nobody_here_knows_of_it(
        self, node: MakeNode, clock: VirtualClock
    ) -> None:
        ann, bob = node("ann"), node("bob")
        async with ann, bob:
            ann.trouble = Trouble.DEAF
            with pytest.raises(StoreFailed):
                await ann.tenure.claim("shop")
            ann.mend()
            assert isinstance(await bob.claim("shop"), Lease)
            await clock.advance(INTERVAL)
            await own(bob)

    async def test_one_that_was_answered_when_it_may_be_over_already_is_not_taken(
        self, node: MakeNode, clock: VirtualClock
    ) -> None:
        ann, bob = node("ann"), node("bob")
        async with ann, bob:
            ann.trouble = Trouble.STUCK
            claim = asyncio.ensure_future(ann.tenure.claim("shop"))
            await clock.advance(TTL)
            ann.mend()
            with pytest.raises(StoreFailed, match="took too long"):
                await claim
            assert ann.tenure.fence_of("shop") is None
            await own(bob)

    async def test_after_the_end_of_a_node_its_claims_are_refused(self, node: MakeNode) -> None:
        tenure = node("ann").tenure
        async with tenure:
            pass
        with pytest.raises(Closed):
            await tenure.claim("shop")
        with pytest.raises(Closed):
            await tenure.open()


class TestKeeping:
    async def test_everything_is_renewed_together(self, node: MakeNode, clock: VirtualClock) -> None:
        ann = node("ann")
        async with ann:
            for n in range(20):
                await own(ann, f"shop-{n}")
            ann.line.asked.clear()
            await clock.advance(4 * INTERVAL)
            assert ann.line.asked == ["renew"] * 4
            assert len(ann.tenure.held) == 20

    async def test_one_failed_renewal_costs_nothing(self, node: MakeNode, clock: VirtualClock) -> None:
        ann = node("ann")
        async with ann:
            fence = await own(ann)
            for trouble in (Trouble.CUT, Trouble.DEAF, Trouble.STUCK, Trouble.LATE):
                ann.trouble = trouble
                await clock.advance(INTERVAL * 1.5)
                ann.mend()
                await clock.advance(INTERVAL * 2)
            assert not fence.is_shut

    @pytest.mark.parametrize("trouble", [Trouble.CUT, Trouble.DEAF, Trouble.STUCK, Trouble.LATE])
    async def test_one_that_cannot_be_renewed_is_given_up_before_anybody_else_may_have_it(
        self, node: MakeNode, clock: VirtualClock, trouble: Trouble
    ) -> None:
        ann, bob = node("ann"), node("bob")
        async with ann, bob:
            fence = await own(ann)
            ann.trouble = trouble
            await clock.advance(TTL - MARGIN - 0.01)
            assert ann.tenure.fence_of("shop") is fence
            assert isinstance(await bob.claim("shop"), Lease)
            await clock.advance(0.02)
            assert fence.is_shut
            assert ann.tenure.held == {}
            with pytest.raises(Deposed, match="could not renew"):
                fence.check()

    async def test_an_answer_that_comes_late_counts_from_before_it_was_asked_for(
        self, node: MakeNode, clock: VirtualClock
    ) -> None:
        ann = node("ann")
        async with ann:
            fence = await own(ann)
            ann.trouble = Trouble.LATE
            await clock.advance(INTERVAL + 2.9)
            ann.mend()
            await clock.settle()
            ann.trouble = Trouble.STUCK
            await clock.advance(TTL - MARGIN - 2.9 - 0.01)
            assert ann.tenure.fence_of("shop") is fence
            await clock.advance(0.02)
            assert fence.is_shut

    async def test_one_that_another_node_took_is_lost_at_the_next_renewal(
        self, node: MakeNode, clock: VirtualClock, store: SqlStore
    ) -> None:
        ann = node("ann")
        async with ann:
            lost, kept = await own(ann, "shop"), await own(ann, "club")
            await store.leases(clock).renew("ann", 0.0)
            await store.leases(clock).claim("shop", "bob", TTL)
            await clock.advance(INTERVAL)
            assert lost.is_shut
            assert not kept.is_shut
            assert dict(ann.tenure.held) == {"club": kept}
            found = await ann.claim("shop")
            assert isinstance(found, Lease)
            assert found.holder == "bob"

    async def test_a_refused_commit_is_enough_to_know(self, node: MakeNode, clock: VirtualClock) -> None:
        ann = node("ann")
        async with ann:
            first = await own(ann)
            first.shut("a commit was refused")
            assert ann.tenure.held == {}
            second = await own(ann)
            assert second.lease.term > first.lease.term
            await clock.advance(3 * TTL)
            assert not second.is_shut

    async def test_one_that_was_given_up_is_nobodys_once_the_database_answers_again(
        self, node: MakeNode, clock: VirtualClock
    ) -> None:
        ann, bob = node("ann"), node("bob")
        async with ann, bob:
            await own(ann)
            ann.trouble = Trouble.STUCK
            await clock.advance(TTL - MARGIN)
            ann.mend()
            await clock.settle()
            await own(bob)

    async def test_a_node_that_died_is_followed_after_the_time_of_its_lease_and_not_before(
        self, node: MakeNode, clock: VirtualClock
    ) -> None:
        ann, bob = node("ann"), node("bob")
        async with ann, bob:
            fence = await own(ann)
            await ann.crash()
            await clock.advance(TTL - 0.01)
            assert await bob.claim("shop") == fence.lease
            await clock.advance(0.02)
            assert (await own(bob)).lease.term > fence.lease.term

    async def test_whoever_slept_through_its_lease_knows_when_it_wakes_up(
        self, node: MakeNode, clock: VirtualClock
    ) -> None:
        ann, bob = node("ann"), node("bob")
        async with ann, bob:
            first = await own(ann)
            ann.awake.clear()
            await clock.advance(TTL)
            second = await own(bob)
            ann.awake.set()
            await clock.settle()
            assert first.is_shut
            assert not second.is_shut


class TestGivingBack:
    async def test_one_that_was_given_back_is_anybodys_at_once(self, node: MakeNode) -> None:
        ann, bob = node("ann"), node("bob")
        async with ann, bob:
            fence = await own(ann)
            await ann.tenure.release(fence)
            assert fence.is_shut
            assert ann.tenure.held == {}
            await own(bob)
            await ann.tenure.release(fence)
            assert isinstance(await ann.claim("shop"), Lease), "the second time changes nothing"

    async def test_a_node_that_ends_gives_back_everything_in_one_go(self, node: MakeNode) -> None:
        ann, bob = node("ann"), node("bob")
        async with bob:
            async with ann.tenure:
                fences = [await own(ann, f"shop-{n}") for n in range(10)]
            assert ann.line.asked[-1:] == ["release"]
            assert ann.line.asked.count("release") == 1
            assert all(fence.is_shut for fence in fences)
            for n in range(10):
                await own(bob, f"shop-{n}")
            await ann.tenure.aclose()

    async def test_a_node_that_ends_while_it_claims_gives_that_back_too(
        self, node: MakeNode, clock: VirtualClock
    ) -> None:
        ann, bob = node("ann"), node("bob")
        async with bob:
            await ann.tenure.open()
            ann.trouble = Trouble.STUCK
            claim = asyncio.ensure_future(ann.tenure.claim("shop"))
            await clock.settle()
            closing = asyncio.ensure_future(ann.tenure.aclose())
            await clock.settle()
            ann.mend()
            await asyncio.gather(claim, closing)
            await own(bob)

    async def test_where_the_database_is_away_it_ends_all_the_same(
        self, node: MakeNode, clock: VirtualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        ann, bob = node("ann"), node("bob")
        async with bob:
            async with ann.tenure:
                fence = await own(ann)
                ann.trouble = Trouble.CUT
            assert fence.is_shut
            assert "end by themselves" in caplog.text
            await clock.advance(TTL)
            await own(bob)

    async def test_a_name_is_never_given_twice(self, store: SqlStore) -> None:
        names = {Tenure(store.leases()).node for _ in range(100)}
        assert len(names) == 100


class TestMakingWay:
    async def test_what_others_want_is_given_up_once_by_a_node_that_is_off_the_bus(
        self, node: MakeNode, clock: VirtualClock
    ) -> None:
        ann, bob = node("ann"), node("bob")
        async with ann, bob:
            wanted, other = await own(ann, "shop"), await own(ann, "club")
            ann.leave_bus()
            await clock.advance(AWAY)
            assert await bob.tenure.want(wanted.lease)
            await clock.advance(INTERVAL)
            assert [lease for lease, _ in ann.made_way] == [wanted.lease]
            assert wanted.is_shut
            assert not other.is_shut
            await own(bob)

    async def test_nothing_is_given_up_by_a_node_that_can_be_asked(self, node: MakeNode, clock: VirtualClock) -> None:
        ann, bob = node("ann"), node("bob")
        async with ann, bob:
            fence = await own(ann)
            for _ in range(5):
                assert await bob.tenure.want(fence.lease)
                await clock.advance(INTERVAL)
            assert not ann.made_way
            assert not fence.is_shut

    async def test_nothing_is_wanted_by_a_node_that_is_off_the_bus_itself(
        self, node: MakeNode, clock: VirtualClock
    ) -> None:
        ann, bob = node("ann"), node("bob")
        async with ann, bob:
            fence = await own(ann)
            ann.leave_bus()
            bob.leave_bus()
            await clock.advance(AWAY + SETTLED)
            assert not await bob.tenure.want(fence.lease)
            bob.join_bus()
            assert not await bob.tenure.want(fence.lease), "a moment ago it could not ask either"
            await clock.advance(SETTLED)
            assert await bob.tenure.want(fence.lease)

    async def test_what_was_given_back_is_left_to_those_on_the_bus(self, node: MakeNode, clock: VirtualClock) -> None:
        ann, bob = node("ann"), node("bob")
        async with ann, bob:
            fence = await own(ann)
            ann.leave_bus()
            await ann.tenure.release(fence)
            assert await ann.claim("shop") is None
            await clock.advance(COURTESY - 0.1)
            assert await ann.claim("shop") is None
            await clock.advance(0.2)
            assert isinstance(await ann.claim("shop"), Fence), "nobody took it"
            await ann.tenure.release(await own(ann))
            await own(bob)


class TestBeingKeptOut:
    async def test_a_node_is_so_when_it_could_renew_nothing_for_as_long_as_a_lease_lasts(
        self, node: MakeNode, clock: VirtualClock
    ) -> None:
        ann, bob = node("ann"), node("bob")
        async with ann, bob:
            await own(bob)
            ann.trouble = Trouble.CUT
            await clock.advance(TTL - INTERVAL)
            before = ann.tenure.is_kept_out
            await clock.advance(INTERVAL + 0.1)
            assert (before, ann.tenure.is_kept_out) == (False, True)
            ann.mend()
            assert await ann.tenure.is_alone_kept_out(), "bob is not"
            await clock.advance(INTERVAL)
            assert not await ann.tenure.is_alone_kept_out()

    async def test_it_is_not_alone_in_that_where_nobody_else_holds_anything(
        self, node: MakeNode, clock: VirtualClock
    ) -> None:
        ann, bob = node("ann"), node("bob")
        async with ann, bob:
            await own(bob)
            ann.trouble = bob.trouble = Trouble.CUT
            await clock.advance(TTL + 0.1)
            ann.mend()
            assert ann.tenure.is_kept_out
            assert not await ann.tenure.is_alone_kept_out()
