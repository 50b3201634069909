"""Two participants on one webrtc_p2p backend in this process, on loopback, and lines to its switchboard by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from utd_core.concurrency import Clock, TaskScope
from utd_core.errors import Closed
from utd_core.media.backend import ConnectOptions, FrameReader, LocalTrack, PublishOptions
from utd_core.media.events import MediaEvent, TrackSubscribed
from utd_core.media.frames import Frame
from utd_core.model.permission import Grant, TrackSource
from utd_core.testing.contract.signals import tone
from utd_core.testing.wait import eventually
from utd_webrtc_p2p.backend import P2PBackend
from utd_webrtc_p2p.connection import P2PConnection
from utd_webrtc_p2p.protocol import FromControl, Hello, Message, read_from_control

T = TypeVar("T")
M = TypeVar("M")

ROOM = "room"
MICROPHONE, CAMERA = TrackSource.MICROPHONE, TrackSource.CAMERA
EVERYTHING = Grant(publish=frozenset(TrackSource))
LISTENER = Grant()
HUM = tone(440.0, seconds=0.2)
PATIENCE = 15.0


class Person:
    """A connection whose events are read at once."""

    def __init__(self, connection: P2PConnection, scope: TaskScope) -> None:
        self.connection = connection
        self.log: list[MediaEvent] = []
        self._scope = scope
        scope.start(self._read)

    async def _read(self) -> None:
        async for event in self.connection.events:
            self.log.append(event)

    def told(self, kind: type[M]) -> list[M]:
        return [event for event in self.log if isinstance(event, kind)]

    async def expect(self, kind: type[M], where: Callable[[M], bool] = lambda _: True, *, count: int = 1) -> M:
        def found() -> list[M]:
            events = [event for event in self.told(kind) if where(event)]
            return events if len(events) >= count else []

        return (await becomes(found, f"{count} {kind.__name__}"))[count - 1]

    async def publish(self, source: TrackSource = MICROPHONE, **options: Any) -> LocalTrack:
        return await self.connection.publish(PublishOptions(source, **options))

    async def reads(self, track: LocalTrack, *, capacity: int = 2_000) -> FrameReader[Frame]:
        await self.expect(TrackSubscribed, lambda event: event.track.id == track.info.id)
        return self.connection.read(track.info.id, capacity=capacity)

    def collect(self, reader: FrameReader[Frame]) -> list[Frame]:
        """What comes out of a reader, as it comes."""
        frames: list[Frame] = []

        async def read() -> None:
            async for frame in reader:
                frames.append(frame)

        self._scope.start(read)
        return frames


class Stage:
    """One room on one backend."""

    def __init__(self, clock: Clock | None = None, **settings: Any) -> None:
        self.backend = P2PBackend({"loopback": "always", **settings}, clock)
        self.scope = TaskScope("stage")

    async def join(
        self, identity: str, grant: Grant = EVERYTHING, options: ConnectOptions | None = None, *, room: str = ROOM
    ) -> Person:
        ticket = await self.backend.control.issue_join(room, identity, grant=grant)
        return Person(await self.backend.connect(ticket, options), self.scope)

    async def line(self, identity: str | None = None, grant: Grant = EVERYTHING) -> HandLine:
        """A line to the switchboard; with an identity, one that has said hello."""
        line = HandLine(self.backend)
        if identity is not None:
            ticket = await self.backend.control.issue_join(ROOM, identity, grant=grant)
            line.token = ticket.token
            line.say(Hello(token=ticket.token))
        return line

    def play(self, track: LocalTrack) -> None:
        """Let it hum until it is closed."""

        async def hum() -> None:
            clock, position = self.backend.clock, 0
            begin = clock.monotonic()
            while True:
                for frame in HUM:
                    await track.write(frame)
                    position += 1
                    await clock.sleep(begin + position * 0.02 - clock.monotonic())

        self.scope.start(until_closed, hum)


class HandLine:
    """What a foreign program would do: messages of its own making, and what comes back."""

    def __init__(self, backend: P2PBackend, caller: tuple[str, str] | None = None) -> None:
        self.heard: list[FromControl] = []
        self.is_hung_up = False
        self.token = ""
        desk = backend.board if caller is None else backend.control.signalling(*caller)
        self._line = desk.open_line(lambda message: self.heard.append(read_from_control(message)), self._end, self._end)

    def _end(self) -> None:
        self.is_hung_up = True

    def say(self, message: Message | bytes) -> None:
        self._line.receive(message if isinstance(message, bytes) else message.encode())

    def lose(self) -> None:
        self._line.lose()

    def of(self, kind: type[M]) -> list[M]:
        return [message for message in self.heard if isinstance(message, kind)]


@asynccontextmanager
async def stage(clock: Clock | None = None, **settings: Any) -> AsyncIterator[Stage]:
    """Opened with its room, and closed with everything in it."""
    made = Stage(clock, **settings)
    await made.scope.open()
    try:
        await made.backend.control.create_room(ROOM)
        yield made
    finally:
        await made.backend.aclose()
        await made.scope.aclose()


async def until_closed(work: Callable[[], Awaitable[None]]) -> None:
    """Work that ends with what it works on."""
    try:
        await work()
    except Closed:
        return


async def becomes(condition: Callable[[], T], what: str = "", *, timeout: float = PATIENCE) -> T:
    """The first truthy value of a condition."""
    return await eventually(condition, timeout, what=what)


def cut(person: Person) -> None:
    """Kill the way of a person's present peer connection: its sockets are gone, and nobody is told."""
    peer = person.connection.native.peer
    assert peer is not None
    assert peer.native is not None
    ice = peer.native.getTransceivers()[0].receiver.transport.transport._connection
    for protocol in ice._protocols:
        protocol.transport.abort()


async def soon() -> None:
    """Let what is under way inside this process arrive."""
    for _ in range(20):
        await asyncio.sleep(0)
