"""An audio room of Python and a page of stock livekit-client and pusher-js, in a browser that nobody here wrote."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.page import LIVEKIT, PUSHER, browser, web_server
from tests.browser.sound import hear_beeps, likeness
from tests.server.serving.process import served
from utd_core.cli.demo.devices import Microphone, Voice
from utd_core.client import UTDStreamClient
from utd_core.concurrency import SystemClock
from utd_core.testing.wait import eventually
from utd_livekit.server.local import LocalServer
from utd_livekit.server.wire import Wire

pytestmark = pytest.mark.heavy

ROOM = "lounge"
PATIENCE = 30.0
AT_ONCE = 1.0
"""Seconds until somebody without a seat is silent."""


@dataclass(frozen=True)
class Server:
    """`utd serve`, which takes pages of another web server's `origin`."""

    address: str
    app_id: str
    key: str
    origin: str


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Server]:
    """An engine with a LiveKit server, which takes pages of another web server."""
    async with AsyncExitStack() as stack:
        sfu = LocalServer()
        await asyncio.to_thread(stack.enter_context, sfu)
        wire = await stack.enter_async_context(Wire(sfu.url))
        origin = stack.enter_context(web_server(folder / "page", "audio_room", PUSHER, LIVEKIT))
        listed = json.dumps([origin])
        options = ("--media", "livekit", "--set", f"http.origins={listed}", "--set", f"sockets.origins={listed}")
        settings = json.dumps({**sfu.settings, "public_url": await wire.open()})
        running = stack.enter_context(served(folder, *options, UTD_MEDIA_SETTINGS=settings))
        key = await asyncio.to_thread(running.wait_for, r"^ +key +(\S+)")
        yield Server(running.address, running.headers["X-App-Id"], key[1], origin)
        assert await asyncio.to_thread(running.end) == 0


async def test_a_page_hears_and_is_heard_from_a_seat_and_from_nowhere_else(tmp_path: Path, server: LocalServer) -> None:
    voice, microphones = await Voice.load(), list[Microphone]()

    def open_microphone() -> Microphone:
        microphones.append(Microphone(voice, SystemClock()))
        return microphones[-1]

    async with serving(tmp_path) as engine, browser(engine.origin) as page:
        bob = UTDStreamClient(
            engine.app_id, engine.key, base_url=engine.address, identity="bob", microphone=open_microphone
        )
        async with bob, await bob.join_audio_room(ROOM, as_host=True, seat_count=4) as room:
            await room.take_seat(0)
            who = {"server": engine.address, "appId": engine.app_id, "key": engine.key, "identity": "ann"}
            await page.do("fill", form="enter", **who, room=ROOM)
            await page.until("#state", "inside")
            await page.until("#seats", "bob")
            await page.until("audio[data-of=bob]")
            await page.do("listen", selector="audio[data-of=bob]")
            microphones[0].speak()
            heard = base64.b64decode(await page.do("heard", seconds=0.5))
            assert await asyncio.to_thread(likeness, voice, heard) >= 0.8

            await page.do("press", id="take")
            await page.until("#seats .own", "ann")
            async with asyncio.timeout(PATIENCE):
                await hear_beeps(room, "ann")
            await page.until("#state.heard", "inside")

            seat = room.seats.value.seat_of("ann")
            assert seat is not None
            await room.clear_seat(seat.index)
            await room.remote_participants.wait_for(lambda others: not any(other.tracks for other in others), AT_ONCE)
            await page.until("#state:not(.heard)", "inside")

            await page.do("press", id="take")
            async with asyncio.timeout(PATIENCE):
                await hear_beeps(room, "ann")
            await page.do("press", id="leave")
            await page.until("#state", "over")
            await eventually(lambda: not room.remote_participants.value, PATIENCE)
