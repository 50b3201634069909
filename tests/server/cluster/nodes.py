"""Nodes on one database, each with a clock, a line to the database, and a life of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from math import inf
from typing import Any, TypeVar

from utd_core.errors import StoreFailed
from utd_core.server.cluster import Reach, Tenure
from utd_core.store.leases import Fence, Lease
from utd_core.store.sql_store import SqlStore
from utd_core.testing import VirtualClock

T = TypeVar("T")


class Trouble(StrEnum):
    """What a line does with what is asked over it."""

    NONE = "none"
    CUT = "cut"
    """Nothing comes through, and the node hears so."""
    DEAF = "deaf"
    """All comes through, and no answer comes back."""
    STUCK = "stuck"
    """Nothing comes through, and the node hears nothing, until it is mended."""
    LATE = "late"
    """All comes through at once, and the answers when it is mended."""


class NodeClock:
    """A node's own clock: it begins anywhere, and has a rate of its own. While the node sleeps, nobody there wakes."""

    def __init__(self, world: VirtualClock, awake: asyncio.Event, rate: float, begin: float) -> None:
        self._world = world
        self._awake = awake
        self._rate = rate
        self._begin = begin
        self._stopped_at: float | None = None

    def now(self) -> float:
        return self._world.now() + self._begin

    def monotonic(self) -> float:
        if self._stopped_at is not None:
            return self._stopped_at
        return self._world.monotonic() * self._rate + self._begin

    async def sleep(self, seconds: float) -> None:
        await self._world.sleep(seconds / self._rate)
        await self._awake.wait()

    def stop(self) -> None:
        """Stand still, as the clock of a machine that is suspended."""
        self._stopped_at = self.monotonic()

    def go_on(self) -> None:
        """From where it stood."""
        if self._stopped_at is not None:
            behind = self._stopped_at
            self._stopped_at = None
            self._begin -= self.monotonic() - behind


class Line:
    """A node's way to the leases; `asked` is what it asked for."""

    def __init__(self, node: Node, store: SqlStore) -> None:
        self.asked: list[str] = []
        self._node = node
        self._leases = store.leases(node.world)

    async def claim(self, project: str, holder: str, ttl: float) -> Lease:
        return await self._ask("claim", lambda: self._leases.claim(project, holder, ttl))

    async def claim_last(self, project: str, holder: str, ttl: float, *, courtesy: float) -> Lease | None:
        return await self._ask("claim_last", lambda: self._leases.claim_last(project, holder, ttl, courtesy=courtesy))

    async def renew(self, holder: str, ttl: float) -> Sequence[Lease]:
        return await self._ask("renew", lambda: self._leases.renew(holder, ttl))

    async def release(self, leases: Sequence[Lease]) -> None:
        await self._ask("release", lambda: self._leases.release(leases))

    async def holder_of(self, project: str) -> Lease | None:
        return await self._ask("holder_of", lambda: self._leases.holder_of(project))

    async def want(self, lease: Lease, seconds: float) -> None:
        await self._ask("want", lambda: self._leases.want(lease, seconds))

    async def wanted_of(self, holder: str) -> Sequence[Lease]:
        return await self._ask("wanted_of", lambda: self._leases.wanted_of(holder))

    async def others_hold(self, holder: str) -> bool:
        return await self._ask("others_hold", lambda: self._leases.others_hold(holder))

    async def held_by(self, holder: str) -> Sequence[Lease]:
        return await self._ask("held_by", lambda: self._leases.held_by(holder))

    async def _ask(self, what: str, operation: Callable[[], Awaitable[T]]) -> T:
        self.asked.append(what)
        return await self._node.reach(operation)


class Node:
    """A process with a `Tenure`. `rate`: how fast its clock runs; `begin`: what it shows more than others.

    It is on the bus, unless it leaves that. What it is asked to make way for, it gives back after a moment.
    """

    def __init__(
        self, world: VirtualClock, store: SqlStore, name: str, *, rate: float = 1.0, begin: float = 0.0, **options: Any
    ) -> None:
        self.world = world
        self.name = name
        self.trouble = Trouble.NONE
        self.awake = asyncio.Event()
        self.awake.set()
        self.clock = NodeClock(world, self.awake, rate, begin)
        self.line = Line(self, store)
        self.tenure = Tenure(self.line, clock=self.clock, node=name, reach=lambda: self.bus, **options)
        self.fences: list[Fence] = []
        self.is_on_bus = True
        self.made_way: list[tuple[Lease, Reach]] = []
        self._changed_bus_at = -inf
        self._ending: dict[Fence, asyncio.Task[None]] = {}
        self._mended = asyncio.Event()

    async def __aenter__(self) -> Tenure:
        await self.tenure.open()
        return self.tenure

    async def __aexit__(self, *_: object) -> None:
        self.awake.set()
        self.mend()
        await self.tenure.aclose()

    async def reach(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Do something in the database, as far as it can be reached."""
        await self.awake.wait()
        await self._while(Trouble.STUCK)
        if self.trouble is Trouble.CUT:
            raise StoreFailed("cut off")
        deaf = self.trouble is Trouble.DEAF
        result = await operation()
        await self._while(Trouble.LATE)
        await self.awake.wait()
        if deaf:
            raise StoreFailed("there was no answer")
        return result

    async def _while(self, trouble: Trouble) -> None:
        while self.trouble is trouble:
            self._mended.clear()
            await self._mended.wait()

    def mend(self) -> None:
        self.trouble = Trouble.NONE
        self._mended.set()

    @property
    def bus(self) -> Reach:
        return Reach(self.is_on_bus, self.world.monotonic() - self._changed_bus_at)

    def leave_bus(self) -> None:
        if self.is_on_bus:
            self.is_on_bus, self._changed_bus_at = False, self.world.monotonic()

    def join_bus(self) -> None:
        if not self.is_on_bus:
            self.is_on_bus, self._changed_bus_at = True, self.world.monotonic()

    async def claim(self, project: str) -> Fence | Lease | None:
        found = await self.tenure.claim(project)
        if isinstance(found, Fence) and found not in self.fences:
            self.fences.append(found)
            self.tenure.on_wanted(found, lambda: self._make_way(found))
        return found

    def _make_way(self, fence: Fence) -> None:
        self.made_way.append((fence.lease, self.bus))
        self._ending[fence] = asyncio.ensure_future(self._end(fence))

    async def _end(self, fence: Fence) -> None:
        await self.clock.sleep(0.1)
        await self.tenure.release(fence)

    async def crash(self) -> None:
        """End as a process does that is killed: nothing is given back."""
        for ending in self._ending.values():
            ending.cancel()
        await self.tenure._scope.aclose()
