"""An audio room of Python and a page of stock livekit-client and pusher-js, in a browser that nobody here wrote."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from livekit.rtc._proto.e2ee_pb2 import EncryptionType

from tests.browser.page import Page, Server, browser, serving
from tests.browser.sound import hear_beeps, likeness
from utd_core.cli.demo.devices import Microphone, Voice
from utd_core.client import UTDSession, UTDStreamClient
from utd_core.concurrency import SystemClock
from utd_core.media.encryption import EncryptionKey
from utd_core.testing.wait import eventually
from utd_livekit.server.local import LocalServer
from utd_livekit.server.wire import Wire

pytestmark = pytest.mark.heavy

ROOM, VAULT = "lounge", "vault"
SECRET = "what the participants agreed on"
PATIENCE = 30.0
AT_ONCE = 1.0
"""Seconds until somebody without a seat is silent."""


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[Server]:
    """An engine with a LiveKit server, which takes pages of another web server."""
    async with AsyncExitStack() as stack:
        sfu = LocalServer()
        await asyncio.to_thread(stack.enter_context, sfu)
        wire = await stack.enter_async_context(Wire(sfu.url))
        settings = {**sfu.settings, "public_url": await wire.open()}
        yield await stack.enter_async_context(serving(folder, "audio_room", "livekit", settings))


class Bob:
    """Somebody in Python. `speak`: the voice, into the microphone that his session has opened."""

    def __init__(self, engine: Server, voice: Voice, **options: Any) -> None:
        self._voice = voice
        self._microphones: list[Microphone] = []
        self.client = UTDStreamClient(
            engine.app_id, engine.key, base_url=engine.address, identity="bob", microphone=self._open, **options
        )

    def speak(self) -> None:
        self._microphones[0].speak()

    def _open(self) -> Microphone:
        self._microphones.append(Microphone(self._voice, SystemClock()))
        return self._microphones[-1]


async def enters_and_hears(page: Page, engine: Server, bob: Bob, voice: Voice, **where: str) -> None:
    """Ann enters a room by the page, and hears what bob says there."""
    who = {"server": engine.address, "appId": engine.app_id, "key": engine.key, "identity": "ann"}
    await page.do("fill", form="enter", **who, **where)
    await page.until("#state", "inside")
    await page.until("#seats", "bob")
    await page.until("audio[data-of=bob]")
    await page.do("listen", selector="audio[data-of=bob]")
    bob.speak()
    heard = base64.b64decode(await page.do("heard", seconds=0.5))
    assert await asyncio.to_thread(likeness, voice, heard) >= 0.8


async def test_a_page_hears_and_is_heard_from_a_seat_and_from_nowhere_else_and_with_a_secret_too(
    tmp_path: Path, server: LocalServer
) -> None:
    voice = await Voice.load()
    async with house(tmp_path) as engine, browser(engine.origin) as page:
        await in_the_clear(page, engine, voice)
        await with_a_secret(page, engine, voice)


async def in_the_clear(page: Page, engine: Server, voice: Voice) -> None:
    bob = Bob(engine, voice)
    async with bob.client, await bob.client.join_audio_room(ROOM, as_host=True, seat_count=4) as room:
        await room.take_seat(0)
        await enters_and_hears(page, engine, bob, voice, room=ROOM)

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


async def with_a_secret(page: Page, engine: Server, voice: Voice) -> None:
    bob = Bob(engine, voice, e2ee=EncryptionKey(SECRET))
    async with bob.client, await bob.client.join_audio_room(VAULT, as_host=True, seat_count=4) as room:
        await room.take_seat(0)
        await enters_and_hears(page, engine, bob, voice, room=VAULT, secret=SECRET)
        await page.do("press", id="take")
        async with asyncio.timeout(PATIENCE):
            await hear_beeps(room, "ann")
        assert encryption_of(room, "ann") == [EncryptionType.GCM]


def encryption_of(room: UTDSession, identity: str) -> list[int]:
    """How the tracks of somebody are encrypted, as the server tells. Who has the key hears those in the clear too."""
    connection: Any = room.room.native
    return [each.encryption_type for each in connection.remote_participants[identity].track_publications.values()]
