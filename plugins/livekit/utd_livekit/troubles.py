"""What the control half lets happen to its own grants and notifications, so that faults there are real ones.

LiveKit sent each notification, signed, and each grant goes to it in the end; between it and the engine they are lost,
doubled, late or out of order, as on a bad network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from utd_core.concurrency import Clock, Closeable
from utd_core.errors import MediaError, UTDStreamException

from .errands import Errands


class GrantTroubles(Closeable):
    """Grants of some participants that fail or take effect late."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._delays: dict[tuple[str, str], float] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self._late = Errands("a late grant")
        self._last: dict[tuple[str, str], asyncio.Task[None]] = {}

    def delay(self, room: str, identity: str, seconds: float) -> None:
        """Each grant of this participant takes effect that late from now on; 0 ends it."""
        if seconds:
            self._delays[room, identity] = seconds
        else:
            self._delays.pop((room, identity), None)

    def fail(self, room: str, identity: str, times: int) -> None:
        """So many more grants of this participant fail."""
        self._failures[room, identity] = self._failures.get((room, identity), 0) + times

    async def meet(self, room: str, identity: str, apply: Callable[[], Awaitable[None]]) -> None:
        """A grant is on its way: apply it, now or as late as it is. Raises `MediaError` for one that fails."""
        whose = (room, identity)
        if left := self._failures.pop(whose, 0):
            if left > 1:
                self._failures[whose] = left - 1
            raise MediaError(f"the grant of {identity!r} in room {room!r} was made to fail (fault grant_failure)")
        seconds = self._delays.get(whose)
        if seconds is None:
            await apply()
        else:
            before = self._last.get(whose)
            self._last[whose] = self._late.start(self._apply_later(seconds, apply, before))

    async def aclose(self) -> None:
        """What is late never takes effect. Idempotent."""
        await self._late.finish(0.0)

    async def _apply_later(
        self, seconds: float, apply: Callable[[], Awaitable[None]], before: asyncio.Task[None] | None
    ) -> None:
        await self._clock.sleep(seconds)
        if before is not None:
            await asyncio.wait([before])
        # Nobody waits for the answer any more; who is gone meanwhile needs no grant.
        with suppress(UTDStreamException):
            await apply()


class Lateness(Closeable):
    """What is done later."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._late = Errands("something late")

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` in so many seconds."""
        self._late.start(self._act(seconds, act))

    async def aclose(self) -> None:
        """What is late never comes. Idempotent."""
        await self._late.finish(0.0)

    async def _act(self, seconds: float, act: Callable[[], None]) -> None:
        await self._clock.sleep(seconds)
        act()
