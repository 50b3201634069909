"""How loud a track is at this moment, measured when somebody asks."""

from __future__ import annotations

from collections import deque
from math import log10

from utd_core.concurrency import Clock
from utd_core.media.frames import AudioFrame
from utd_core.media.sinks.level import FLOOR_DBFS, measure
from utd_core.media.speaking import level_of

_WINDOW = 0.2
"""Seconds."""
_FRAMES = 10


class Loudness:
    """Keeps the last frames, for the one who asks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._frames: deque[tuple[float, AudioFrame]] = deque(maxlen=_FRAMES)

    def note(self, frame: AudioFrame) -> None:
        """A frame was sent, or has come."""
        self._frames.append((self._clock.monotonic(), frame))

    def level(self) -> float:
        """RMS in dBFS, from -120 to 0, of what there was in the last 0.2 s."""
        since = self._clock.monotonic() - _WINDOW
        powers = [10 ** (measure(frame).rms / 10) for at, frame in self._frames if at >= since]
        return max(FLOOR_DBFS, 10 * log10(sum(powers) / len(powers))) if powers else FLOOR_DBFS

    def since(self, then: float) -> float:
        """The same of what there was since then (monotonic), about and at a small price."""
        return level_of([frame for at, frame in self._frames if at > then])
