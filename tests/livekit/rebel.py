"""Somebody with the SDK itself, who sends whatever he is told and comes back with every ticket he ever had; and an ear
at the SFU, which hears whoever is heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic

from livekit import rtc

from utd_core.concurrency import TaskScope
from utd_core.testing.contract import signals
from utd_livekit.sdk import let_go_of_room

LOUD = 300
"""The sample from which a frame counts as heard (int16)."""
_RATE, _CHANNELS = 48_000, 1
_PAUSE = 0.2
"""Seconds between two attempts."""
_STAY = 0.5
"""Seconds that one visit with an old ticket takes."""


class Ear:
    """Hears everybody in a room, inside `listening`. `heard`: when (`monotonic`) a loud frame came from whom."""

    def __init__(self) -> None:
        self.heard: dict[str, list[float]] = {}
        self._scope = TaskScope("ear")

    @asynccontextmanager
    async def listening(self, url: str, token: str) -> AsyncIterator[None]:
        room = rtc.Room()
        room.on("track_subscribed", self._listen)
        await self._scope.open()
        await room.connect(url, token)
        try:
            yield
        finally:
            await self._scope.aclose()
            await room.disconnect()
            let_go_of_room(room)

    def _listen(self, track: rtc.Track, _: rtc.RemoteTrackPublication, whose: rtc.RemoteParticipant) -> None:
        self._scope.start(self._hear, track, whose.identity)

    async def _hear(self, track: rtc.Track, identity: str) -> None:
        stream = rtc.AudioStream(track, sample_rate=_RATE, num_channels=_CHANNELS, frame_size_ms=20, capacity=50)
        try:
            async for event in stream:
                if max(event.frame.data) > LOUD:
                    self.heard.setdefault(identity, []).append(monotonic())
        finally:
            await stream.aclose()


class Rebel:
    """Inside `at_work` he speaks in the room of the ticket, and publishes again and again whatever becomes of that."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._source = rtc.AudioSource(_RATE, _CHANNELS, 200)
        self._room = rtc.Room()
        self._scope = TaskScope("rebel")
        self._coming_back: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def at_work(self, token: str) -> AsyncIterator[None]:
        await self._scope.open()
        await self._room.connect(self._url, token)
        self._scope.start(self._speak)
        self._scope.start(self._publish_again_and_again)
        try:
            yield
        finally:
            if self._coming_back is not None:
                # Never cancelled: a connect of the SDK's that is cancelled ends the process.
                await asyncio.wait([self._coming_back])
            await self._scope.aclose()
            await _leave(self._room)
            await self._source.aclose()

    async def come_back(self, tickets: Sequence[str]) -> None:
        """Come in with one ticket after the other, and stay with the last."""
        self._coming_back = asyncio.create_task(self._come_back(tickets))
        await asyncio.shield(self._coming_back)

    async def _speak(self) -> None:
        while True:
            for frame in signals.tone(440.0, seconds=0.4):
                await self._source.capture_frame(rtc.AudioFrame(frame.data, _RATE, _CHANNELS, 960))
                await asyncio.sleep(0.02)

    async def _publish_again_and_again(self) -> None:
        over: set[str] = set()
        while True:
            if self._room.isconnected():
                me = self._room.local_participant
                if rtc.TrackSource.SOURCE_MICROPHONE not in me.permissions.can_publish_sources:
                    # The SDK keeps a track in its list that ended with its permission.
                    over = set(me.track_publications)
                if not set(me.track_publications) - over:
                    # Where it is not allowed the SDK says so after 10 s; he does not wait for that.
                    self._scope.start(self._publish, me)
            await asyncio.sleep(_PAUSE)

    async def _publish(self, me: rtc.LocalParticipant) -> None:
        track = rtc.LocalAudioTrack.create_audio_track("raw", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        with suppress(rtc.participant.PublishTrackError):
            await me.publish_track(track, options)

    async def _come_back(self, tickets: Sequence[str]) -> None:
        for token in tickets:
            # In the place of the connection that is there: the engine is told of nobody who went.
            before, self._room = self._room, rtc.Room()
            with suppress(rtc.ConnectError):
                await self._room.connect(self._url, token, rtc.RoomOptions(connect_timeout=2.0))
                await asyncio.sleep(_STAY)
            await _leave(before)


async def _leave(room: rtc.Room) -> None:
    await room.disconnect()
    let_go_of_room(room)
