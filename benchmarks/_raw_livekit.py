"""LiveKit's Python SDK alone: what somebody writes with it who needs no engine, no permissions and no second try."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Self

from livekit import api, rtc

from utd_core.media.frames import AudioFrame, VideoFrame
from utd_livekit.server.local import LocalServer

RATE = 48_000

Frames = Callable[[int], AudioFrame | VideoFrame]
"""The frame of a number, from 0."""
Heard = Callable[[bytes], None]


class Server:
    """The server's API, and tickets that are made here."""

    def __init__(self, server: LocalServer) -> None:
        self.url = server.url
        self._keys = (server.api_key, server.api_secret)
        self._api = api.LiveKitAPI(server.url, *self._keys)

    async def create_room(self, room: str) -> None:
        await self._api.room.create_room(api.CreateRoomRequest(name=room))

    def token(self, room: str, identity: str) -> str:
        """With every permission."""
        grants = api.VideoGrants(room_join=True, room=room)
        return api.AccessToken(*self._keys).with_identity(identity).with_grants(grants).to_jwt()

    async def allow(self, room: str, identity: str, may_publish: bool) -> None:
        """`update_participant`, with the permission of somebody who has a seat or of one who has none."""
        permission = api.ParticipantPermission(
            can_subscribe=True,
            can_publish=may_publish,
            can_publish_data=True,
            can_publish_sources=[api.TrackSource.MICROPHONE, api.TrackSource.CAMERA] if may_publish else [],
        )
        change = api.UpdateParticipantRequest(room=room, identity=identity, permission=permission)
        await self._api.room.update_participant(change)

    async def aclose(self) -> None:
        await self._api.aclose()


class Person:
    """Somebody in a room, who plays one thing and takes every frame of the others."""

    def __init__(self, heard: Heard | None = None) -> None:
        self.room = rtc.Room()
        self._heard = heard
        self._source: rtc.AudioSource | rtc.VideoSource | None = None
        self._playing: asyncio.Task[None] | None = None
        self._published = ""
        self._hearing: set[asyncio.Task[None]] = set()

    async def connect(self, url: str, token: str) -> Self:
        if self._heard is not None:
            self.room.on("track_subscribed", self._hear)
            self.room.on("track_unsubscribed", self._stop_hearing)
        await self.room.connect(url, token)
        return self

    async def publish_sound(self, frames: Frames, interval: float) -> None:
        source = self._source = rtc.AudioSource(RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track("voice", source)
        await self._publish(track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))

        async def play(frame: AudioFrame | VideoFrame) -> None:
            assert isinstance(frame, AudioFrame)
            await source.capture_frame(rtc.AudioFrame(frame.data, RATE, 1, frame.samples_per_channel))

        self._playing = asyncio.create_task(_in_time(frames, interval, play))

    async def publish_pictures(self, frames: Frames, interval: float, width: int, height: int, bitrate: int) -> None:
        source = self._source = rtc.VideoSource(width, height)
        track = rtc.LocalVideoTrack.create_video_track("film", source)
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False, video_codec=rtc.VideoCodec.VP8
        )
        options.video_encoding.max_framerate = 1 / interval
        options.video_encoding.max_bitrate = bitrate
        await self._publish(track, options)

        async def play(frame: AudioFrame | VideoFrame) -> None:
            assert isinstance(frame, VideoFrame)
            picture = rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, frame.data)
            source.capture_frame(picture, timestamp_us=frame.timestamp_us)

        self._playing = asyncio.create_task(_in_time(frames, interval, play))

    async def unpublish(self) -> None:
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.wait([self._playing])
        await self.room.local_participant.unpublish_track(self._published)
        if self._source is not None:
            await self._source.aclose()

    async def wait_silent(self) -> None:
        """Wait until everybody has taken back what they published."""
        while self._hearing:
            await asyncio.wait(self._hearing)

    async def aclose(self) -> None:
        if self._playing is not None:
            self._playing.cancel()
        await self.room.disconnect()
        for hearing in self._hearing:
            hearing.cancel()

    async def _publish(self, track: Any, options: rtc.TrackPublishOptions) -> None:
        self._published = (await self.room.local_participant.publish_track(track, options)).sid

    def _hear(self, track: rtc.Track, *_: Any) -> None:
        hearing = asyncio.create_task(self._listen(track), name=track.sid)
        self._hearing.add(hearing)
        hearing.add_done_callback(self._hearing.discard)

    def _stop_hearing(self, track: rtc.Track, *_: Any) -> None:
        for hearing in self._hearing:
            if hearing.get_name() == track.sid:
                hearing.cancel()

    async def _listen(self, track: rtc.Track) -> None:
        assert self._heard is not None
        stream: Any
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            stream = rtc.AudioStream.from_track(track=track, sample_rate=RATE, num_channels=1, frame_size_ms=20)
        else:
            stream = rtc.VideoStream.from_track(track=track, format=rtc.VideoBufferType.I420)
        try:
            async for event in stream:
                self._heard(event.frame.data)
        finally:
            await stream.aclose()


async def _in_time(frames: Frames, interval: float, play: Callable[[Any], Any]) -> None:
    began = time.monotonic()
    for number in count():
        await asyncio.sleep(max(0.0, began + number * interval - time.monotonic()))
        await play(frames(number))
