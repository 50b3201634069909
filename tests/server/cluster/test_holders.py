"""Nodes that sleep, are cut off from the database or the bus, crash and take over from each other, in any order that
hypothesis can think of.

Always: nobody writes in a term once a later one was written in, and of the nodes that are awake one at most believes
that a project is its own. Whoever makes way is off the bus, for one who is on it. At the end: whatever became of the
holders, somebody else can go on.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable
from contextlib import suppress

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.store.rows import ROOM, state
from utd_core.errors import Closed, Conflict, Deposed, StoreFailed
from utd_core.server.cluster.tenure import TTL
from utd_core.store import Commit, open_store
from utd_core.store.leases import Fence, Lease
from utd_core.testing import VirtualClock

from .nodes import Node, Trouble

RATES = (0.94, 1.0, 1.06)
"""How fast the nodes' clocks run; far worse than any that is of use."""
TROUBLES = tuple(each.value for each in Trouble if each is not Trouble.NONE)
FAILURES = ("asleep", "asleep", "suspended", *TROUBLES)
"""A node that is asleep does nothing; one that is suspended cannot even know that any time has passed."""
WHICH = st.integers(0, len(RATES) - 1)
PROJECTS = st.sampled_from(["shop", "shop", "shop", "club"])


class Cluster(RuleBasedStateMachine):
    """`written`: the terms of the commits of each project, as they were acknowledged or, where the answer was lost, are
    found in the database. `wanted`: leases that a node on the bus said it wants. `dreamers` were suspended with their
    clocks, and may take longer to know that they lost."""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.names = map("node-{}".format, itertools.count())
        self.background: set[asyncio.Task[None]] = set()
        self.written: dict[str, list[int]] = {"shop": [], "club": []}
        self.dreamers: set[str] = set()
        self.wanted: set[Lease] = set()
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        self.clock = VirtualClock()
        self.store = open_store()
        await self.store.open()
        self.views = {project: self.store.scoped(project) for project in self.written}
        for view in self.views.values():
            await view.open()
        self.nodes = [await self.start(which) for which in range(len(RATES))]

    async def start(self, which: int) -> Node:
        node = Node(self.clock, self.store, next(self.names), rate=RATES[which], begin=1_000.0 * which)
        await node.tenure.open()
        return node

    def run(self, step: Awaitable[None]) -> None:
        """Take a step, as far as it comes; it may go on later."""

        async def settled() -> None:
            task = asyncio.ensure_future(step)
            self.background.add(task)
            await self.clock.settle()
            for ended in [each for each in self.background if each.done()]:
                self.background.discard(ended)
                ended.result()

        self.runner.run(settled())

    @rule(which=WHICH, project=PROJECTS)
    def claim(self, which: int, project: str) -> None:
        async def claim() -> None:
            with suppress(StoreFailed, Closed):
                await node.claim(project)

        node = self.nodes[which]
        self.run(claim())

    @rule(project=PROJECTS, back=st.sampled_from([1, 1, 2, 2, 3]))
    def commit(self, project: str, back: int) -> None:
        """In the latest term that anybody knows of, or an earlier one, by whoever had it and may not know better."""
        fences = [(fence.lease.term, node, fence) for node in self.nodes for fence in node.fences]
        of_project = sorted((each for each in fences if each[2].lease.project == project), key=lambda each: each[0])
        if len(of_project) >= back:
            _, node, fence = of_project[-back]
            self.run(self._commit(node, fence))

    @rule(project=PROJECTS, how=st.sampled_from(FAILURES))
    def take_over(self, project: str, how: str) -> None:
        """Somebody fails with something under way, and another one goes on."""
        holder = next((node for node in self.sound() if node.tenure.fence_of(project) is not None), None)
        if holder is not None:
            self.befall(self.nodes.index(holder), how)
            self.commit(project, 1)
            self.advance(5.1)
        for node in self.sound()[:1]:
            self.claim(self.nodes.index(node), project)
            self.commit(project, 1)

    @rule(which=WHICH, is_on_bus=st.booleans())
    def change_bus(self, which: int, is_on_bus: bool) -> None:
        node = self.nodes[which]
        node.join_bus() if is_on_bus else node.leave_bus()

    @rule(which=WHICH, project=PROJECTS)
    def seek(self, which: int, project: str) -> None:
        """Look for somebody who works for the project, and want it where nobody there can be asked."""

        async def seek() -> None:
            with suppress(StoreFailed, Closed):
                found = await node.claim(project)
                if isinstance(found, Lease) and not (node.is_on_bus and self.is_on_bus(found.holder)):
                    if node.bus.may_want:
                        self.wanted.add(found)
                    await node.tenure.want(found)

        node = self.nodes[which]
        self.run(seek())

    def is_on_bus(self, name: str) -> bool:
        return any(node.is_on_bus for node in self.nodes if node.name == name)

    @rule(project=PROJECTS)
    def lose_the_bus_to_others(self, project: str) -> None:
        """The holder is off the bus for long enough, and somebody on it comes."""
        holder = next((node for node in self.sound() if node.tenure.fence_of(project) is not None), None)
        if holder is None:
            return
        holder.leave_bus()
        self.advance(3.0)
        for node in self.sound():
            if node is not holder and node.is_on_bus:
                self.seek(self.nodes.index(node), project)
                self.advance(1.7)
                self.seek(self.nodes.index(node), project)
                return

    @invariant()
    def nobody_makes_way_who_was_not_asked_to_or_can_be_asked(self) -> None:
        for node in self.nodes:
            for lease, reach in node.made_way:
                assert lease in self.wanted
                assert reach.makes_way

    def sound(self) -> list[Node]:
        return [node for node in self.nodes if node.awake.is_set() and node.trouble is Trouble.NONE]

    async def _commit(self, node: Node, fence: Fence) -> None:
        project, term = fence.lease.project, fence.lease.term
        written = self.written[project]

        async def write() -> None:
            async with self.store.scoped(project, fence=fence) as view:
                present = await view.load(ROOM, "lobby")
                version = 0 if present is None else present.version
                await view.commit(Commit(states=[(state(version=version + 1, payload=b"%d" % term), version)]))
            assert not written or written[-1] <= term, "written in a term that was over"
            written.append(term)

        # Two commits of one node that woke up at once may meet.
        with suppress(StoreFailed, Conflict):
            try:
                await node.reach(write)
            except Deposed:
                assert fence.is_shut

    @rule(which=WHICH, project=PROJECTS)
    def give_back(self, which: int, project: str) -> None:
        node = self.nodes[which]
        fence = node.tenure.fence_of(project)
        if fence is None:
            return

        async def give_back() -> None:
            assert fence is not None
            await node.tenure.release(fence)
            if node.trouble is Trouble.NONE:
                found = await self.store.leases(self.clock).holder_of(project)
                assert found is None or found.term > fence.lease.term, "it is still held"

        self.run(give_back())

    @rule(which=WHICH, what=st.sampled_from([*FAILURES, "crashed"]))
    def befall(self, which: int, what: str) -> None:
        node = self.nodes[which]
        if what in TROUBLES:
            node.trouble = Trouble(what)
        elif what == "crashed":
            self.runner.run(self._crash(which))
        else:
            node.awake.clear()
        if what == "suspended":
            node.clock.stop()
            self.dreamers.add(node.name)

    async def _crash(self, which: int) -> None:
        """What the node had sent to the database still arrives there."""
        node = self.nodes[which]
        await node.crash()
        self.nodes[which] = await self.start(which)
        self._recover(node)
        await self.clock.settle()

    @rule()
    def recover(self) -> None:
        for node in self.nodes:
            self._recover(node)
        self.runner.run(self.clock.settle())

    def _recover(self, node: Node) -> None:
        node.clock.go_on()
        node.awake.set()
        node.mend()

    @rule(seconds=st.sampled_from([0.3, 1.0, 1.7, 3.0, 4.4, 5.1]))
    def advance(self, seconds: float) -> None:
        self.runner.run(self.clock.advance(seconds))
        self.runner.run(self.clock.settle())

    @precondition(lambda self: any(self.written.values()))
    @invariant()
    def what_is_stored_was_written_last(self) -> None:
        for project, terms in self.written.items():
            present = self.runner.run(self.views[project].load(ROOM, "lobby"))
            if terms:
                assert present is not None
                assert (present.version, present.payload) == (len(terms), b"%d" % terms[-1])

    @invariant()
    def one_at_most_believes_that_a_project_is_its_own(self) -> None:
        for project in self.written:
            sure = [node for node in self.nodes if node.awake.is_set() and node.name not in self.dreamers]
            believers = [node.name for node in sure if node.tenure.fence_of(project) is not None]
            assert len(believers) <= 1, believers

    @invariant()
    def what_is_held_has_an_open_fence_and_a_lease(self) -> None:
        for node in self.nodes:
            for project, fence in node.tenure.held.items():
                assert not fence.is_shut
                assert fence.lease.project == project
                assert fence.lease.holder == node.name

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self._end())
            self.runner.close()

    async def _end(self) -> None:
        for node in self.nodes:
            await node.crash()
        for task in self.background:
            if task.done():
                task.result()
            task.cancel()
        if self.background:
            await asyncio.wait(self.background)
        await self.clock.advance(TTL + 0.01)
        node = await self.start(0)
        for project in self.written:
            fence = await node.claim(project)
            assert isinstance(fence, Fence), f"still taken: {fence}"
            await self._commit(node, fence)
            assert self.written[project][-1] == fence.lease.term
            await node.tenure.release(fence)
            other: Lease = await self.store.leases(self.clock).claim(project, "the last one", TTL)
            assert other.holder == "the last one"
        await node.tenure.aclose()
        await self.store.aclose()


TestCluster = Cluster.TestCase
TestCluster.settings = settings(suppress_health_check=[HealthCheck.too_slow], max_examples=80, stateful_step_count=40)
