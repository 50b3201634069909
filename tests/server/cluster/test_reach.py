"""Nodes that lose the bus, and not the database: who works for a project then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Self

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from utd_core.concurrency import TaskScope
from utd_core.server.cluster import Reach
from utd_core.server.cluster.reach import AWAY, COURTESY, SETTLED
from utd_core.server.cluster.tenure import TTL
from utd_core.store import open_store
from utd_core.store.leases import Fence, Lease
from utd_core.testing import VirtualClock

from .nodes import Node

PROJECT = "shop"
RETRY = 0.5
HANDED_OVER = 12.0
"""Seconds after which the project is at a node on the bus, if there is one: longer than a lease that ends by itself."""

SWITCHES = st.lists(
    st.tuples(st.sampled_from([0.4, 1.5, 2.5, 4.0, 9.0]), st.integers(0, 3), st.booleans()), min_size=1, max_size=10
)
"""(seconds since the one before, whose bus; 3: everybody's; whether it is there)."""


class TestRules:
    @pytest.mark.parametrize(
        ("reach", "wants", "makes_way", "courtesy"),
        [
            pytest.param(Reach(), True, False, 0.0, id="alone"),
            pytest.param(Reach(True, SETTLED), True, False, 0.0, id="on the bus"),
            pytest.param(Reach(True, SETTLED - 0.1), False, False, 0.0, id="back a moment ago"),
            pytest.param(Reach(False, AWAY - 0.1), False, False, COURTESY, id="off a moment ago"),
            pytest.param(Reach(False, AWAY), False, True, COURTESY, id="off the bus"),
        ],
    )
    def test_say_what_a_node_may_do(self, reach: Reach, wants: bool, makes_way: bool, courtesy: float) -> None:
        assert (reach.may_want, reach.makes_way, reach.courtesy) == (wants, makes_way, courtesy)

    @given(st.booleans(), st.floats(0, 1e6))
    def test_have_nobody_want_what_it_would_make_way_for(self, is_on_bus: bool, lasting: float) -> None:
        reach = Reach(is_on_bus, lasting)
        assert not (reach.may_want and reach.makes_way)
        assert not (reach.may_want and reach.courtesy)


class Nodes:
    """Three nodes, each of which is needed for the project all the time; `held`: the leases there were, in order."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.nodes: list[Node] = []
        self.held: list[Lease] = []
        self._scope = TaskScope("seekers")
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        store = await self._stack.enter_async_context(open_store())
        for name in ("ann", "bob", "cid"):
            node = Node(self.clock, store, name)
            await self._stack.enter_async_context(node)
            self.nodes.append(node)
        await self._scope.open()
        self._stack.push_async_callback(self._scope.aclose)
        for node in self.nodes:
            self._scope.start(self._seek, node)
        await self.clock.settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _seek(self, node: Node) -> None:
        """As a `Cluster` does: claim it, ask whoever holds it, and want it where that was tried before in vain."""
        silent: Lease | None = None
        while True:
            found = await node.claim(PROJECT)
            if isinstance(found, Fence):
                if found.lease not in self.held:
                    self.held.append(found.lease)
            elif found is not None and not (node.is_on_bus and self.named(found.holder).is_on_bus):
                if found == silent:
                    await node.tenure.want(found)
                silent = found
            await self.clock.sleep(RETRY)

    def named(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    @property
    def holders(self) -> list[Node]:
        return [node for node in self.nodes if node.tenure.fence_of(PROJECT) is not None]

    def switch(self, which: int, is_there: bool) -> int:
        """Whose bus comes or goes; for how many that is something new."""
        of = self.nodes if which == len(self.nodes) else [self.nodes[which]]
        changed = [node for node in of if node.is_on_bus != is_there]
        for node in changed:
            node.join_bus() if is_there else node.leave_bus()
        return len(changed)


class TestTogether:
    @example([(9.0, 0, False)])
    @example([(9.0, 3, False)])
    @example([(9.0, 3, False), (9.0, 3, True)])
    @example([(9.0, 3, False), (9.0, 1, True), (9.0, 0, True), (0.4, 1, False)])
    @example([(9.0, 0, False), (2.5, 0, True), (0.4, 0, False), (9.0, 0, True)])
    @given(SWITCHES)
    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    def test_the_project_comes_to_rest_at_a_node_on_the_bus_and_moves_only_when_the_bus_does(
        self, switches: Sequence[tuple[float, int, bool]]
    ) -> None:
        asyncio.run(self._play(switches))

    async def _play(self, switches: Sequence[tuple[float, int, bool]]) -> None:
        async with Nodes() as nodes:
            changes = 0
            for seconds, which, is_there in switches:
                await self._pass(nodes, seconds)
                changes += nodes.switch(which, is_there)
            await self._pass(nodes, HANDED_OVER)
            assert len(nodes.held) <= 1 + changes, "it moved more often than the bus changed"
            (holder,) = nodes.holders
            assert holder.is_on_bus or not any(node.is_on_bus for node in nodes.nodes)
            terms = len(nodes.held)
            await self._pass(nodes, 3 * TTL)
            assert nodes.holders == [holder]
            assert len(nodes.held) == terms, "it goes on moving"

    async def _pass(self, nodes: Nodes, seconds: float) -> None:
        while seconds > 0:
            await nodes.clock.advance(min(seconds, 0.5))
            assert len(nodes.holders) <= 1
            seconds -= 0.5

    async def test_a_bus_that_is_away_for_all_moves_nothing_however_long(self) -> None:
        async with Nodes() as nodes:
            (holder,) = nodes.holders
            nodes.switch(3, False)
            await nodes.clock.advance(60)
            nodes.switch(3, True)
            await nodes.clock.advance(60)
            assert nodes.holders == [holder]
            assert len(nodes.held) == 1

    async def test_a_bus_that_comes_and_goes_every_second_moves_nothing(self) -> None:
        async with Nodes() as nodes:
            for turn in range(60):
                nodes.switch(0, bool(turn % 2))
                await nodes.clock.advance(1)
            assert len(nodes.held) == 1

    async def test_the_holder_that_comes_back_late_when_the_bus_was_away_for_all_keeps_it(self) -> None:
        async with Nodes() as nodes:
            (holder,) = nodes.holders
            nodes.switch(3, False)
            await nodes.clock.advance(10)
            for node in nodes.nodes:
                if node is not holder:
                    node.join_bus()
            await nodes.clock.advance(SETTLED - 0.5)
            holder.join_bus()
            await nodes.clock.advance(20)
            assert len(nodes.held) == 1

    async def test_a_holder_that_sleeps_is_followed_by_another_one_although_all_are_off_the_bus(self) -> None:
        async with Nodes() as nodes:
            (holder,) = nodes.holders
            nodes.switch(3, False)
            await nodes.clock.advance(5)
            holder.awake.clear()
            await nodes.clock.advance(TTL + COURTESY - 2)
            assert len(nodes.held) == 1
            await nodes.clock.advance(3)
            assert len(nodes.held) == 2
            holder.awake.set()
            await nodes.clock.settle()
            assert holder not in nodes.holders
