"""Every cell of the session's table that somebody can pull: by the application, by the network, or by the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import product

import pytest

from utd_core.client import UTDAudioRoomSession, UTDCallSession
from utd_core.errors import UTDStreamException
from utd_core.media.faults import Fault
from utd_core.model.session import SESSION, SessionState, SessionTrigger

from .world import ROOM, Way, World, now

S, T = SessionState, SessionTrigger
LATENCY_MS = 50
APPLICATION = (T.CONNECT, T.LEAVE, T.CLOSE)
CELLS = [cell for cell in product(S, T) if cell in SESSION.table or cell[1] in APPLICATION]
"""Without the cells in which nothing could happen: a connection that is not there is not lost."""

Session = UTDAudioRoomSession | UTDCallSession


@pytest.fixture
async def world(way: Way) -> AsyncIterator[World]:
    """A network on which connecting takes its time."""
    async with World(way, latency_ms=LATENCY_MS) as world:
        yield world


class Scene:
    """A session in some state, and what pulls its triggers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.session: Session
        self.host: UTDAudioRoomSession
        self.joining: asyncio.Future[None] | None = None

    async def bring_to(self, state: SessionState) -> None:
        self.host = await self.world.audio_room("host", as_host=True)
        if state is S.IDLE:
            self.session = await self.world.caller("guest")
            return
        self.session = await self.world.audio_room("guest")
        match state:
            case S.CONNECTING:
                await self.leave()
                await self.connect()
            case S.RECONNECTING:
                await self.lose(60.0)
            case S.DISCONNECTED:
                await self.leave()
            case S.CLOSED:
                await self.close()

    async def connect(self) -> None:
        """Begins to connect; how it goes on is another trigger."""
        joining = asyncio.ensure_future(self._join())
        await self.world.settle()
        if joining.done():
            await joining
        self.joining = joining

    async def _join(self) -> None:
        if isinstance(self.session, UTDCallSession):
            await self.session.start("bob")
        else:
            await self.session.rejoin()

    async def succeed(self) -> None:
        assert self.joining is not None
        await self.world.run(self.joining)

    async def fail(self) -> None:
        assert self.joining is not None
        await self.world.run(self.host.end_room())
        with suppress(UTDStreamException):
            await self.world.run(self.joining)

    async def lose(self, seconds: float = 10.0) -> None:
        await self.world.fault(Fault.SIGNAL_DROP, ROOM, "guest", seconds=seconds)
        await self.world.until(lambda: now(self.session.state) is not S.CONNECTED)

    async def recover(self) -> None:
        await self.world.clock.advance(61.0)

    async def give_up(self) -> None:
        await self.world.run(self.host.kick("guest"))
        await self.world.until(lambda: now(self.session.state) is S.DISCONNECTED)

    async def leave(self) -> None:
        await self.world.run(self.session.leave())

    async def close(self) -> None:
        await self.world.run(self.session.aclose())

    def pull(self, trigger: SessionTrigger) -> Awaitable[None]:
        pulls: dict[SessionTrigger, Callable[[], Awaitable[None]]] = {
            T.CONNECT: self.connect,
            T.SUCCEED: self.succeed,
            T.FAIL: self.fail,
            T.LOSE: self.lose,
            T.RECOVER: self.recover,
            T.GIVE_UP: self.give_up,
            T.LEAVE: self.leave,
            T.CLOSE: self.close,
        }
        return pulls[trigger]()

    async def aclose(self) -> None:
        await self.close()
        if self.joining is not None:
            with suppress(UTDStreamException):
                await self.joining


@pytest.mark.parametrize(("state", "trigger"), CELLS)
async def test_a_session_follows_its_table(world: World, state: SessionState, trigger: SessionTrigger) -> None:
    scene = Scene(world)
    await scene.bring_to(state)
    assert now(scene.session.state) is state
    seen: list[SessionState] = []
    scene.session.state.subscribe(seen.append)
    if (state, trigger) in SESSION.table:
        await scene.pull(trigger)
        await world.settle()
        assert now(scene.session.state) is SESSION.table[state, trigger]
    elif trigger is T.CONNECT:
        with pytest.raises(UTDStreamException) as caught:
            await scene.pull(trigger)
        assert caught.value.code == SESSION.refusal(state, trigger).code
        assert now(scene.session.state) is state
    else:
        # To leave and to close may be said as often as one likes.
        await scene.pull(trigger)
        assert now(scene.session.state) is state
        assert seen == []
    await scene.aclose()


def test_what_is_left_out_is_what_only_a_connection_brings() -> None:
    assert {trigger for state, trigger in product(S, T) if (state, trigger) not in CELLS} == set(T) - set(APPLICATION)
