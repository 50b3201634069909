"""What the control half lets happen to its own grants and notifications, so that faults there are real ones.

LiveKit sent each notification, signed, and each grant goes to it in the end; between it and the engine they are lost,
doubled, late or out of order, as on a bad network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from utd_core.concurrency import Clock, Closeable
from utd_core.errors import MediaError, UTDStreamException
from utd_core.media.events import Notification, NotificationKind
from utd_core.media.faults import Fault

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


@dataclass(slots=True)
class _Trouble:
    fault: Fault
    left: int
    seconds: float
    held: list[Notification] = field(default_factory=list)


class NotificationTroubles(Closeable):
    """Stands before the listeners: `hand_on` is called for what gets through."""

    def __init__(self, clock: Clock, hand_on: Callable[[Notification], None]) -> None:
        self._clock = clock
        self._hand_on = hand_on
        self._late = Errands("a late notification")
        self._due: dict[str, list[_Trouble]] = {}

    def expect(self, room: str, fault: Fault, times: int, seconds: float) -> None:
        """The next `times` notifications of the room suffer `fault`, after the faults that were asked for before."""
        self._due.setdefault(room, []).append(_Trouble(fault, times, seconds))

    def meet(self, notification: Notification) -> None:
        """A notification has come."""
        due = self._due.get(notification.room)
        if due:
            trouble = due[0]
            trouble.left -= 1
            if not trouble.left:
                due.pop(0)
            self._suffer(trouble, notification)
        else:
            self._hand_on(notification)
        if notification.kind is NotificationKind.ROOM_CLOSED:
            self._forget(notification.room)

    async def aclose(self) -> None:
        """What is late never comes. Idempotent."""
        self._due.clear()
        await self._late.finish(0.0)

    def _suffer(self, trouble: _Trouble, notification: Notification) -> None:
        match trouble.fault:
            case Fault.NOTIFICATIONS_LOST:
                pass
            case Fault.NOTIFICATIONS_DOUBLED:
                self._hand_on(notification)
                self._hand_on(notification)
            case Fault.NOTIFICATIONS_DELAYED:
                self._late.start(self._later(trouble.seconds, notification))
            case _:
                trouble.held.append(notification)
                if not trouble.left:
                    self._release(trouble)

    def _forget(self, room: str) -> None:
        """The room is gone: what a reversal still holds comes now, and nothing more is due."""
        for trouble in self._due.pop(room, ()):
            self._release(trouble)

    def _release(self, trouble: _Trouble) -> None:
        while trouble.held:
            self._hand_on(trouble.held.pop())

    async def _later(self, seconds: float, notification: Notification) -> None:
        await self._clock.sleep(seconds)
        self._hand_on(notification)
