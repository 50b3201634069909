"""People in one LiveKit room, with what they play and what they hear and see."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from utd_core.concurrency import SystemClock, TaskScope
from utd_core.media.backend import (
    ConnectOptions,
    FrameReader,
    LocalTrack,
    PublishOptions,
    TrackStatistics,
    WireStatistics,
)
from utd_core.media.events import DataReceived, TrackInfo, TrackSubscribed
from utd_core.media.frames import Frame
from utd_core.media.pump import pump_track
from utd_core.media.sources.base import AudioSource, VideoSource
from utd_core.model.permission import Grant, TrackSource
from utd_core.testing.wait import eventually
from utd_livekit.backend import LiveKitBackend
from utd_livekit.connection import LiveKitConnection

MICROPHONE, CAMERA = TrackSource.MICROPHONE, TrackSource.CAMERA
SCREEN, SCREEN_SOUND = TrackSource.SCREEN_SHARE, TrackSource.SCREEN_SHARE_AUDIO
EVERYTHING = Grant(publish=frozenset(TrackSource), publish_data=True)
CLOCK = SystemClock()
PATIENCE = 30.0
"""Seconds for what takes one on a machine with nothing else to do."""


async def becomes(condition: Callable[[], Any], what: str) -> None:
    """Wait until it is so. `condition` may be a coroutine function."""
    await eventually(condition, PATIENCE, what=what)


@dataclass
class Person:
    """A connected participant. `said`: the data that came. `offered`: tracks that were ever subscribed."""

    stage: Stage
    connection: LiveKitConnection
    said: list[bytes] = field(default_factory=list)
    offered: list[TrackInfo] = field(default_factory=list)

    async def publish(self, source: TrackSource, **shape: Any) -> LocalTrack:
        return await self.connection.publish(PublishOptions(source, **shape))

    async def read(self, track: LocalTrack | TrackInfo) -> FrameReader[Frame]:
        """A reader of a track as soon as it is subscribed."""
        track_id = track.id if isinstance(track, TrackInfo) else track.info.id
        await becomes(lambda: track_id in {one.id for one in self.offered}, "the subscription")
        return self.connection.read(track_id, capacity=500)

    async def collect(self, track: LocalTrack | TrackInfo) -> list[Any]:
        """The frames of a track from now on, as soon as it is subscribed."""
        frames: list[Frame] = []
        self.stage.scope.start(_collect, await self.read(track), frames)
        return frames

    async def listen(self) -> None:
        """Take what the room tells, to its end."""
        async for event in self.connection.events:
            match event:
                case DataReceived():
                    self.said.append(event.payload)
                case TrackSubscribed():
                    self.offered.append(event.track)

    async def wire_in(self, track: LocalTrack) -> WireStatistics:
        """What came of a track over the network."""
        return _wire((await self.connection.statistics()).received, track)

    async def wire_out(self, track: LocalTrack) -> WireStatistics:
        """What was sent of a track over the network."""
        return _wire((await self.connection.statistics()).sent, track)


@dataclass
class Stage:
    """One room."""

    backend: LiveKitBackend
    scope: TaskScope
    people: AsyncExitStack
    room: str = field(default_factory=lambda: f"room-{uuid.uuid4().hex[:8]}")

    async def join(self, identity: str, **options: Any) -> Person:
        ticket = await self.backend.control.issue_join(self.room, identity, grant=EVERYTHING)
        connection = await self.backend.connect(ticket, replace(ConnectOptions(deadline=PATIENCE), **options))
        await self.people.enter_async_context(connection)
        person = Person(self, connection)
        self.scope.start(person.listen)
        return person

    def play(self, source: AudioSource | VideoSource, track: LocalTrack) -> None:
        """Beside the test, until the source ends."""
        self.scope.start(pump_track, source, track, CLOCK)


@asynccontextmanager
async def stage(backend: LiveKitBackend) -> AsyncIterator[Stage]:
    """A room that is there for the block."""
    scope = TaskScope("stage")
    await scope.open()
    try:
        async with AsyncExitStack() as people:
            here = Stage(backend, scope, people)
            await backend.control.create_room(here.room)
            yield here
    finally:
        await scope.aclose()
    await backend.control.close_room(here.room)


async def _collect(reader: AsyncIterator[Frame], frames: list[Frame]) -> None:
    async for frame in reader:
        frames.append(frame)


def _wire(tracks: Iterable[TrackStatistics], track: LocalTrack) -> WireStatistics:
    (found,) = [each.wire for each in tracks if each.track.id == track.info.id]
    return found or WireStatistics()
