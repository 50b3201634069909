"""Notifications on their way to those who listen: for the control half of every backend.

Usually each is there at once. `NotificationFaults` stands before the listeners and has some of them lost, doubled, late
or reversed, as on a bad network.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

from ..concurrency import BoundedQueue, Clock, Overflow
from ..model.permission import Grant
from .events import DisconnectReason, Notification, NotificationKind, TrackInfo
from .faults import Fault

CAPACITY = 10_000
"""Notifications held for a listener. More than that are lost, as webhooks may be."""

Tell = Callable[[Notification], None]

After = Callable[[float, Callable[[], None]], object]
"""Does something in so many seconds, unless the backend is closed before."""


class NotificationStream(BoundedQueue[Notification]):
    """One listener's notifications, from the moment it was made; a listener too slow loses the oldest."""

    __slots__ = ("__weakref__",)

    def __init__(self) -> None:
        super().__init__(CAPACITY, Overflow.DROP_OLDEST)

    async def aclose(self) -> None:
        """End the stream. Idempotent."""
        self.close()


class Listeners:
    """Every listener that still exists."""

    def __init__(self) -> None:
        self._streams: weakref.WeakSet[NotificationStream] = weakref.WeakSet()
        self._closed = False

    def __len__(self) -> int:
        return len(self._streams)

    def listen(self) -> NotificationStream:
        """A new listener; one that nobody holds any more is forgotten."""
        stream = NotificationStream()
        if self._closed:
            stream.close()
        else:
            self._streams.add(stream)
        return stream

    def tell(self, notification: Notification) -> None:
        """Hand it to everybody who listens."""
        for stream in list(self._streams):
            stream.put(notification)

    def close(self) -> None:
        """End every stream. Idempotent."""
        self._closed = True
        for stream in list(self._streams):
            stream.close()
        self._streams.clear()


class Notifier:
    """Numbers and dates what happens in the rooms of a backend that has no server of its own to do it."""

    def __init__(self, clock: Clock, tell: Tell) -> None:
        self._clock = clock
        self._tell = tell
        self._numbers = itertools.count(1)

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
        number = f"NT_{next(self._numbers):06}"
        self._tell(Notification(number, kind, room, self._clock.now(), identity, track, reason, grant))


@dataclass(slots=True)
class _Disturbance:
    fault: Fault
    left: int
    seconds: float
    held: list[Notification] = field(default_factory=list)


class NotificationFaults:
    """`tell` is given what gets through; `after` has the backend do something later."""

    def __init__(self, tell: Tell, after: After) -> None:
        self._tell = tell
        self._after = after
        self._due: dict[str, list[_Disturbance]] = {}

    def expect(self, room: str, fault: Fault, times: int, seconds: float) -> None:
        """The next `times` notifications of the room suffer `fault`, after the faults that were asked for before."""
        self._due.setdefault(room, []).append(_Disturbance(fault, times, seconds))

    def meet(self, notification: Notification) -> None:
        """A notification has come. With the end of a room comes what a reversal still holds, and no fault remains."""
        due = self._due.get(notification.room)
        if due:
            disturbance = due[0]
            disturbance.left -= 1
            if not disturbance.left:
                due.pop(0)
            self._suffer(disturbance, notification)
        else:
            self._tell(notification)
        if notification.kind is NotificationKind.ROOM_CLOSED:
            for disturbance in self._due.pop(notification.room, ()):
                self._release(disturbance)

    def clear(self) -> None:
        """Nothing more is due, and what is held never comes. Idempotent."""
        self._due.clear()

    def _suffer(self, disturbance: _Disturbance, notification: Notification) -> None:
        match disturbance.fault:
            case Fault.NOTIFICATIONS_LOST:
                return
            case Fault.NOTIFICATIONS_DOUBLED:
                self._tell(notification)
                self._tell(notification)
            case Fault.NOTIFICATIONS_DELAYED:
                self._after(disturbance.seconds, lambda: self._tell(notification))
            case _:
                disturbance.held.append(notification)
                if not disturbance.left:
                    self._release(disturbance)

    def _release(self, disturbance: _Disturbance) -> None:
        while disturbance.held:
            self._tell(disturbance.held.pop())
