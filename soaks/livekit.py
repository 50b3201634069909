"""LiveKit: 300 times somebody joins, takes a seat, is heard and leaves, and 20 times the server dies meanwhile.

Engine, host and guest are in this process; the server is one of its own on loopback. After its death both come back by
themselves, and the guest is heard again.
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
from utd_core.media.frames import AudioFrame
from utd_core.media.pcm import unpack
from utd_core.media.sources.synthetic import ToneAudioSource
from utd_livekit.backend import LiveKitBackend
from utd_livekit.server.local import LocalServer

from .watch import Figure, Watch

FIGURES = {
    # A connection has up to thirty sockets, and after a repair those of vain attempts beside them, until it is repaired
    # again. What is lost with each guest, or at each death, comes to more in 300.
    "descriptors": Figure(may_grow=90.0),
    "native threads": Figure(may_grow=6.0),
    "join": Figure("ms"),
    "heard": Figure("ms after the seat"),
    "back": Figure("s after the server's death"),
    "leave": Figure("ms"),
    "leaves given up": Figure("of all", at_most=0.0),
}

GIVEN_UP = 3.0
"""Seconds; after so many the plugin waits no longer for the library. It takes 20 ms."""
CYCLES = 300
DEATHS = 20
LOUD = 2_000
HEARD_WITHIN = 30.0
CONNECTED_WITHIN = 60.0
"""Seconds; a machine that is busy with something else is no news here."""
BACK_WITHIN = 120.0
"""Seconds. The SDK itself tries for 22 s until it gives a connection up."""


async def soak(watch: Watch) -> None:
    await go_through(watch.rounds(CYCLES), CYCLES // DEATHS, watch)


async def go_through(cycles: int, deadly: int, watch: Watch) -> None:
    """So many cycles; in the last of each `deadly` the server dies."""
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    async with house() as (server, host, guest):
        for number in range(1, cycles + 1):
            own = await come_and_go(host, guest, server if number % deadly == 0 else None)
            watch.look(**{"native threads": float(native_threads())}, **own)


async def come_and_go(
    host: UTDAudioRoomSession, guest: UTDStreamClient, mortal: LocalServer | None = None
) -> dict[str, float]:
    """Somebody joins, is heard, and leaves. `mortal`: the server that dies meanwhile."""
    own: dict[str, float] = {}
    began = time.monotonic()
    async with await guest.join_audio_room(host.room_name) as session:
        joined = time.monotonic()
        async with host.frames("guest") as frames:
            await session.take_seat()
            await until_loud(frames)
            own |= {"join": 1e3 * (joined - began), "heard": 1e3 * (time.monotonic() - joined)}
            if mortal is not None:
                own["back"] = await die_and_come_back(mortal, host, frames)
        leaving = time.monotonic()
    left = time.monotonic() - leaving
    return own | {"leave": 1e3 * left, "leaves given up": float(left >= GIVEN_UP)}


async def die_and_come_back(server: LocalServer, host: UTDAudioRoomSession, frames: AsyncIterator[AudioFrame]) -> float:
    """Seconds from the server's death until the guest is heard again."""
    died = time.monotonic()
    await asyncio.to_thread(server.kill)
    await host.connected.wait_for(lambda connected: not connected, BACK_WITHIN, what="that the loss is seen")
    await asyncio.to_thread(server.start)
    await host.connected.wait_for(timeout=BACK_WITHIN, what="that the host is back")
    await until_loud(frames)
    return time.monotonic() - died


async def until_loud(frames: AsyncIterator[AudioFrame]) -> None:
    """Read until something is heard. Raises `TimeoutError`."""
    async with asyncio.timeout(HEARD_WITHIN):
        async for frame in frames:
            if max(unpack(frame.data)) > LOUD:
                return


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
            await stack.enter_async_context(
                engine.client(name, microphone=lambda: ToneAudioSource(level=-8.0), connect_deadline=CONNECTED_WITHIN)
            )
            for name in ("host", "guest")
        ]
        session = await stack.enter_async_context(await host.join_audio_room("soak", as_host=True))
        yield server, session, guest


def native_threads() -> int:
    """All threads of this process, those of the native library too."""
    return len(list(Path("/proc/self/task").iterdir()))
