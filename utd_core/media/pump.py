"""From a source into a published track, at the pace of real time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

import anyio

from ..concurrency import Clock
from ..errors import Closed
from .backend import LocalTrack
from .checks import check_choice
from .pacing import LatePolicy, Pacer
from .sources.base import AudioSource, VideoSource
from .sources.kinds import is_audio_source


class SourceEnd(StrEnum):
    """What becomes of the track when its source has ended."""

    UNPUBLISH = "unpublish"
    HOLD = "hold"
    """It stays published and silent."""


@dataclass(frozen=True, slots=True)
class PumpStatistics:
    """`frames`: written. `late`: more than one frame's length after their time. `skipped`: left out to catch up.
    `resyncs`: how often the pace was set anew. `max_lateness_ms`: the worst delay of one frame."""

    frames: int = 0
    late: int = 0
    skipped: int = 0
    resyncs: int = 0
    max_lateness_ms: float = 0.0


class Pump:
    """Writes the frames of `source` into `track`, one per frame length of `clock`.

    Timestamps start at 0 with the pump and follow the schedule: where a resync moves the stream, they move with
    it, so a recording keeps the true timing. `LatePolicy.SKIP` is for sources that can always be read at once
    (files, tones, patterns); with a pushed source it would wait for frames in order to leave them out. A pause of
    a pushed source is a resync as well: what comes after it is played from then on.
    `start` (on the clock's monotonic scale) puts two pumps, of one film's sound and picture, in step.
    """

    def __init__(
        self,
        source: AudioSource | VideoSource,
        track: LocalTrack,
        clock: Clock,
        *,
        at_end: SourceEnd = SourceEnd.UNPUBLISH,
        policy: LatePolicy = LatePolicy.RESYNC,
        max_burst: int = 5,
        start: float | None = None,
        close_source: bool = True,
    ) -> None:
        self.source = source
        self.track = track
        self._pacer = Pacer(clock, frame_interval(source), max_burst=max_burst, policy=policy, start=start)
        self._at_end = check_choice(SourceEnd, at_end)
        self._close_source = close_source
        self._frames = 0

    async def run(self) -> PumpStatistics:
        """Pump until the source ends, or the track or the source is closed; then close the source.

        Returns when the last frame has had its time. Cancel it to stop earlier. Raises what the source and the
        track raise, but for `Closed`, which is an end like any other.
        """
        try:
            # Unpublished, disconnected, or the source was closed: each is a way to end this.
            with suppress(Closed):
                await self._play()
                await self._pacer.wait()
                if self._at_end is SourceEnd.UNPUBLISH:
                    await self.track.unpublish()
        finally:
            if self._close_source:
                with anyio.CancelScope(shield=True):
                    await self.source.aclose()
        return self.statistics()

    async def _play(self) -> None:
        read, write, wait, pacer = self.source.read, self.track.write, self._pacer.wait, self._pacer
        first_us: int | None = None
        while (frame := await read()) is not None:
            if overdue := await wait():
                for _ in range(overdue):
                    frame = await read()
                    if frame is None:
                        return
            if first_us is None:
                first_us = frame.timestamp_us
            if moved_us := pacer.shift_us - first_us:
                frame = replace(frame, timestamp_us=frame.timestamp_us + moved_us)
            await write(frame)
            self._frames += 1

    def statistics(self) -> PumpStatistics:
        """Counters since `run()` was called."""
        pacer = self._pacer
        return PumpStatistics(self._frames, pacer.late, pacer.skipped, pacer.resyncs, pacer.max_lateness * 1_000)


async def pump_track(
    source: AudioSource | VideoSource,
    track: LocalTrack,
    clock: Clock,
    *,
    at_end: SourceEnd = SourceEnd.UNPUBLISH,
    policy: LatePolicy = LatePolicy.RESYNC,
) -> PumpStatistics:
    """Play `source` into `track` to its end, in real time, and close it. See `Pump`."""
    return await Pump(source, track, clock, at_end=at_end, policy=policy).run()


def frame_interval(source: AudioSource | VideoSource) -> float:
    """Seconds from one frame of a source to the next."""
    return source.frame_ms / 1_000 if is_audio_source(source) else 1 / source.framerate
