"""What the client's tests share: an engine on the mock, virtual time, and shorthands for people in rooms."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from utd_core.client import (
    Observable,
    UTDAudioRoomSession,
    UTDCallSession,
    UTDLiveStreamSession,
    UTDSeat,
    UTDSession,
    UTDStreamClient,
)
from utd_core.client.policy import RetryPolicy
from utd_core.engine import Engine, EngineSettings
from utd_core.media.faults import Fault
from utd_core.media.sources.pattern import TestPatternVideoSource
from utd_core.media.sources.synthetic import ToneAudioSource
from utd_core.model.stream_type import UTDStreamType
from utd_core.testing import VirtualClock
from utd_core.testing.wait import eventually, within
from utd_mock import MockBackend

T = TypeVar("T")

ROOM = "lobby"
STEADY = RetryPolicy(spread=0.0)


def small_camera() -> TestPatternVideoSource:
    """A camera whose pictures cost next to nothing."""
    return TestPatternVideoSource(width=64, height=48, framerate=10.0)


def now(observable: Observable[T]) -> T:
    """Its value at this moment (a checker takes two looks at `.value` for the same)."""
    return observable.value


def held_by(session: UTDAudioRoomSession) -> UTDSeat | None:
    """The session's own seat at this moment."""
    return session.seat


class World:
    """`client(identity)` makes people; everything that was made is closed at the end, sessions first."""

    def __init__(self, settings: EngineSettings | None = None, **mock: Any) -> None:
        self.clock = VirtualClock()
        self.backend = MockBackend(mock, self.clock)
        self.engine = Engine(self.backend, clock=self.clock, settings=settings)
        self._clients = AsyncExitStack()
        self._sessions = AsyncExitStack()

    async def client(self, identity: str, **options: Any) -> UTDStreamClient:
        """Somebody who is signed in."""
        client = self.engine.client(identity, **{"microphone": ToneAudioSource, "retry": STEADY, **options})
        await self._clients.enter_async_context(client)
        return client

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

    async def settle(self) -> None:
        await self.clock.settle()

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
        await self._clients.aclose()
        await self.engine.aclose()
        await self.backend.aclose()
