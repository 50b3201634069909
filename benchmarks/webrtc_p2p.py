"""Calls over webrtc_p2p beside aiortc alone: how soon both hear, what media costs, and how late sound comes.

Both run in this process, in turn, with the same frames at the same pace, and each has both ends here.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from itertools import count
from typing import Any, Self

from utd_core.concurrency import SystemClock, TaskScope
from utd_core.engine import Engine
from utd_core.media.backend import LocalTrack, MediaConnection, PublishOptions
from utd_core.media.events import TrackSubscribed
from utd_core.media.frames import AudioFrame, Frame, VideoFrame
from utd_core.media.sources.pattern import TestPatternVideoSource
from utd_core.media.sources.synthetic import ToneAudioSource
from utd_core.model.permission import Grant, TrackSource
from utd_core.testing.contract.signals import tone
from utd_webrtc_p2p.backend import P2PBackend
from utd_webrtc_p2p.loopback import loopback
from utd_webrtc_p2p.settings import Loopback

from . import AtMost, Baseline, Result
from ._raw_webrtc import Call, Frames, Playing

SETUPS, ROUNDS = 15, 5
SETTLING, MEASURED = 1.5, 4.0
"""Seconds of media before, and while its cost is measured."""
CHIRPS = 25
"""Frames from one short sound to the next, and how many of them there are."""
LOUD = 2_000
SOUND, PICTURE = 0.02, 1 / 30
MICROPHONE, CAMERA = TrackSource.MICROPHONE, TrackSource.CAMERA
EVERYTHING = Grant(publish=frozenset(TrackSource))

HUM = tone(440.0, seconds=1.0)
SILENT = AudioFrame(bytes(len(HUM[0].data)), 48_000, 1, 0)


def run() -> list[Result]:
    logging.disable(logging.INFO)
    with loopback(Loopback.AUTO):
        return asyncio.run(_measure())


async def _measure() -> list[Result]:
    film = await _film()

    def hum(number: int) -> Frame:
        frame = HUM[number % len(HUM)]
        return AudioFrame(frame.data, 48_000, 1, number * 20_000)

    def picture(number: int) -> Frame:
        frame = film[number % len(film)]
        return VideoFrame(frame.data, frame.width, frame.height, frame.format, round(number * PICTURE * 1e6))

    def raw_sound() -> Awaitable[list[float]]:
        return _raw_cost("audio", hum, SOUND, both=True)

    def sound() -> Awaitable[list[float]]:
        return _cost(MICROPHONE, hum, SOUND, both=True)

    def raw_film() -> Awaitable[list[float]]:
        return _raw_cost("video", picture, PICTURE, both=False)

    def our_film() -> Awaitable[list[float]]:
        return _cost(CAMERA, picture, PICTURE, both=False)

    setup = await _in_turn(SETUPS, _raw_setup, _setup)
    voice = await _in_turn(ROUNDS, raw_sound, sound)
    video = await _in_turn(ROUNDS, raw_film, our_film)
    late = await _in_turn(2, _raw_latency, _latency)
    return [
        *_compare("start() to both sides hearing", "ms", 1e3, setup, statistics.median, AtMost(1.25)),
        *_compare("CPU per minute of a voice, both ways", "s", 60, voice, min, AtMost(1.05)),
        *_compare("CPU per minute of 480p30, one way", "s", 60, video, min, AtMost(1.05)),
        *_compare("sound from its source to its reader", "ms", 1e3, late, statistics.median, AtMost(1.0)),
    ]


def _compare(
    what: str,
    unit: str,
    scale: float,
    figures: tuple[Sequence[float], Sequence[float]],
    one_of: Callable[[Sequence[float]], float],
    target: AtMost,
) -> list[Result]:
    """The figure beside that of aiortc, and how many times it is that."""
    raw, ours = (scale * one_of(each) for each in figures)
    return [
        Result(what, ours, unit, None, Baseline("aiortc alone", raw)),
        Result("  as a multiple of aiortc alone", ours / raw, "x", target),
    ]


async def _film() -> list[VideoFrame]:
    source = TestPatternVideoSource(seconds=2.0)
    film = []
    while (frame := await source.read()) is not None:
        film.append(frame)
    return film


async def _in_turn(
    rounds: int, raw: Callable[[], Awaitable[Sequence[float]]], ours: Callable[[], Awaitable[Sequence[float]]]
) -> tuple[Sequence[float], Sequence[float]]:
    """Each as often as the other, one after the other, after a round that does not count."""
    rows = [(await raw(), await ours()) for _ in range(rounds + 1)][1:]
    return [figure for row in rows for figure in row[0]], [figure for row in rows for figure in row[1]]


def _is_loud(frame: Any) -> bool:
    data = frame.data if isinstance(frame, AudioFrame) else bytes(frame.planes[0])
    return max(memoryview(data).cast("h")) > LOUD


async def _raw_setup() -> list[float]:
    ears = [asyncio.Event(), asyncio.Event()]

    def hears(ear: asyncio.Event) -> Callable[[Any], None]:
        return lambda frame: None if ear.is_set() or not _is_loud(frame) else ear.set()

    began = time.monotonic()
    call = Call()
    tracks = tuple(Playing("audio", lambda number: HUM[number % len(HUM)], SOUND) for _ in ears)
    await call.connect((tracks[0], tracks[1]), (hears(ears[0]), hears(ears[1])))
    await asyncio.gather(*(ear.wait() for ear in ears))
    took = time.monotonic() - began
    await call.aclose()
    return [took]


async def _setup() -> list[float]:
    """Through engine and client: ring, accept, connect, publish, hear."""

    def microphone() -> ToneAudioSource:
        return ToneAudioSource(level=-8.0)

    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(Engine("webrtc_p2p"))
        alice, bob = [engine.client(name, microphone=microphone) for name in ("alice", "bob")]
        for client in (alice, bob):
            await stack.enter_async_context(client)
        calling, called = alice.call_session("audio_call"), bob.call_session("audio_call")
        for session in (calling, called):
            await stack.enter_async_context(session)

        async def pick_up() -> None:
            ringing = await bob.incoming_calls.wait_for(timeout=10.0)
            await called.accept(ringing[0].call_id)

        async def hear(session: Any, speaker: str) -> None:
            async with session.frames(speaker) as frames:
                async for frame in frames:
                    if _is_loud(frame):
                        return

        began = time.monotonic()
        listening = [asyncio.create_task(pick_up())]
        await calling.start("bob")
        listening += [asyncio.create_task(hear(calling, "bob"))]
        await listening[0]
        listening += [asyncio.create_task(hear(called, "alice"))]
        await asyncio.gather(*listening)
        return [time.monotonic() - began]


async def _raw_cost(kind: str, frames: Frames, interval: float, *, both: bool) -> list[float]:
    """CPU seconds per second."""
    call = Call()
    tracks = [Playing(kind, frames, interval) for _ in range(1 + both)]
    await call.connect((tracks[0], tracks[1] if both else None), (_ignore, _ignore))
    cost = await _watch()
    await call.aclose()
    return cost


async def _cost(source: TrackSource, frames: Frames, interval: float, *, both: bool) -> list[float]:
    async with _Pair() as pair:
        for sender, receiver in [(0, 1), (1, 0)][: 1 + both]:
            await pair.send(sender, receiver, source, frames, interval, _ignore)
        return await _watch()


async def _watch() -> list[float]:
    await asyncio.sleep(SETTLING)
    wall, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(MEASURED)
    return [(time.process_time() - cpu) / (time.monotonic() - wall)]


def _chirp(number: int) -> Frame:
    """A loud frame among silent ones, each half second."""
    data = HUM[0].data if number % CHIRPS == 0 and number else SILENT.data
    return AudioFrame(data, 48_000, 1, number * 20_000)


async def _raw_latency() -> list[float]:
    call, track, ear = Call(), Playing("audio", _chirp, SOUND), _Ear()
    await call.connect((track, None), (_ignore, ear))
    await asyncio.sleep(CHIRPS * CHIRPS * SOUND)
    await call.aclose()
    return ear.lateness(track.written)


async def _latency() -> list[float]:
    async with _Pair() as pair:
        ear = _Ear()
        written = await pair.send(0, 1, MICROPHONE, _chirp, SOUND, ear)
        await asyncio.sleep(CHIRPS * CHIRPS * SOUND)
        return ear.lateness(written)


class _Ear:
    """Notes when a sound begins."""

    def __init__(self) -> None:
        self._heard: list[float] = []

    def __call__(self, frame: Any) -> None:
        now = time.monotonic()
        if _is_loud(frame) and (not self._heard or now - self._heard[-1] > CHIRPS * SOUND / 2):
            self._heard.append(now)

    def lateness(self, written: Sequence[float]) -> list[float]:
        """Seconds from each chirp that was sent to the moment in which it was heard."""
        sent = [written[number] for number in range(CHIRPS, len(written), CHIRPS)]
        return [min(at - chirp for chirp in sent if chirp <= at) for at in self._heard if at >= sent[0]]


class _Pair:
    """Two connections of webrtc_p2p, without engine and client."""

    def __init__(self) -> None:
        self._backend = P2PBackend()
        self._scope = TaskScope("benchmark")
        self._connections: list[MediaConnection] = []

    async def __aenter__(self) -> Self:
        await self._scope.open()
        control = self._backend.control
        await control.create_room("room")
        tickets = [await control.issue_join("room", name, grant=EVERYTHING) for name in ("ann", "bob")]
        self._connections = [await self._backend.connect(ticket) for ticket in tickets]
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._scope.aclose()
        await self._backend.aclose()

    async def send(
        self,
        sender: int,
        receiver: int,
        source: TrackSource,
        frames: Frames,
        interval: float,
        heard: Callable[[Any], None],
    ) -> Sequence[float]:
        """Have frames sent and read from now on; when each was written."""
        track = await self._connections[sender].publish(PublishOptions(source))
        events = self._connections[receiver].events
        while not isinstance(event := await events.get(), TrackSubscribed) or event.track.id != track.info.id:
            pass
        written: list[float] = []
        self._scope.start(self._play, track, frames, interval, written)
        self._scope.start(self._read, self._connections[receiver], track.info.id, heard)
        return written

    async def _play(self, track: LocalTrack, frames: Frames, interval: float, written: list[float]) -> None:
        clock = SystemClock()
        began = clock.monotonic()
        for number in count():
            await clock.sleep(began + number * interval - clock.monotonic())
            frame = frames(number)
            written.append(time.monotonic())
            await track.write(frame)

    async def _read(self, connection: MediaConnection, track_id: str, heard: Callable[[Any], None]) -> None:
        async for frame in connection.read(track_id):
            heard(frame)


def _ignore(frame: Any) -> None:
    """Nobody listens."""
