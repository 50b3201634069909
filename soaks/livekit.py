"""LiveKit: 300 times somebody joins, takes a seat, is heard and leaves, and 20 times the server dies meanwhile.

Engine, host and guests are in this process; the server is one of its own on loopback. Where it has died, everybody
comes back by themselves, and the next guest is heard again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from utd_core import Engine, UTDStreamClient
from utd_core.client import UTDAudioRoomSession
from utd_core.media.pcm import unpack
from utd_core.media.sources.synthetic import ToneAudioSource
from utd_livekit.backend import LiveKitBackend
from utd_livekit.server.local import LocalServer

from .watch import Figure, Watch

FIGURES = {
    "native threads": Figure(may_grow=6.0),
    "join": Figure("ms"),
    "heard": Figure("ms after the seat"),
    "back": Figure("s after the server's death"),
}

CYCLES = 300
DEATHS = 20
LOUD = 2_000
HEARD_WITHIN = 30.0
BACK_WITHIN = 120.0
"""Seconds. The SDK itself tries for 22 s until it gives a connection up."""


async def soak(watch: Watch) -> None:
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    cycles = watch.rounds(CYCLES)
    async with house() as (server, host, guest):
        for number in range(cycles):
            own = await come_and_go(host, guest)
            if number % (CYCLES // DEATHS) == CYCLES // DEATHS // 2:
                own["back"] = await die(server, host)
            watch.look(**{"native threads": float(native_threads())}, **own)


async def come_and_go(host: UTDAudioRoomSession, guest: UTDStreamClient) -> dict[str, float]:
    """Somebody joins, is heard, and leaves."""
    began = time.monotonic()
    async with await guest.join_audio_room(host.room_name) as session, host.frames(guest.identity) as frames:
        joined = time.monotonic()
        await session.take_seat()
        async with asyncio.timeout(HEARD_WITHIN):
            async for frame in frames:
                if max(unpack(frame.data)) > LOUD:
                    break
        return {"join": 1e3 * (joined - began), "heard": 1e3 * (time.monotonic() - joined)}


async def die(server: LocalServer, host: UTDAudioRoomSession) -> float:
    """The server is killed, and starts again; seconds until the host is back."""
    began = time.monotonic()
    await asyncio.to_thread(server.restart)
    await host.connected.wait_for(lambda connected: not connected, BACK_WITHIN, what="that the loss is seen")
    await host.connected.wait_for(timeout=BACK_WITHIN, what="that the host is back")
    return time.monotonic() - began


@asynccontextmanager
async def house() -> AsyncIterator[tuple[LocalServer, UTDAudioRoomSession, UTDStreamClient]]:
    """A server, a room on it with its host, and somebody who may come."""
    server = LocalServer()
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(server.start)
        stack.push_async_callback(asyncio.to_thread, server.stop)
        backend = await stack.enter_async_context(LiveKitBackend({**server.settings, "server": server}))
        engine = await stack.enter_async_context(Engine(backend))
        host, guest = [
            await stack.enter_async_context(engine.client(name, microphone=lambda: ToneAudioSource(level=-8.0)))
            for name in ("host", "guest")
        ]
        session = await stack.enter_async_context(await host.join_audio_room("soak", as_host=True))
        yield server, session, guest


def native_threads() -> int:
    """All threads of this process, those of the native library too."""
    return len(list(Path("/proc/self/task").iterdir()))
