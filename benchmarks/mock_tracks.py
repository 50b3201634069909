"""What 500 audio tracks with a reader each cost on the mock, in real time on one core.

Every track has 50 frames of 20 ms in each second, from a source through the pump into a reader. The baseline is what
asyncio itself takes for the same timers, with a deque in the place of everything else.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections import deque
from dataclasses import dataclass
from time import perf_counter, process_time

from utd_core.concurrency import SystemClock, TaskScope
from utd_core.hooks import default_manager
from utd_core.media.backend import ConnectOptions, FrameReader, LocalTrack, MediaBackend, PublishOptions
from utd_core.media.frames import Frame
from utd_core.media.pump import Pump
from utd_core.media.sources.synthetic import SilenceAudioSource
from utd_core.model.permission import Grant, TrackSource

from . import AtMost, Baseline, Result

TRACKS = 500
ROOMS = 10
SECONDS = 10
FRAME_SECONDS = 0.02
FRAMES = round(SECONDS / FRAME_SECONDS)
MICROPHONE = TrackSource.MICROPHONE


@dataclass(frozen=True, slots=True)
class Run:
    """`cpu` and `wall` in seconds; `late`: frames more than 20 ms after their time; `worst_ms`: the latest of them."""

    cpu: float
    wall: float
    received: int
    late: int = 0
    worst_ms: float = 0.0

    @property
    def per_frame_us(self) -> float:
        return self.cpu / (TRACKS * FRAMES) * 1e6


def run() -> list[Result]:
    _stay_on_one_core()
    bare = asyncio.run(_timers_and_deques())
    mock = asyncio.run(_tracks())
    baseline = Baseline("asyncio timers and deques", bare.cpu / SECONDS)
    each = Baseline("asyncio timers and deques", bare.per_frame_us)
    return [
        Result(f"{TRACKS} tracks, CPU per second of media", mock.cpu / SECONDS, "s", AtMost(1.0), baseline),
        Result("one frame, from its source to its reader", mock.per_frame_us, "us", AtMost(40.0), each),
        Result("frames late by more than 20 ms", 100 * mock.late / (TRACKS * FRAMES), "%", AtMost(1.0)),
        Result("worst lateness", mock.worst_ms, "ms"),
        Result("frames lost", TRACKS * FRAMES - mock.received, "frames", AtMost(0)),
    ]


def _stay_on_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _start_of(track: int, now: float) -> float:
    """People do not speak in step: the tracks begin spread over one frame's time."""
    return now + 0.2 + FRAME_SECONDS * track / TRACKS


async def _tracks() -> Run:
    clock = SystemClock()
    backend = default_manager().create_backend("mock", {}, clock)
    scope = TaskScope("benchmark")
    await scope.open()
    try:
        pairs = await _publish_all(backend)
        # Silence has frames like any sound, and costs nothing to make: what is measured is the way of the frames.
        sources = [SilenceAudioSource(seconds=SECONDS) for _ in range(TRACKS)]
        received = [0] * TRACKS
        pumps = []

        async def count(number: int, reader: FrameReader[Frame]) -> None:
            async for _ in reader:
                received[number] += 1

        for number, (_, reader) in enumerate(pairs):
            scope.start(count, number, reader)
        gc.collect()
        now, wall, cpu = clock.monotonic(), perf_counter(), process_time()
        async with asyncio.TaskGroup() as group:
            for number, (track, _) in enumerate(pairs):
                pump = Pump(sources[number], track, clock, start=_start_of(number, now))
                pumps.append(pump)
                group.create_task(pump.run())
        cpu, wall = process_time() - cpu, perf_counter() - wall
        done = [pump.statistics() for pump in pumps]
        late, worst = sum(each.late for each in done), max(each.max_lateness_ms for each in done)
        return Run(cpu, wall, sum(received), late, worst)
    finally:
        await scope.aclose()
        await backend.aclose()


async def _publish_all(backend: MediaBackend) -> list[tuple[LocalTrack, FrameReader[Frame]]]:
    """Rooms of equal size, in which everybody publishes and reads the one before."""
    pairs: list[tuple[LocalTrack, FrameReader[Frame]]] = []
    options = ConnectOptions(auto_subscribe=False)
    for room in map(str, range(ROOMS)):
        await backend.control.create_room(room)
        connections, tracks = [], []
        for number in range(TRACKS // ROOMS):
            grant = Grant(publish=frozenset({MICROPHONE}))
            ticket = await backend.control.issue_join(room, f"speaker-{number}", grant=grant)
            connections.append(await backend.connect(ticket, options))
            tracks.append(await connections[-1].publish(PublishOptions(MICROPHONE)))
        for number, connection in enumerate(connections):
            heard = tracks[number - 1]
            await connection.set_subscribed(heard.info.id, True)
            pairs.append((heard, connection.read(heard.info.id)))
    return pairs


async def _timers_and_deques() -> Run:
    loop = asyncio.get_running_loop()
    queues: list[deque[int]] = [deque(maxlen=50) for _ in range(TRACKS)]
    begin = loop.time()

    async def tick(number: int) -> int:
        queue, start = queues[number], _start_of(number, begin)
        for frame in range(FRAMES):
            await asyncio.sleep(max(0.0, start + frame * FRAME_SECONDS - loop.time()))
            queue.append(frame)
        return FRAMES

    wall, cpu = perf_counter(), process_time()
    done = await asyncio.gather(*(tick(number) for number in range(TRACKS)))
    return Run(process_time() - cpu, perf_counter() - wall, sum(done))
