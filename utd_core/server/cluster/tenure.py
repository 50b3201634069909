"""What one node holds: projects are claimed, kept for as long as the node answers for them, and given back.

- One task renews everything that the node holds, with one statement. It runs on the node's clock, and so does the time
  at which a lease counts as lost: `ttl` after the last renewal that was answered, counted from before it was sent, less
  a margin. The database counts from later on, so the node has stopped before anybody else may begin.
- A lease that is lost shuts its fence: nothing that is written under it is let through any more, and the engine behind
  it closes itself. Nobody has to look for that.
- What is the node's in the database and nobody here knows of (a claim whose answer was lost, say) is given back.
- While the others cannot ask this node, it leaves to them what is free, and whoever works under a lease that one of
  them wants is told to end (`reach.py`).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Self

from ...concurrency import Clock, SystemClock, TaskScope
from ...concurrency.alarm import TICK, Alarm
from ...concurrency.closing import Closeable
from ...concurrency.shared import begin
from ...errors import Closed, StoreFailed, UTDStreamException
from ...store.leases import Fence, Lease, Leases
from .reach import Reach

log = logging.getLogger("utd_core.server")

TTL = 5.0
"""Seconds that a project waits for its holder before another one may take over."""
INTERVAL = 1.5
"""Seconds between two renewals, so that one may fail."""
MARGIN = 0.5
"""Seconds before the end of a lease at which it counts as lost: time to stop, and for clocks that do not run alike."""
_PAUSE = 0.25
"""Seconds until a renewal that failed is tried again."""
_LOOK = 0.5
"""Seconds between two renewals while others may want something."""


@dataclass(slots=True)
class _Held:
    """`until`: when it is lost, on the node's monotonic clock. `make_way`: ends the work that is done under it."""

    fence: Fence
    until: float
    make_way: Callable[[], None] | None = None


class Tenure(Closeable):
    """The leases of one node, open inside `async with`.

    `node` names this process, and no other one ever: by default it is random. All waits are on `clock`. `reach`: how
    the other nodes can be reached at the moment, and reach this one.
    """

    def __init__(
        self,
        leases: Leases,
        *,
        clock: Clock | None = None,
        node: str | None = None,
        ttl: float = TTL,
        interval: float = INTERVAL,
        margin: float = MARGIN,
        reach: Callable[[], Reach] = Reach,
    ) -> None:
        self.node = node or secrets.token_hex(8)
        self._leases = leases
        self._clock = clock or SystemClock()
        self._ttl = ttl
        self._interval = interval
        self._margin = margin
        self._reach = reach
        self._scope = TaskScope("tenure")
        self._held: dict[str, _Held] = {}
        self._claiming: dict[str, asyncio.Future[Fence | Lease | None]] = {}
        self._alarm = Alarm(self._clock, self._clock.monotonic)
        self._keeps = False
        self._answered_at = self._clock.monotonic()
        self._closed = False

    @property
    def held(self) -> Mapping[str, Fence]:
        """What the node holds now, by project. No fence in it is shut."""
        return {project: held.fence for project, held in self._held.items()}

    def fence_of(self, project: str) -> Fence | None:
        """The fence of a project that the node holds; None where it does not."""
        held = self._held.get(project)
        return None if held is None else held.fence

    async def open(self) -> None:
        """Begin to keep what will be claimed. Idempotent. Raises `Closed` after `aclose`."""
        self._check_open()
        await self._scope.open()
        if not self._keeps:
            self._keeps = True
            self._answered_at = self._clock.monotonic()
            self._scope.start(self._keep, name="renewals")
            self._scope.start(self._give_up, name="ends")

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def aclose(self) -> None:
        """Give everything back, at once; whatever is still written under it is refused. So close the engines before.

        Idempotent. Where the database cannot be reached, the leases end by themselves.
        """
        self._closed = True
        if self._claiming:
            # What is being claimed is given back too. In real time, as a database takes its own; and for no longer than
            # a lease would last.
            await asyncio.wait(list(self._claiming.values()), timeout=self._ttl)
        await self._scope.aclose()
        await self._give_back([self._let_go(held.fence, "it ends") for held in list(self._held.values())])

    async def claim(self, project: str) -> Fence | Lease | None:
        """A fence, if the project is this node's: as it is already, or from now on, as it was nobody's. Else whose it
        is; None: nobody's, and the others come first, as they cannot ask this node.

        The fence is the node's until it is shut (`Fence.on_shut` tells), by `release` or by time. Callers who claim one
        project at the same time share one claim. Raises `StoreFailed` and `Closed`.
        """
        self._check_open()
        if (held := self._held.get(project)) is not None:
            return held.fence
        claiming = self._claiming.get(project)
        if claiming is None:
            claiming = self._claiming[project] = begin(self._scope, partial(self._claim, project), name="claim")
        return await asyncio.shield(claiming)

    async def holder_of(self, project: str) -> Lease | None:
        """Whose a project is, in the database; None where it is nobody's. Claims nothing. Raises `StoreFailed`."""
        self._check_open()
        return await self._leases.holder_of(project)

    @property
    def is_kept_out(self) -> bool:
        """Whether for as long as a lease lasts nothing could be renewed, so that this node can hold nothing."""
        return self._clock.monotonic() - self._answered_at > self._ttl

    async def is_alone_kept_out(self) -> bool:
        """Whether it is, and another node is not. Raises `StoreFailed`."""
        return self.is_kept_out and await self._leases.others_hold(self.node)

    def on_wanted(self, fence: Fence, make_way: Callable[[], None]) -> None:
        """Have `make_way` called, once, when others cannot ask this node, and want what it holds. It must not wait, nor
        raise."""
        held = self._held.get(fence.lease.project)
        if held is not None and held.fence is fence:
            held.make_way = make_way

    async def want(self, lease: Lease) -> bool:
        """Have the holder of a lease know that it cannot be asked, and should make way if that is its own fault. False,
        and nothing is done, where it may be this node's. Raises `StoreFailed`."""
        self._check_open()
        if not self._reach().may_want:
            return False
        await self._leases.want(lease, self._ttl)
        return True

    async def release(self, fence: Fence) -> None:
        """Give a project back, when its engine is closed: anybody may claim it at once. The fence is shut.

        Idempotent, and fine for one that was lost. Where the database cannot be reached, the lease ends by itself.
        """
        await self._give_back([self._let_go(fence, "it gave it back")])

    async def _claim(self, project: str) -> Fence | Lease | None:
        try:
            return await self._attempt(project)
        finally:
            del self._claiming[project]

    async def _attempt(self, project: str) -> Fence | Lease | None:
        sent = self._clock.monotonic()
        lease: Lease | None
        if courtesy := self._reach().courtesy:
            lease = await self._leases.claim_last(project, self.node, self._ttl, courtesy=courtesy)
        else:
            lease = await self._leases.claim(project, self.node, self._ttl)
        if lease is None or lease.holder != self.node:
            return lease
        until = self._lost_at(sent)
        if self._clock.monotonic() >= until:
            await self._give_back([lease])
            raise StoreFailed(f"the database took too long to lease project {project!r}; try again in a moment")
        fence = Fence(lease)
        self._held[project] = _Held(fence, until)
        # A commit that was refused knows before the next renewal does.
        fence.on_shut(lambda: self._forget(fence))
        self._alarm.set(until)
        return fence

    async def _keep(self) -> None:
        is_troubled = False
        while True:
            await self._clock.sleep(_PAUSE if is_troubled else self._pause())
            try:
                await self._renew()
                await self._make_way()
            except UTDStreamException as error:
                if not is_troubled:
                    log.warning("the leases of this node could not be renewed; it is tried again: %s", error)
                is_troubled = True
            else:
                is_troubled = False

    async def _renew(self) -> None:
        """Renew everything, and find out what is not this node's any more. Raises `StoreFailed` and `Closed`."""
        asked = dict(self._held)
        sent = self._clock.monotonic()
        renewed = {lease.project: lease for lease in await self._leases.renew(self.node, self._ttl)}
        self._answered_at = sent
        for project, held in asked.items():
            if self._held.get(project) is not held:
                continue
            if renewed.get(project) == held.fence.lease:
                held.until = self._lost_at(sent)
            else:
                held.fence.shut("another node took it over")
        await self._give_back([lease for project, lease in renewed.items() if self._is_unknown(project)])

    def _pause(self) -> float:
        """Seconds until the next renewal."""
        return self._interval if self._reach().is_on_bus else min(self._interval, _LOOK)

    async def _make_way(self) -> None:
        """Have the work for what others want end, where this node is the one that cannot be asked. Raises as `_renew`
        does."""
        if not self._held or not self._reach().makes_way:
            return
        for lease in await self._leases.wanted_of(self.node):
            held = self._held.get(lease.project)
            if held is not None and held.fence.lease == lease and held.make_way is not None:
                log.warning("the others cannot ask this node, and want project %s, which it gives back", lease.project)
                make_way, held.make_way = held.make_way, None
                make_way()

    def _is_unknown(self, project: str) -> bool:
        return project not in self._held and project not in self._claiming

    async def _give_up(self) -> None:
        """Shut the fences of leases that were not renewed in time."""
        while True:
            self._alarm.set(min((held.until for held in self._held.values()), default=inf))
            await self._alarm.wait()
            now = self._clock.monotonic() + TICK
            for held in [held for held in self._held.values() if held.until <= now]:
                log.warning("project %s was not renewed in time, and is given up", held.fence.lease.project)
                held.fence.shut("it could not renew its lease in time")

    def _lost_at(self, sent: float) -> float:
        return sent + self._ttl - self._margin

    def _let_go(self, fence: Fence, reason: str) -> Lease:
        fence.shut(reason)
        return fence.lease

    def _forget(self, fence: Fence) -> None:
        held = self._held.get(fence.lease.project)
        if held is not None and held.fence is fence:
            del self._held[fence.lease.project]

    async def _give_back(self, leases: Sequence[Lease]) -> None:
        if not leases:
            return
        try:
            await self._leases.release(leases)
        except UTDStreamException as error:
            projects = ", ".join(lease.project for lease in leases)
            log.warning("the leases of %s could not be given back, and end by themselves: %s", projects, error)

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the node was closed")
