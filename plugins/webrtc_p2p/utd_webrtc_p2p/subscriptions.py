"""Remote tracks on their way to their readers."""

from __future__ import annotations

from collections.abc import Callable

import av
from av.frame import Frame as Decoded

from utd_core.concurrency import BoundedQueue, Clock
from utd_core.media.backend import TrackStatistics
from utd_core.media.events import TrackInfo, TrackKind
from utd_core.media.frames import AudioFrame, Frame

from .conversion import picture_in, sound_in
from .loudness import Loudness


class Subscription:
    """One remote track that is received, over as many peer connections as that takes. `changed()`: somebody began or
    ceased to read."""

    def __init__(self, info: TrackInfo, clock: Clock, changed: Callable[[], None]) -> None:
        self.info = info
        self._clock = clock
        self._changed = changed
        self._queues: list[BoundedQueue[Frame]] = []
        self._frames = self._bytes = 0
        self._loudness = Loudness(clock) if info.kind is TrackKind.AUDIO else None
        self._began = 0.0
        self._origin: tuple[int, float] | None = None
        self._last_us = -1

    @property
    def loudness(self) -> Loudness | None:
        """How loud it is; None for pictures."""
        return self._loudness

    @property
    def is_read(self) -> bool:
        return bool(self._queues)

    def arrive(self, decoded: Decoded) -> None:
        """A frame is here; every reader gets it."""
        stamp = self._stamp(decoded)
        if stamp is None:
            return
        frame = _converted(decoded, stamp)
        self._frames += 1
        self._bytes += len(frame.data)
        if self._loudness is not None and isinstance(frame, AudioFrame):
            self._loudness.note(frame)
        for queue in self._queues:
            queue.put(frame)

    def renew(self) -> None:
        """What comes now comes over another peer connection, whose timestamps begin anew."""
        self._origin = None

    def attach(self, queue: BoundedQueue[Frame]) -> None:
        """A reader begins."""
        self._queues.append(queue)
        self._changed()

    def detach(self, queue: BoundedQueue[Frame]) -> None:
        """A reader ends. Idempotent."""
        if queue in self._queues:
            self._queues.remove(queue)
            self._changed()

    def close(self) -> None:
        """Every reader gets what it has, then the end. Idempotent."""
        queues, self._queues = self._queues, []
        for queue in queues:
            queue.close()

    def statistics(self) -> TrackStatistics:
        level = None if self._loudness is None else self._loudness.level()
        return TrackStatistics(self.info, self._frames, self._bytes, level=level)

    def _stamp(self, decoded: Decoded) -> int | None:
        """Microseconds since the first frame of the track; None for one that is not later than the one before."""
        if decoded.pts is None or decoded.time_base is None:
            return None
        now = self._clock.monotonic()
        if not self._frames:
            self._began = now
        if self._origin is None:
            self._origin = (decoded.pts, now - self._began)
        first, offset = self._origin
        # Fractions are exact, and slow.
        since = (decoded.pts - first) * decoded.time_base.numerator / decoded.time_base.denominator
        stamp = round((offset + since) * 1_000_000)
        if stamp <= self._last_us:
            return None
        self._last_us = stamp
        return stamp


def _converted(decoded: Decoded, stamp: int) -> Frame:
    if isinstance(decoded, av.AudioFrame):
        return sound_in(decoded, stamp)
    assert isinstance(decoded, av.VideoFrame)
    return picture_in(decoded, stamp)
