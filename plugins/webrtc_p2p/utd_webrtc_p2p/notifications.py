"""What the control half tells the engine, as it happens."""

from __future__ import annotations

import itertools
import weakref

from utd_core.concurrency import BoundedQueue, Clock, Overflow
from utd_core.media.events import DisconnectReason, Notification, NotificationKind, TrackInfo
from utd_core.model.permission import Grant

_CAPACITY = 10_000


class NotificationStream(BoundedQueue[Notification]):
    """One listener's notifications, from the moment it was made; a listener too slow loses the oldest."""

    __slots__ = ("__weakref__",)

    def __init__(self) -> None:
        super().__init__(_CAPACITY, Overflow.DROP_OLDEST)


class Notifier:
    """Numbers notifications and hands them to every listener that still exists."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._streams: weakref.WeakSet[NotificationStream] = weakref.WeakSet()
        self._numbers = itertools.count(1)
        self._closed = False

    def listen(self) -> NotificationStream:
        """A new listener; one that nobody holds any more is forgotten."""
        stream = NotificationStream()
        if self._closed:
            stream.close()
        else:
            self._streams.add(stream)
        return stream

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
        notification = Notification(number, kind, room, self._clock.now(), identity, track, reason, grant)
        for stream in list(self._streams):
            stream.put(notification)

    def close(self) -> None:
        """End every stream. Idempotent."""
        self._closed = True
        for stream in list(self._streams):
            stream.close()
        self._streams.clear()
