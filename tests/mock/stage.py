"""A mock backend in virtual time, and short words for what the tests do with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from utd_core.media.backend import ConnectOptions, FrameReader, PublishOptions
from utd_core.media.events import ConnectionState, MediaEvent, Notification, QualityChanged, SpeakersChanged
from utd_core.media.faults import Fault
from utd_core.media.frames import AudioFrame, Frame, PixelFormat, VideoFrame, frame_size
from utd_core.media.notices import NotificationStream
from utd_core.model.permission import Grant, TrackSource
from utd_core.testing import VirtualClock
from utd_mock import MockBackend
from utd_mock.connection import MockConnection
from utd_mock.local import MockLocalTrack
from utd_mock.rooms import Participant

E = TypeVar("E", bound=MediaEvent)
T = TypeVar("T")

ROOM = "room"
MICROPHONE = TrackSource.MICROPHONE
CAMERA = TrackSource.CAMERA
SPEAKER = Grant(publish=frozenset({MICROPHONE}))
EVERYTHING = Grant(publish=frozenset(TrackSource))
LISTENER = Grant()
AUDIO = PublishOptions(MICROPHONE)
VIDEO = PublishOptions(CAMERA, width=16, height=16)


class Stage:
    """One room on one mock server."""

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self.clock = VirtualClock()
        self.backend = MockBackend(settings, self.clock)
        self.control = self.backend.control
        self.server = self.backend.server

    async def join(
        self,
        identity: str,
        grant: Grant = EVERYTHING,
        *,
        room: str = ROOM,
        name: str = "",
        backend: MockBackend | None = None,
        options: ConnectOptions | None = None,
    ) -> MockConnection:
        ticket = await self.control.issue_join(room, identity, grant=grant, name=name)
        return await self.during((backend or self.backend).connect(ticket, options))

    async def publish(self, connection: MockConnection, options: PublishOptions = AUDIO) -> MockLocalTrack:
        track = await self.during(connection.publish(options))
        assert isinstance(track, MockLocalTrack)
        return track

    async def pair(self, options: PublishOptions = AUDIO) -> tuple[MockConnection, MockConnection, MockLocalTrack]:
        """Ann publishes, and bob is there to hear it."""
        ann, bob = await self.join("ann"), await self.join("bob")
        return ann, bob, await self.publish(ann, options)

    async def during(self, operation: Awaitable[T]) -> T:
        """The result of an operation; virtual time moves as far as it needs."""
        task = asyncio.ensure_future(operation)
        await self.clock.advance_until(task.done)
        return task.result()

    async def inject(self, fault: Fault, identity: str | None = None, /, **parameters: float) -> None:
        await self.backend.inject(fault, ROOM, identity, **parameters)

    def there(self, identity: str) -> Participant:
        """The server's own record."""
        return self.server.participant(ROOM, identity)


@asynccontextmanager
async def stage(**settings: Any) -> AsyncIterator[Stage]:
    """A stage with its room made; afterwards nobody sleeps and no task is left."""
    before = asyncio.all_tasks()
    made = Stage(settings)
    try:
        await made.control.create_room(ROOM)
        yield made
    finally:
        await made.backend.aclose()
    await made.clock.settle()
    assert made.clock.pending == ()
    assert asyncio.all_tasks() - before == set()


def sound(number: int = 0) -> AudioFrame:
    """A frame of 20 ms that knows its number."""
    return AudioFrame(number.to_bytes(2, "little") * 960, 48_000, timestamp_us=number * 20_000)


def picture(number: int = 0) -> VideoFrame:
    size = frame_size(16, 16, PixelFormat.I420)
    return VideoFrame(bytes([number % 256]) * size, 16, 16, timestamp_us=number * 33_333)


def seen(connection: MockConnection) -> list[MediaEvent]:
    """The events that wait, but for those about how things are meanwhile; all are taken."""
    return [event for event in taken(connection) if not isinstance(event, SpeakersChanged | QualityChanged)]


def taken(connection: MockConnection) -> list[MediaEvent]:
    """The events that wait, all of them."""
    events: list[MediaEvent] = []
    while (event := connection.events.get_nowait()) is not None:
        events.append(event)
    return events


def of(kind: type[E], events: list[MediaEvent]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def state_of(connection: MockConnection) -> ConnectionState:
    return connection.state


async def waiting_in(reader: FrameReader[Frame]) -> list[Frame]:
    """The frames that wait; they are taken."""
    return [await anext(reader) for _ in range(reader.statistics().waiting)]


async def notified(stream: NotificationStream) -> list[Notification]:
    """The notifications that wait; they are taken."""
    return [await anext(stream) for _ in range(stream.statistics().waiting)]
