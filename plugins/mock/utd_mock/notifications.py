"""What the server tells the engine, like a webhook: usually at once, and with faults lost, doubled, late, reversed."""

from __future__ import annotations

import itertools
import weakref
from dataclasses import dataclass, field

from utd_core.concurrency import BoundedQueue, Overflow
from utd_core.media.events import DisconnectReason, Notification, NotificationKind, TrackInfo
from utd_core.media.faults import Fault
from utd_core.model.permission import Grant

from .agenda import Agenda

_CAPACITY = 10_000


class NotificationStream(BoundedQueue[Notification]):
    """One listener's notifications, from the moment it was made; a listener too slow loses the oldest."""

    __slots__ = ("__weakref__",)

    def __init__(self) -> None:
        super().__init__(_CAPACITY, Overflow.DROP_OLDEST)

    async def aclose(self) -> None:
        """End the stream. Idempotent."""
        self.close()


@dataclass(slots=True)
class _Disturbance:
    fault: Fault
    left: int
    seconds: float
    held: list[Notification] = field(default_factory=list)


class Notifier:
    """Numbers notifications and hands them to every listener that still exists."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._streams: weakref.WeakSet[NotificationStream] = weakref.WeakSet()
        self._numbers = itertools.count(1)
        self._disturbances: dict[str, list[_Disturbance]] = {}
        self._closed = False

    def listen(self) -> NotificationStream:
        """A new listener; one that nobody holds any more is forgotten."""
        stream = NotificationStream()
        if self._closed:
            stream.close()
        else:
            self._streams.add(stream)
        return stream

    def disturb(self, room: str, fault: Fault, times: int, seconds: float) -> None:
        """Let the next `times` notifications of the room suffer `fault`, after the disturbances asked before."""
        self._disturbances.setdefault(room, []).append(_Disturbance(fault, times, seconds))

    def notify(
        self,
        kind: NotificationKind,
        room: str,
        identity: str | None = None,
        track: TrackInfo | None = None,
        reason: DisconnectReason | None = None,
        grant: Grant | None = None,
    ) -> None:
        """Something happened in a room."""
        at = self._agenda.clock.now()
        notification = Notification(f"NT_{next(self._numbers):06}", kind, room, at, identity, track, reason, grant)
        waiting = self._disturbances.get(room)
        if not waiting:
            self._emit(notification)
            return
        disturbance = waiting[0]
        disturbance.left -= 1
        if not disturbance.left:
            waiting.pop(0)
        self._suffer(disturbance, notification)

    def forget(self, room: str) -> None:
        """The room is gone: what a reversal still holds arrives now, and no disturbance remains."""
        for disturbance in self._disturbances.pop(room, ()):
            self._emit_reversed(disturbance)

    def close(self) -> None:
        """End every stream. Idempotent."""
        self._closed = True
        for stream in list(self._streams):
            stream.close()
        self._streams.clear()
        self._disturbances.clear()

    def _suffer(self, disturbance: _Disturbance, notification: Notification) -> None:
        match disturbance.fault:
            case Fault.NOTIFICATIONS_LOST:
                return
            case Fault.NOTIFICATIONS_DOUBLED:
                self._emit(notification)
                self._emit(notification)
            case Fault.NOTIFICATIONS_DELAYED:
                self._agenda.after(disturbance.seconds, lambda: self._emit(notification))
            case _:
                disturbance.held.append(notification)
                if not disturbance.left:
                    self._emit_reversed(disturbance)

    def _emit_reversed(self, disturbance: _Disturbance) -> None:
        while disturbance.held:
            self._emit(disturbance.held.pop())

    def _emit(self, notification: Notification) -> None:
        for stream in list(self._streams):
            stream.put(notification)
