"""One video call over webrtc_p2p and a real server: sound both ways, a small picture, a camera that comes and goes.

Server, caller and callee are in this process, so that one watch sees them all. At reduced scale: pictures of 320x240 at
5 frames/s, and a loud frame among silent ones every two seconds, by which the way of the sound is timed. `starved`: for
how much of the time the microphones gave nothing because this process was not let run.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import uvicorn

from utd_core import Engine, UTDStreamClient
from utd_core.client import UTDCallSession
from utd_core.errors import Closed, ConnectionLost
from utd_core.media import TestPatternVideoSource
from utd_core.media.backend import ConnectionStatistics
from utd_core.media.frames import AudioFrame, VideoFrame
from utd_core.media.pcm import unpack
from utd_core.media.sources.base import AudioSourceBase
from utd_core.media.sources.pattern import read_counter
from utd_core.model.permission import TrackSource
from utd_core.server import Project, ProjectFlags
from utd_core.server.pusher import UVICORN_OPTIONS
from utd_core.testing.contract.signals import tone
from utd_core.testing.wait import eventually

from .watch import Figure, Watch

FIGURES = {
    "sound": Figure("ms late", may_grow=60.0),
    "lost": Figure("% of the sound", at_most=1.0),
    "missing": Figure("% of the pictures", at_most=5.0),
    "starved": Figure("% of the time"),
    "round trip": Figure("ms", may_grow=60.0),
    "packets": Figure("% lost", at_most=0.5),
    "rebuilt": Figure("times", at_most=0.0),
}

CHIRPS = 100
"""Frames of 20 ms from one loud one to the next."""
LOUD = 2_000
UNDER_WAY = 0.3
"""Seconds of sound that may be on their way."""
SWITCHES = 12
"""How often the camera is switched off and on again in a soak."""
SWITCHING = 1.0
"""Seconds for which it is off, and after which its pictures count again."""
CAMERA = TrackSource.CAMERA


class Chirps(AudioSourceBase):
    """Silence, and now and then a loud frame. `chirped`: when the last loud one was handed over (monotonic)."""

    def __init__(self) -> None:
        super().__init__(48_000, 1, 20)
        self.frames = 0
        self.chirped = 0.0
        self._loud = tone(440.0, seconds=0.02)[0].data
        self._silent = bytes(self.frame_bytes)

    def itself(self) -> Chirps:
        """The microphone of the client whose source this is."""
        return self

    async def read(self) -> AudioFrame:
        self._check_open()
        self.frames += 1
        if self.frames % CHIRPS:
            return self._stamp(self._silent)
        self.chirped = time.monotonic()
        return self._stamp(self._loud)


class Ear:
    """What one side hears of the other's chirps. `late`: seconds, of the last one that was heard."""

    def __init__(self, chirps: Chirps) -> None:
        self.late: float | None = None
        self._chirps = chirps
        self._matched = 0.0
        self._heard_us = 0
        self._began: tuple[float, int] | None = None

    def take(self, frame: AudioFrame) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began = (now, self._chirps.frames)
        self._heard_us += frame.duration_us
        if self._chirps.chirped != self._matched and max(unpack(frame.data)) > LOUD:
            self._matched = self._chirps.chirped
            self.late = now - self._matched

    def shares(self) -> tuple[float, float]:
        """Since the first frame: how much of what was said did not come, and for how long nothing was said."""
        if self._began is None:
            return 0.0, 0.0
        began, frames = self._began
        said = (self._chirps.frames - frames) * 0.02
        passed = time.monotonic() - began
        lost = max(0.0, said - UNDER_WAY - self._heard_us / 1e6)
        return lost / max(said, 1.0), max(0.0, passed - said) / max(passed, 1.0)


class Eye:
    """Which pictures of the other's one side sees, while it looks."""

    def __init__(self) -> None:
        self.seen = self.missing = 0
        self._last: int | None = None
        self._shut_until = 0.0

    def take(self, frame: VideoFrame) -> None:
        number = read_counter(frame)
        if number is None or time.monotonic() < self._shut_until:
            return
        if self._last is not None and number > self._last:
            self.missing += number - self._last - 1
        self.seen, self._last = self.seen + 1, number

    def shut(self, seconds: float) -> None:
        """Look away: which pictures come while a camera is switched is nobody's promise."""
        self._last, self._shut_until = None, time.monotonic() + seconds


async def soak(watch: Watch) -> None:
    async with asyncio.TaskGroup() as tasks, called() as (caller, callee, chirps):
        ears = [Ear(chirps["bob"]), Ear(chirps["alice"])]
        eye = Eye()
        tasks.create_task(listen(caller, "bob", ears[0]))
        tasks.create_task(listen(callee, "alice", ears[1]))
        tasks.create_task(see(callee, "alice", eye))
        looks = 0
        while watch.goes_on():
            await asyncio.sleep(watch.interval)
            looks += 1
            if looks % max(2, 120 // SWITCHES) == 0:
                await switch(caller, eye)
            await look(watch, caller, callee, ears, eye)


async def look(watch: Watch, caller: UTDCallSession, callee: UTDCallSession, ears: list[Ear], eye: Eye) -> None:
    figures = [await connected(session) for session in (caller, callee)]
    wires = [track.wire for one in figures for track in one.received if track.wire is not None]
    packets, lost = sum(wire.packets for wire in wires), sum(wire.packets_lost for wire in wires)
    lost_sound, starved = (100 * max(each) for each in zip(*(ear.shares() for ear in ears), strict=True))
    own: dict[str, float] = {
        "lost": lost_sound,
        "starved": starved,
        "missing": 100 * eye.missing / max(1, eye.seen + eye.missing),
        "packets": 100 * lost / max(1, packets + lost),
        "rebuilt": float(sum(one.reconnects for one in figures)),
    }
    if late := [ear.late for ear in ears if ear.late is not None]:
        own["sound"] = 1_000 * max(late)
    if trips := [one.round_trip_ms for one in figures if one.round_trip_ms is not None]:
        own["round trip"] = max(trips)
    watch.look(**own)


async def connected(session: UTDCallSession) -> ConnectionStatistics:
    """Raises `ConnectionLost` where the call has ended."""
    figures = (await session.statistics()).connection
    if figures is None:
        raise ConnectionLost(f"the call of {session.identity} has ended: {session.ended.value}")
    return figures


async def switch(session: UTDCallSession, eye: Eye) -> None:
    """A call of sound alone, and a video call again."""
    eye.shut(math.inf)
    await session.set_camera(False)
    await asyncio.sleep(SWITCHING)
    await session.set_camera(True)
    eye.shut(SWITCHING)


async def listen(session: UTDCallSession, speaker: str, ear: Ear) -> None:
    with suppress(Closed):
        async with session.frames(speaker) as frames:
            async for frame in frames:
                if isinstance(frame, AudioFrame):
                    ear.take(frame)


async def see(session: UTDCallSession, speaker: str, eye: Eye) -> None:
    with suppress(Closed):
        async with session.frames(speaker, CAMERA) as frames:
            async for frame in frames:
                if isinstance(frame, VideoFrame):
                    eye.take(frame)


@asynccontextmanager
async def called() -> AsyncIterator[tuple[UTDCallSession, UTDCallSession, dict[str, Chirps]]]:
    """Alice and Bob in a video call over a server of their own, and what each says."""
    chirps = {"alice": Chirps(), "bob": Chirps()}
    project = Project("soak", "key", ("secret",), flags=ProjectFlags(allow_app_key_identity_mint=True))
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(Engine("webrtc_p2p", app_id=project.app_id))
        base_url = await stack.enter_async_context(served(engine, project))
        sessions = []
        for name, source in chirps.items():
            client = UTDStreamClient(
                *(project.app_id, project.key),
                base_url=base_url,
                identity=name,
                microphone=source.itself,
                camera=lambda: TestPatternVideoSource(320, 240, 5.0),
            )
            await stack.enter_async_context(client)
            sessions.append((client, await stack.enter_async_context(client.call_session("video_call"))))
        (_, caller), (called_client, callee) = sessions
        await caller.start("bob")
        (ringing,) = await called_client.incoming_calls.wait_for(timeout=30.0)
        await callee.accept(ringing.call_id)
        yield caller, callee, chirps


@asynccontextmanager
async def served(engine: Engine, project: Project) -> AsyncIterator[str]:
    """The engine behind a port of the loopback interface; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(engine.asgi(project), log_level="warning", access_log=False, **UVICORN_OPTIONS)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            await eventually(lambda: server.started, 30.0, what="the server's start")
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
