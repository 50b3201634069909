"""From a remote track's reader into sinks."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass, replace

from ...concurrency import Clock
from ...errors import InvalidInput
from ..frames import AudioFrame, Frame
from .base import Sink

BACK_US = 200_000
AHEAD_US = 5_000_000
"""A timestamp that goes back by more than `BACK_US`, or runs ahead of the clock by more than `AHEAD_US`, belongs
to a stream that started anew."""


@dataclass(frozen=True, slots=True)
class RecordStatistics:
    """`frames`: written to every sink. `gap_ms`: time between audio frames in which nothing came. `restarts`: how often
    timestamps started anew. `first_us`, `end_us`: the recording's span, microseconds from its origin."""

    frames: int = 0
    gap_ms: float = 0.0
    restarts: int = 0
    first_us: int = 0
    end_us: int = 0


async def record(
    reader: AsyncIterable[Frame], *sinks: Sink, clock: Clock, origin: float | None = None
) -> RecordStatistics:
    """Write the frames of `reader` to every sink until the reader ends.

    Frames are stamped from the recording's beginning: `origin`, a reading of `clock.monotonic()`, or the first
    frame when it is None. Recordings with one origin (several listeners, or sound and picture of one file) are
    in step. Distances between frames are those of their timestamps, so network jitter does not show; timestamps
    that start anew (the track was published again) are placed by their arrival.

    The sinks stay open: whoever made them closes them. Raises what reader and sinks raise, and `InvalidInput`
    without a sink.
    """
    if not sinks:
        raise InvalidInput("record() needs at least one sink to write to")
    placement = _Placement(clock, origin)
    frames = 0
    async for frame in reader:
        placed = placement.place(frame)
        for sink in sinks:
            await sink.write(placed)
        frames += 1
    return RecordStatistics(
        frames, placement.gap_us / 1_000, placement.restarts, placement.first_us or 0, placement.end_us
    )


class _Placement:
    """Turns a track's timestamps into the recording's."""

    def __init__(self, clock: Clock, origin: float | None) -> None:
        self._clock = clock
        self._origin = origin
        self._offset_us = 0
        self._arrived = 0.0
        self.first_us: int | None = None
        self.end_us = 0
        self.gap_us = 0
        self.restarts = 0

    def place(self, frame: Frame) -> Frame:
        now = self._clock.monotonic()
        if self._origin is None:
            self._origin = now
        if self.first_us is None:
            self.first_us = self.end_us = self._elapsed_us(now)
            self._offset_us = self.first_us - frame.timestamp_us
        elif self._starts_anew(frame, now):
            self.restarts += 1
            self._offset_us = max(self.end_us, self._elapsed_us(now)) - frame.timestamp_us
        self._arrived = now
        at = frame.timestamp_us + self._offset_us
        if isinstance(frame, AudioFrame):
            self.gap_us += max(0, at - self.end_us)
            self.end_us = max(self.end_us, at + frame.duration_us)
        else:
            self.end_us = max(self.end_us, at)
        return replace(frame, timestamp_us=at) if self._offset_us else frame

    def _elapsed_us(self, now: float) -> int:
        assert self._origin is not None
        return max(0, round((now - self._origin) * 1_000_000))

    def _starts_anew(self, frame: Frame, now: float) -> bool:
        ahead_us = frame.timestamp_us + self._offset_us - self.end_us
        passed_us = (now - self._arrived) * 1_000_000
        return ahead_us < -BACK_US or ahead_us > passed_us + AHEAD_US
