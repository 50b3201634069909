"""What every scene needs: people, recorders, sessions that are left in the end, and somebody who speaks."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TypeVar

from ...client import Observable, UTDRoomSession, UTDSession, UTDStreamClient
from ...concurrency import Clock, TaskScope, within
from ...engine import Engine
from ...errors import DeadlineExceeded, UTDStreamException
from ...model.permission import TrackSource
from .board import Board
from .devices import Microphone, Voice, open_camera
from .listener import Listener
from .report import Take

PATIENCE = 10.0
"""Seconds after which a step that does not happen breaks its scene off."""
WARM_UP = 3.0
"""Seconds after which somebody speaks although a listener does not hear the open microphone yet."""
TAIL = 0.3
"""Seconds of silence after the last word, besides those that the first sound needed to the slowest listener."""

S = TypeVar("S", bound=UTDSession)
T = TypeVar("T")


class Performer:
    """One of the cast: a client whose microphone says the voice, and whose camera (if any) shows the test pattern."""

    def __init__(self, engine: Engine, identity: str, voice: Voice, board: Board, *, has_camera: bool) -> None:
        self.identity = identity
        self.microphone: Microphone | None = None
        """The one that was opened in the present scene."""
        self._voice = voice
        self._clock = engine.clock
        self._board = board
        self.client: UTDStreamClient = engine.client(
            identity,
            name=identity.capitalize(),
            microphone=self._open_microphone,
            camera=open_camera if has_camera else None,
        )

    def _open_microphone(self) -> Microphone:
        self.microphone = Microphone(self._voice, self._clock)
        self._board.opened(self.identity, self.microphone)
        return self.microphone


class Stage:
    """One scene while it is played; see `raise_curtain`."""

    def __init__(
        self,
        scene: str,
        cast: Mapping[str, Performer],
        listeners: Iterable[Listener],
        clock: Clock,
        board: Board,
    ) -> None:
        self.room = f"utd-demo-{scene}-{secrets.token_hex(3)}"
        """The name for a room of this scene: unique, because a media server may have other guests."""
        self._scene = scene
        self._cast = cast
        self._listeners = {listener.part.identity: listener for listener in listeners}
        self._clock = clock
        self._board = board
        self._recorders = TaskScope(f"recorders of {scene}")
        self._exits = AsyncExitStack()

    async def open(self) -> None:
        """Make the recordings' files. Raises `MediaError`."""
        for performer in self._cast.values():
            performer.microphone = None
        for listener in self._listeners.values():
            self._exits.push_async_callback(listener.aclose)
            await listener.open()
        self._exits.push_async_callback(self._recorders.aclose)
        await self._recorders.open()

    async def aclose(self) -> None:
        """Leave every session, the last one first, stop the recorders and finish the files. Raises `MediaError`."""
        await self._exits.aclose()

    def client(self, identity: str) -> UTDStreamClient:
        """The client of one of the cast."""
        return self._cast[identity].client

    def say(self, text: str) -> None:
        """Tell the audience what has happened."""
        self._board.say(text)

    def show(self, session: UTDSession) -> None:
        """Let the audience see seats, stage or call as this session sees them."""
        self._board.session = session

    async def enter(self, joining: Awaitable[S]) -> S:
        """Join; the session is left when the scene ends."""
        return self.keep(await joining)

    def keep(self, session: S) -> S:
        """The session is left when the scene ends."""
        self._exits.push_async_callback(session.aclose)
        return session

    def end_with(self, host: UTDRoomSession) -> None:
        """End the host's room for everybody when the scene ends."""

        async def end() -> None:
            with suppress(UTDStreamException):
                await host.end_room("the demo is over")

        self._exits.push_async_callback(end)

    def listen(self, *sessions: UTDSession) -> None:
        """Those who are in these sessions begin to play their parts."""
        for session in sessions:
            listener = self._listeners[session.identity]
            self._recorders.start(listener.listen, session, name=f"{session.identity} listens")
            if listener.part.sees is not None:
                self._recorders.start(listener.watch, session, name=f"{session.identity} watches")

    def takes(self) -> list[Take]:
        """The recordings, to be judged when the scene is over."""
        return [Take(each, self._cast[each.part.hears].microphone) for each in self._listeners.values()]

    async def until(self, what: str, observable: Observable[T], holds: Callable[[T], object] = bool) -> T:
        """The value for which `holds`. Raises `DeadlineExceeded` that names what did not happen."""
        return await observable.wait_for(holds, PATIENCE, what=what)

    async def speak(self, *sessions: UTDSession, apart: float = 0.0) -> None:
        """Those whose sessions these are say the voice, each `apart` seconds after the one before; then silence.

        Nobody begins before every listener hears the open microphones, or `WARM_UP` has passed. Raises
        `DeadlineExceeded` when a microphone does not open, or a voice cannot be said to its end.
        """
        for session in sessions:
            is_open = f"the opening of the microphone of {session.identity}"
            await self.until(is_open, session.room.publishing, lambda sources: TrackSource.MICROPHONE in sources)
        await self._warm_up()
        microphones = [(session.identity, self._microphone(session.identity)) for session in sessions]
        for number, (identity, microphone) in enumerate(microphones):
            if number:
                await self._clock.sleep(apart)
            self.say(f"{identity} speaks")
            microphone.speak()
        for identity, microphone in microphones:
            seconds = microphone.seconds + PATIENCE
            unfinished = f"{identity} could not say the voice to its end within {seconds:g} s"
            await within(self._clock, seconds, microphone.wait_finished(), unfinished)
            self.say(f"{identity} has spoken: the latest frame was {microphone.worst_lateness * 1_000:.1f} ms late")
        await self._clock.sleep(TAIL + self._longest_way())

    def _microphone(self, identity: str) -> Microphone:
        microphone = self._cast[identity].microphone
        assert microphone is not None, "it is open"
        return microphone

    async def _warm_up(self) -> None:
        """Wait until everybody hears something, for a while."""

        async def all_hear() -> None:
            for listener in self._listeners.values():
                await listener.hears.wait()

        with suppress(DeadlineExceeded):
            await within(self._clock, WARM_UP, all_hear(), "somebody hears nothing")

    def _longest_way(self) -> float:
        """Seconds from a microphone's first frame to its arrival at the slowest of those who hear it."""
        ways = [0.0]
        for listener in self._listeners.values():
            opened_at = self._microphone(listener.part.hears).opened_at
            if listener.first_at is not None and opened_at is not None:
                ways.append(listener.first_at - opened_at)
        return max(ways)


@asynccontextmanager
async def raise_curtain(stage: Stage) -> AsyncIterator[Stage]:
    """The stage, opened; what the scene began is ended, however it ends. Raises as `Stage.open` and `aclose`."""
    try:
        await stage.open()
        yield stage
    finally:
        await stage.aclose()
