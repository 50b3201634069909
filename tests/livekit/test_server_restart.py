"""The LiveKit server is killed and started again under an engine with a room and a call: a pause, and no more."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from utd_core.concurrency import SystemClock
from utd_core.engine import Engine
from utd_core.media.sources.synthetic import ToneAudioSource
from utd_livekit.server.local import LocalServer
from utd_livekit.testing import OpenLiveKit

from .hearing import hears

pytestmark = pytest.mark.heavy

ROOM = "lounge"


async def test_a_server_that_was_killed_and_started_again_gives_everybody_seat_and_sound_back(
    server: LocalServer,
) -> None:
    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(OpenLiveKit(SystemClock()))
        engine = await stack.enter_async_context(Engine(backend))
        clients = {
            who: await stack.enter_async_context(
                engine.client(who, microphone=lambda pitch=pitch: ToneAudioSource(pitch))
            )
            for who, pitch in {"ann": 440.0, "bob": 660.0, "cat": 880.0, "dan": 990.0}.items()
        }
        rooms = [
            await stack.enter_async_context(await clients["ann"].join_audio_room(ROOM, as_host=True)),
            await stack.enter_async_context(await clients["bob"].join_audio_room(ROOM)),
        ]
        await asyncio.gather(*(room.take_seat(number) for number, room in enumerate(rooms)))
        calls = [await stack.enter_async_context(clients[who].call_session("audio_call")) for who in ("cat", "dan")]
        await calls[0].start("dan")
        (ringing,) = await clients["dan"].incoming_calls.wait_for()
        await calls[1].accept(ringing.call_id)
        await asyncio.gather(
            hears(rooms[0], "bob"), hears(rooms[1], "ann"), hears(calls[0], "dan"), hears(calls[1], "cat")
        )
        t = time.monotonic()
        await asyncio.to_thread(server.kill)
        for s in (*rooms, *calls):
            await s.connected.wait_for(lambda c: not c, 60)
        print("down", time.monotonic() - t, [s.state.value for s in (*rooms, *calls)])
        await asyncio.to_thread(server.start)
        print("up", time.monotonic() - t)

        async def back(s, n):
            await s.connected.wait_for(lambda c: c, 90)
            print(n, "connected", time.monotonic() - t, s.state.value)

        await asyncio.gather(*(back(s, n) for n, s in enumerate((*rooms, *calls))))
        await asyncio.gather(
            hears(rooms[0], "bob"), hears(rooms[1], "ann"), hears(calls[0], "dan"), hears(calls[1], "cat")
        )
        print("heard", time.monotonic() - t, [c.status.value for c in calls])
