"""Calls between Python and a web page of plain WebRTC, in a browser that nobody here wrote."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.browser.page import Page, Server, browser, serving
from tests.browser.sound import hear_beeps, likeness
from utd_core import UTDCallStatus, UTDStreamClient
from utd_core.cli.demo.devices import Microphone, Voice, open_camera
from utd_core.client import UTDCallSession
from utd_core.concurrency import SystemClock
from utd_core.media.frames import VideoFrame
from utd_core.model.permission import TrackSource

pytestmark = pytest.mark.heavy

SETTINGS = {"loopback": "always"}
PICTURES = 10
PATIENCE = 30.0


class Bob:
    """Somebody in Python, with the recorded voice."""

    def __init__(self, server: Server, voice: Voice) -> None:
        self.voice = voice
        self.microphone: Microphone
        self.client = UTDStreamClient(
            server.app_id,
            server.key,
            base_url=server.address,
            media={"webrtc_p2p": SETTINGS},
            identity="bob",
            microphone=self._open_microphone,
            camera=open_camera,
        )

    def _open_microphone(self) -> Microphone:
        self.microphone = Microphone(self.voice, SystemClock())
        return self.microphone


@asynccontextmanager
async def ann_and_bob(folder: Path) -> AsyncIterator[tuple[Page, Bob]]:
    """The page, where ann has signed in, and bob in Python."""
    async with serving(folder, "browser_call", "webrtc_p2p", SETTINGS) as server:
        bob = Bob(server, await Voice.load())
        async with browser(server.origin) as page, bob.client:
            fields = {"server": server.address, "appId": server.app_id, "key": server.key, "identity": "ann"}
            await page.do("fill", form="sign-in", **fields)
            await page.until("#dial:not([hidden])")
            yield page, bob


async def test_a_page_calls_and_is_called_and_both_hear_and_see_each_other(tmp_path: Path) -> None:
    async with ann_and_bob(tmp_path) as (page, bob):
        async with bob.client.call_session("video_call") as call:
            await page.do("fill", form="dial", callee="bob")
            (ringing,) = await bob.client.incoming_calls.wait_for()
            await call.accept(ringing.call_id)
            await converse(page, bob, call)
            await page.do("press", id="hang-up")
            await call.status.wait_for(lambda status: status is UTDCallStatus.ENDED)
        async with bob.client.call_session("video_call") as call:
            await call.start("ann")
            await call.status.wait_for(lambda status: status is UTDCallStatus.ACTIVE)
            await page.until("#state", "connected")
            before, after = await page.do("lose_signal")
            assert before == after == 1
            await converse(page, bob, call)
            await call.end()
            await page.until("#state", "over")


async def converse(page: Page, bob: Bob, call: UTDCallSession) -> None:
    """Each hears and sees the other."""
    await page.until("#state", "connected")
    await page.do("listen", selector="#theirs")
    bob.microphone.speak()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(hear_beeps(call, "ann"), see(call), bob.microphone.wait_finished())
    heard = base64.b64decode(await page.do("heard", seconds=0.5))
    assert await asyncio.to_thread(likeness, bob.voice, heard) >= 0.8
    assert await page.do("pictures", count=PICTURES) == {"width": 320, "height": 240, "count": PICTURES}


async def see(call: UTDCallSession) -> None:
    """Look until several different pictures of its made-up camera were seen."""
    pictures: set[bytes] = set()
    async with call.frames("ann", TrackSource.CAMERA) as frames:
        while len(pictures) < PICTURES:
            frame = await anext(frames)
            assert isinstance(frame, VideoFrame)
            assert min(frame.width, frame.height) >= 120
            pictures.add(frame.data)
