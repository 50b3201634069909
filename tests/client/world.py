"""What the client's tests share: an engine on the mock, virtual time, and shorthands for people in rooms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

from utd_core.client import (
    EngineLink,
    Observable,
    UTDAudioRoomSession,
    UTDCallSession,
    UTDLiveStreamSession,
    UTDSeat,
    UTDSession,
    UTDStreamClient,
)
from utd_core.client.embedded import EmbeddedLink
from utd_core.client.policy import RetryPolicy
from utd_core.client.remote import ASGITransport, RemoteLink
from utd_core.concurrency import Clock
from utd_core.engine import Engine, EngineSettings
from utd_core.media.backend import MediaBackend
from utd_core.media.events import TrackInfo
from utd_core.media.faults import Fault
from utd_core.media.sources.pattern import TestPatternVideoSource
from utd_core.media.sources.synthetic import ToneAudioSource
from utd_core.model.stream_type import UTDStreamType
from utd_core.server import App, Project, ProjectFlags, ProjectLimits, SingleHost
from utd_core.server.pusher import PusherMount
from utd_core.testing import VirtualClock
from utd_core.testing.leaks import Snapshot, leaks_since
from utd_core.testing.wait import eventually, within
from utd_mock import MockBackend

T = TypeVar("T")
ClockT = TypeVar("ClockT", bound=Clock)
BackendT = TypeVar("BackendT", bound=MediaBackend)

ROOM = "lobby"
STEADY = RetryPolicy(spread=0.0)
BASE_URL = "http://engine.test"
EVENTS_URL = "ws://engine.test/app"

Way = Literal["embedded", "remote"]


def a_project(app_id: str) -> Project:
    """One whose key signs anybody in, as fast as they like."""
    limits = ProjectLimits(identity_commands_per_second=None)
    return Project(app_id, "key", ("secret",), flags=ProjectFlags(allow_app_key_identity_mint=True), limits=limits)


def small_camera() -> TestPatternVideoSource:
    """A camera whose pictures cost next to nothing."""
    return TestPatternVideoSource(width=64, height=48, framerate=10.0)


async def left_behind(before: Snapshot) -> list[str]:
    """What is there that was not; but the engine's own workers, which begin with the first work, are not counted."""
    return [line for line in await leaks_since(before) if not line.startswith("task engine:")]


def now(observable: Observable[T]) -> T:
    """Its value at this moment (a checker takes two looks at `.value` for the same)."""
    return observable.value


def held_by(session: UTDAudioRoomSession) -> UTDSeat | None:
    """The session's own seat at this moment."""
    return session.seat


class WorldOf(ABC, Generic[ClockT, BackendT]):
    """`client(identity)` makes people; everything that was made is closed at the end, sessions first.

    `way` is how they reach the engine: in the process, or as a server, whose requests and sockets are played on the
    same loop and in the same time.
    """

    def __init__(self, way: Way, clock: ClockT, backend: BackendT, settings: EngineSettings | None = None) -> None:
        self.way = way
        self.clock = clock
        self.backend = backend
        self.engine = Engine(self.backend, clock=self.clock, settings=settings)
        host = SingleHost(self.engine, a_project(self.engine.app_id))
        self.app = App(host, mounts=[PusherMount(host)])
        self.transport = ASGITransport(self.app)
        self._clients = AsyncExitStack()
        self._sessions = AsyncExitStack()

    async def client(self, identity: str, **options: Any) -> UTDStreamClient:
        """Somebody who is signed in."""
        client = self.new_client(identity, **{"microphone": ToneAudioSource, "retry": STEADY, **options})
        await self._clients.enter_async_context(client)
        return client

    def new_client(self, identity: str | None = None, **options: Any) -> UTDStreamClient:
        """Somebody who is not signed in yet, and whom nobody closes."""
        if self.way == "embedded":
            return self.engine.client(identity, **options)
        return UTDStreamClient(link=self.new_link(retry=options.get("retry")), identity=identity, **options)

    def new_link(self, **options: Any) -> EngineLink:
        """A link of nobody yet."""
        if self.way == "embedded":
            return EmbeddedLink(self.engine)
        project = a_project(self.engine.app_id)
        given = {"base_url": BASE_URL, "media": self.backend, "transport": self.transport, "clock": self.clock}
        return RemoteLink(project.app_id, project.key, **{**given, **options})

    async def audio_room(
        self, identity: str, *, as_host: bool = False, options: dict[str, Any] | None = None, **client: Any
    ) -> UTDAudioRoomSession:
        """Somebody new in the audio room."""
        joining = await self.client(identity, **client)
        return await self.keep(await self.run(joining.join_audio_room(ROOM, as_host=as_host, **(options or {}))))

    async def live_stream(
        self, identity: str, *, as_host: bool = False, options: dict[str, Any] | None = None, **client: Any
    ) -> UTDLiveStreamSession:
        """Somebody new in the live stream, with a camera."""
        joining = await self.client(identity, **{"camera": small_camera, **client})
        return await self.keep(await self.run(joining.join_live_stream(ROOM, as_host=as_host, **(options or {}))))

    async def caller(self, identity: str, type: str = "audio_call", **client: Any) -> UTDCallSession:
        """Somebody new with a call session."""
        calling = await self.client(identity, **{"camera": small_camera, **client})
        return await self.keep(calling.call_session(UTDStreamType(type)))

    async def keep(self, session: T) -> T:
        """Close a session at the end."""
        assert isinstance(session, UTDSession)
        await self._sessions.enter_async_context(session)
        return session

    async def until(self, condition: Any, timeout: float = 60.0, what: str = "") -> None:
        """Move time until a condition holds."""
        await eventually(condition, timeout, clock=self.clock, what=what)

    async def run(self, operation: Awaitable[T], timeout: float = 60.0) -> T:
        """Move time until an operation ends."""
        return await within(operation, timeout, clock=self.clock)

    @abstractmethod
    async def settle(self) -> None:
        """Let everything that is under way arrive."""

    async def published(self, identity: str, room: str = ROOM) -> tuple[TrackInfo, ...]:
        """What somebody publishes, as the media backend itself has it; nothing of who is not there."""
        there = await self.run(self.backend.control.list_participants(room))
        return next((who.tracks for who in there if who.identity == identity), ())

    async def fault(self, fault: Fault, room: str, identity: str, **parameters: float) -> None:
        await self.backend.inject(fault, room, identity, **parameters)
        await self.settle()

    async def __aenter__(self) -> Self:
        await self.engine.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.run(self._sessions.aclose())
        await self.run(self._clients.aclose())
        await self.run(self.app.aclose())
        await self.transport.aclose()
        await self.engine.aclose()
        await self.backend.aclose()


class World(WorldOf[VirtualClock, MockBackend]):
    """On the mock, in virtual time."""

    def __init__(self, way: Way = "embedded", settings: EngineSettings | None = None, **mock: Any) -> None:
        clock = VirtualClock()
        super().__init__(way, clock, MockBackend(mock, clock), settings)

    async def settle(self) -> None:
        await self.clock.settle()
