"""What every scene needs: people, recorders, sessions that are left in the end, and somebody who speaks."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TypeVar

from ...client import Observable, UTDRoomSession, UTDSession, UTDStreamClient
from ...concurrency import Clock, within
from ...errors import DeadlineExceeded, UTDStreamException
from .board import Board
from .devices import Speech
from .listener import Hearing
from .performers import PATIENCE, NearPerformer, Performer
from .report import Take

WARM_UP = 3.0
"""Seconds after which somebody speaks although a listener does not hear the open microphone yet."""
TAIL = 0.3
"""Seconds of silence after the last word, besides those that the first sound needed to the slowest listener."""

S = TypeVar("S", bound=UTDSession)
T = TypeVar("T")


class Stage:
    """One scene while it is played; see `raise_curtain`."""

    def __init__(
        self, scene: str, cast: Mapping[str, Performer], listeners: Sequence[Hearing], clock: Clock, board: Board
    ) -> None:
        self.room = f"utd-demo-{scene}-{secrets.token_hex(3)}"
        """The name for a room of this scene: unique, because a media server may have other guests."""
        self._cast = cast
        self._listeners = listeners
        self._clock = clock
        self._board = board
        self._exits = AsyncExitStack()

    async def open(self) -> None:
        """Make the recordings' files. Raises `MediaError`."""
        for performer in self._cast.values():
            self._exits.push_async_callback(performer.leave)
            await performer.prepare()

    async def aclose(self) -> None:
        """Leave every session, the last one first, stop the recorders and finish the files. Raises `MediaError`."""
        await self._exits.aclose()

    def performer(self, identity: str) -> Performer:
        """One of the cast, wherever it is."""
        return self._cast[identity]

    def client(self, identity: str) -> UTDStreamClient:
        """The client of one of the cast who is in this process."""
        return self._near(identity).client

    def say(self, text: str) -> None:
        """Tell the audience what has happened."""
        self._board.say(text)

    def show(self, identity: str) -> None:
        """Let the audience see seats, stage or call as the session of one of the cast sees them."""
        self._board.session = self._cast[identity].session

    async def enter(self, joining: Awaitable[S]) -> S:
        """Join; the session is left when the scene ends."""
        session = await joining
        return self._near(session.identity).keep(session)

    def end_with(self, host: UTDRoomSession) -> None:
        """End the host's room for everybody when the scene ends."""

        async def end() -> None:
            with suppress(UTDStreamException):
                await host.end_room("the demo is over")

        self._near(host.identity).before_leaving(end)

    async def listen(self, *names: str) -> None:
        """Those who have joined begin to play their parts."""
        for name in names:
            await self._cast[name].listen()

    def takes(self) -> list[Take]:
        """The recordings, to be judged when the scene is over."""
        return [Take(each, self._cast[each.part.hears].speech) for each in self._listeners]

    async def until(self, what: str, observable: Observable[T], holds: Callable[[T], object] = bool) -> T:
        """The value for which `holds`. Raises `DeadlineExceeded` that names what did not happen."""
        return await observable.wait_for(holds, PATIENCE, what=what)

    async def speak(self, *names: str, apart: float = 0.0) -> None:
        """They say the voice, each `apart` seconds after the one before; then silence.

        Nobody begins before every listener hears the open microphones, or `WARM_UP` has passed. Raises
        `DeadlineExceeded` when a microphone does not open, or a voice cannot be said to its end.
        """
        for name in names:
            await self._cast[name].has_opened()
        await self._warm_up()
        for number, name in enumerate(names):
            if number:
                await self._clock.sleep(apart)
            self.say(f"{name} speaks")
            await self._cast[name].speak()
        for name in names:
            speech = self._speech(name)
            seconds = speech.seconds + PATIENCE
            unfinished = f"{name} could not say the voice to its end within {seconds:g} s"
            await within(self._clock, seconds, self._cast[name].has_spoken(), unfinished)
            self.say(f"{name} has spoken: the latest frame was {speech.worst_lateness * 1_000:.1f} ms late")
        await self._clock.sleep(TAIL + self._longest_way())

    def _near(self, identity: str) -> NearPerformer:
        performer = self._cast[identity]
        assert isinstance(performer, NearPerformer), "only calls of two are played in several processes"
        return performer

    def _speech(self, identity: str) -> Speech:
        speech = self._cast[identity].speech
        assert speech is not None, "the microphone is open"
        return speech

    async def _warm_up(self) -> None:
        """Wait until everybody hears something, for a while."""

        async def all_hear() -> None:
            for listener in self._listeners:
                await self._cast[listener.part.identity].hears_something()

        with suppress(DeadlineExceeded):
            await within(self._clock, WARM_UP, all_hear(), "somebody hears nothing")

    def _longest_way(self) -> float:
        """Seconds from a microphone's first frame to its arrival at the slowest of those who hear it."""
        ways = [0.0]
        for listener in self._listeners:
            opened_at = self._speech(listener.part.hears).opened_at
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
