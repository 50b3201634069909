"""What the pump alone costs: 500 tracks in real time on one core, into tracks that throw the frames away.

`mock_tracks` is the same with a backend and readers behind it; the difference is the backend's share.
"""

from __future__ import annotations

import asyncio
import gc
from time import perf_counter, process_time

from utd_core.concurrency import SystemClock
from utd_core.media.backend import LocalTrack
from utd_core.media.events import TrackInfo
from utd_core.media.frames import Frame
from utd_core.media.pump import Pump
from utd_core.media.sinks.level import measure
from utd_core.media.sources.pattern import TestPatternVideoSource
from utd_core.media.sources.synthetic import ToneAudioSource
from utd_core.model.permission import TrackSource

from . import AtMost, Baseline, Result

TRACKS = 500
SECONDS = 5
FRAMES = 50 * SECONDS


class NullTrack(LocalTrack):
    """Takes frames and forgets them."""

    @property
    def info(self) -> TrackInfo:
        return TrackInfo("null", TrackSource.MICROPHONE)

    async def write(self, frame: Frame) -> None:
        """Nothing is sent."""

    async def set_muted(self, muted: bool) -> None:
        """Nothing is muted."""

    async def unpublish(self) -> None:
        """Nothing ends."""


def run() -> list[Result]:
    timers = asyncio.run(_timers())
    cpu, late, worst_ms = asyncio.run(_pumps())
    tone = _each(asyncio.run(_read(ToneAudioSource(), 5_000)), 5_000)
    pattern = _each(asyncio.run(_read(TestPatternVideoSource(), 500)), 500)
    level = asyncio.run(_measure(500))
    return [
        Result(
            f"pumping {TRACKS} tracks, CPU per second of media",
            cpu / SECONDS,
            "s",
            AtMost(0.8),
            Baseline("asyncio timers", timers / SECONDS),
        ),
        Result("frames late by more than 20 ms", 100 * late / (TRACKS * FRAMES), "%", AtMost(1.0)),
        Result("worst lateness", worst_ms, "ms"),
        Result("one frame of a tone (960 samples)", tone, "us"),
        Result(
            "one picture of the test pattern (640x480)",
            pattern,
            "us",
            baseline=Baseline("a copy of as many bytes", _copy(500)),
        ),
        Result("one level measurement (960 samples)", level, "us"),
    ]


def _each(seconds: float, count: int) -> float:
    return seconds / count * 1e6


async def _pumps() -> tuple[float, int, float]:
    clock = SystemClock()
    # The first pump of a process loads anyio's backend, which is no part of pumping.
    await Pump(ToneAudioSource(seconds=0.1), NullTrack(), clock).run()
    gc.collect()
    start = clock.monotonic() + 0.2
    pumps = [
        Pump(ToneAudioSource(seconds=SECONDS), NullTrack(), clock, start=start + 0.02 * number / TRACKS)
        for number in range(TRACKS)
    ]
    cpu = process_time()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(pump.run()) for pump in pumps]
    cpu = process_time() - cpu
    done = [task.result() for task in tasks]
    return cpu, sum(each.late for each in done), max(each.max_lateness_ms for each in done)


async def _timers() -> float:
    loop = asyncio.get_running_loop()
    begin = loop.time() + 0.2

    async def tick(number: int) -> None:
        start = begin + 0.02 * number / TRACKS
        for frame in range(FRAMES):
            await asyncio.sleep(max(0.0, start + frame * 0.02 - loop.time()))

    cpu = process_time()
    await asyncio.gather(*(tick(number) for number in range(TRACKS)))
    return process_time() - cpu


async def _read(source: ToneAudioSource | TestPatternVideoSource, count: int) -> float:
    begin = perf_counter()
    for _ in range(count):
        await source.read()
    return perf_counter() - begin


def _copy(count: int) -> float:
    """Mind the memory allocator: where it takes the pages of each picture from the system anew, both cost 0.5 ms."""
    picture = bytearray(640 * 480 * 3 // 2)
    begin = perf_counter()
    for _ in range(count):
        bytes(picture)
    return _each(perf_counter() - begin, count)


async def _measure(count: int) -> float:
    frame = await ToneAudioSource().read()
    assert frame is not None
    begin = perf_counter()
    for _ in range(count):
        measure(frame)
    return _each(perf_counter() - begin, count)
