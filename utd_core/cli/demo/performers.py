"""Those who play: what a scene asks of them, wherever they are, and those in this process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

from ...client import Observable, UTDCallSession, UTDSession, UTDStreamClient, UTDStreamType
from ...concurrency import Clock, TaskScope
from ...media.sources.base import AudioSourceBase
from ...media.sources.pattern import TestPatternVideoSource
from ...model.permission import TrackSource
from .board import Board
from .devices import Microphone, Speech, Voice, open_camera
from .listener import Hearing, Listener, Part

PATIENCE = 10.0
"""Seconds after which a step that does not happen breaks its scene off."""

S = TypeVar("S", bound=UTDSession)
T = TypeVar("T")
MakeClient = Callable[
    [str, Callable[[], AudioSourceBase], Callable[[], TestPatternVideoSource] | None], UTDStreamClient
]
"""Makes the client of an identity, from what opens its microphone and its camera (None: it has none)."""


class Performer(ABC):
    """One of the cast. A scene begins with `prepare` and ends with `leave`; what is between raises
    `UTDStreamException` when it cannot be done, and `DeadlineExceeded` when it does not happen.
    """

    identity: str

    @property
    @abstractmethod
    def speech(self) -> Speech | None:
        """Of the microphone that was opened in the present scene."""

    @property
    @abstractmethod
    def session(self) -> UTDSession | None:
        """The latest session of the scene; None also where it is in another process."""

    @abstractmethod
    def cast_as(self, part: Part, path: Path, origin: float) -> Hearing:
        """Whom to listen to in the next scene, recording into a file; `origin`: the clock at the recording's begin."""

    @abstractmethod
    async def prepare(self) -> None:
        """A scene begins. Raises `MediaError` when the recording's file cannot be made."""

    @abstractmethod
    async def leave(self) -> None:
        """The scene is over: sessions are left and the recording is finished. Idempotent. Raises `MediaError`."""

    @abstractmethod
    async def call(self, callee: str, kind: UTDStreamType) -> None:
        """Call somebody."""

    @abstractmethod
    async def ring(self, kind: UTDStreamType) -> None:
        """Wait for a call, and let it ring."""

    @abstractmethod
    async def answer(self) -> None:
        """Answer the call that rings."""

    @abstractmethod
    async def hang_up(self) -> None:
        """End the call."""

    @abstractmethod
    async def listen(self) -> None:
        """Begin to play the part."""

    @abstractmethod
    async def hears_something(self) -> None:
        """Wait for the first sound of the one who is listened to, for ever if need be."""

    @abstractmethod
    async def has_opened(self) -> None:
        """Wait until the microphone is open."""

    @abstractmethod
    async def speak(self) -> None:
        """Begin to say the voice."""

    @abstractmethod
    async def has_spoken(self) -> None:
        """Wait for the end of the voice, for ever if need be."""


class NearPerformer(Performer):
    """One in this process: a client whose microphone says the voice, and whose camera (if any) shows a test pattern."""

    def __init__(
        self, identity: str, make_client: MakeClient, clock: Clock, voice: Voice, board: Board, *, has_camera: bool
    ) -> None:
        self.identity = identity
        self.microphone: Microphone | None = None
        """The one that was opened in the present scene."""
        self._clock = clock
        self._voice = voice
        self._board = board
        self._session: UTDSession | None = None
        self._listener: Listener | None = None
        self._exits = AsyncExitStack()
        self._recorders = TaskScope(f"recorders of {identity}")
        self.client = make_client(identity, self._open_microphone, open_camera if has_camera else None)

    @property
    def speech(self) -> Microphone | None:
        return self.microphone

    @property
    def session(self) -> UTDSession | None:
        return self._session

    def cast_as(self, part: Part, path: Path, origin: float) -> Listener:
        self._listener = Listener(part, path, self._clock, origin)
        return self._listener

    async def prepare(self) -> None:
        self.microphone = self._session = None
        if self._listener is not None:
            self._exits.push_async_callback(self._listener.aclose)
            await self._listener.open()
        self._recorders = TaskScope(f"recorders of {self.identity}")
        self._exits.push_async_callback(self._recorders.aclose)
        await self._recorders.open()

    async def leave(self) -> None:
        await self._exits.aclose()
        self._listener = None

    def keep(self, session: S) -> S:
        """The session is left when the scene ends."""
        self._session = session
        self._exits.push_async_callback(session.aclose)
        return session

    def before_leaving(self, act: Callable[[], Awaitable[None]]) -> None:
        """What is done when the scene ends, before the sessions are left that there are by now."""
        self._exits.push_async_callback(act)

    async def call(self, callee: str, kind: UTDStreamType) -> None:
        await self.keep(self.client.call_session(kind)).start(callee)

    async def ring(self, kind: UTDStreamType) -> None:
        session = self.keep(self.client.call_session(kind))
        ringing = await self._until(f"the ringing at {self.identity}'s", self.client.incoming_calls)
        await session.ringing(ringing[0].call_id)

    async def answer(self) -> None:
        ringing = await self._until(f"the ringing at {self.identity}'s", self.client.incoming_calls)
        await self._call.accept(ringing[0].call_id)

    async def hang_up(self) -> None:
        await self._call.end()

    async def listen(self) -> None:
        assert self._listener is not None, "it has a part"
        assert self._session is not None, "it has joined"
        self._recorders.start(self._listener.listen, self._session, name=f"{self.identity} listens")
        if self._listener.part.sees is not None:
            self._recorders.start(self._listener.watch, self._session, name=f"{self.identity} watches")

    async def hears_something(self) -> None:
        assert self._listener is not None, "it has a part"
        await self._listener.hears.wait()

    async def has_opened(self) -> None:
        assert self._session is not None, "it has joined"
        is_open = f"the opening of the microphone of {self.identity}"
        await self._until(is_open, self._session.room.publishing, lambda sources: TrackSource.MICROPHONE in sources)

    async def speak(self) -> None:
        assert self.microphone is not None, "it is open"
        self.microphone.speak()

    async def has_spoken(self) -> None:
        assert self.microphone is not None, "it is open"
        await self.microphone.wait_finished()

    @property
    def _call(self) -> UTDCallSession:
        assert isinstance(self._session, UTDCallSession), "it is in a call"
        return self._session

    async def _until(self, what: str, observable: Observable[T], holds: Callable[[T], object] = bool) -> T:
        return await observable.wait_for(holds, PATIENCE, what=what)

    def _open_microphone(self) -> Microphone:
        self.microphone = Microphone(self._voice, self._clock)
        self._board.opened(self.identity, self.microphone)
        return self.microphone
