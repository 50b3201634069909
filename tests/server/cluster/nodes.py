"""Nodes on one database, each with a clock, a line to the database, and a life of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from utd_core.errors import StoreFailed
from utd_core.server.cluster import Tenure
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

    async def renew(self, holder: str, ttl: float) -> Sequence[Lease]:
        return await self._ask("renew", lambda: self._leases.renew(holder, ttl))

    async def release(self, leases: Sequence[Lease]) -> None:
        await self._ask("release", lambda: self._leases.release(leases))

    async def holder_of(self, project: str) -> Lease | None:
        return await self._ask("holder_of", lambda: self._leases.holder_of(project))

    async def held_by(self, holder: str) -> Sequence[Lease]:
        return await self._ask("held_by", lambda: self._leases.held_by(holder))

    async def _ask(self, what: str, operation: Callable[[], Awaitable[T]]) -> T:
        self.asked.append(what)
        return await self._node.reach(operation)


class Node:
    """A process with a `Tenure`. `rate`: how fast its clock runs; `begin`: what it shows more than others."""

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
        self.tenure = Tenure(self.line, clock=self.clock, node=name, **options)
        self.fences: list[Fence] = []
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

    async def claim(self, project: str) -> Fence | Lease:
        found = await self.tenure.claim(project)
        if isinstance(found, Fence) and found not in self.fences:
            self.fences.append(found)
        return found

    async def crash(self) -> None:
        """End as a process does that is killed: nothing is given back."""
        await self.tenure._scope.aclose()
