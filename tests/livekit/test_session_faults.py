"""Everything that can happen to somebody on a seat, on a real server, ends as `docs/how-to/livekit.md` says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.client.world import ROOM
from utd_core.client import EndReason, RetryPolicy, SessionState, UTDAudioRoomSession
from utd_core.concurrency import SystemClock
from utd_core.engine import Engine
from utd_core.media.faults import Fault
from utd_core.testing.wait import eventually
from utd_livekit.backend import LiveKitBackend
from utd_livekit.control import LiveKitControl
from utd_livekit.server.local import LocalServer
from utd_livekit.testing import OpenLiveKit

from .hearing import PATIENCE, hears, hum
from .page import Row, documented
from .world import LiveKitWorld

pytestmark = pytest.mark.heavy

SEAT = 1
SOON = RetryPolicy(patience=2.0)
OUTAGE = 2.0
NAP = 900.0
"""Seconds; LiveKit's renewed tickets are good for 600."""
ENDS = (SessionState.CONNECTED, SessionState.DISCONNECTED)
GONE = (EndReason.REMOVED, EndReason.BANNED, EndReason.CONNECTION_LOST)
AT_ONCE = 3
"""Rooms; more of them are a test of the machine."""


class Scene:
    """A room of its own, whose host hears the victim on a seat."""

    def __init__(
        self, backend: LiveKitBackend, room: str, host: UTDAudioRoomSession, victim: UTDAudioRoomSession
    ) -> None:
        self.backend = backend
        self.room = room
        self.host = host
        self.victim = victim

    @property
    def control(self) -> LiveKitControl:
        return self.backend.control

    @property
    def who(self) -> str:
        return self.victim.identity

    async def inject(self, fault: Fault, **parameters: float) -> None:
        await self.backend.inject(fault, self.room, self.who, **parameters)

    @property
    def is_seated(self) -> bool:
        """As the host sees it."""
        return self.host.seats.value.seat_of(self.who) is not None

    async def outcome(self, happen: Happening) -> Row:
        """What the victim's session makes of it; of a room that is over the seats are nobody's business."""
        states: list[SessionState] = []
        self.victim.state.subscribe(states.append)
        await happen(self)
        await eventually(lambda: states and states[-1] in ENDS, PATIENCE, what="it is over")
        end = self.victim.ended.value
        if end is None:
            await hears(self.host, self.who)
            return Row(tuple(states), "", "kept" if self.is_seated else "lost")
        if end.reason is EndReason.ROOM_ENDED:
            return Row(tuple(states), end.reason, "")
        if end.reason in GONE:
            await eventually(lambda: not self.is_seated, PATIENCE, what="the seat is free")
        return Row(tuple(states), end.reason, "kept" if self.is_seated else "lost")


Happening = Callable[[Scene], Awaitable[object]]

HAPPENINGS: Mapping[str, Happening] = {
    "the signal is lost for 2 s": lambda scene: scene.inject(Fault.SIGNAL_DROP, seconds=OUTAGE),
    "the SDK rebuilds its connection": lambda scene: scene.inject(Fault.FULL_RECONNECT),
    "the server shuts down in good order": lambda scene: scene.inject(Fault.SERVER_LEAVE),
    "the ticket has run out while the signal was away": lambda scene: scene.inject(Fault.TOKEN_EXPIRY),
    "somebody else connects with this identity": lambda scene: scene.inject(Fault.DUPLICATE_IDENTITY),
    "a moderator removes him": lambda scene: scene.host.kick(scene.who),
    "a moderator bans him": lambda scene: scene.host.ban(scene.who),
    "somebody removes him at LiveKit itself": lambda scene: scene.control.remove_participant(scene.room, scene.who),
    "the room ends": lambda scene: scene.host.end_room(),
    "somebody deletes the room at LiveKit itself": lambda scene: scene.control.close_room(scene.room),
}
DEATH = "the server dies, and nobody starts it again"
RESTART = "the server dies, and is started again"


@asynccontextmanager
async def scene(engine: Engine, backend: LiveKitBackend, room: str) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        ann = await stack.enter_async_context(engine.client(f"ann-{room}"))
        bob = await stack.enter_async_context(engine.client(f"bob-{room}", microphone=hum("bob"), retry=SOON))
        host = await stack.enter_async_context(await ann.join_audio_room(room, as_host=True))
        victim = await stack.enter_async_context(await bob.join_audio_room(room))
        await victim.take_seat(SEAT)
        await hears(host, victim.identity)
        yield Scene(backend, room, host, victim)


async def outcome(
    engine: Engine, backend: LiveKitBackend, room: str, happen: Happening, turn: asyncio.Semaphore
) -> Row:
    async with turn, scene(engine, backend, room) as here:
        return await here.outcome(happen)


async def outcome_of_death() -> Row:
    """On a server that nobody else needs."""
    mortal = LocalServer()
    try:
        await asyncio.to_thread(mortal.start)
        settings = {**mortal.settings, "server": mortal}
        async with LiveKitBackend(settings, SystemClock()) as backend, Engine(backend) as engine:
            return await outcome(engine, backend, "lounge", die, asyncio.Semaphore())
    finally:
        await asyncio.to_thread(mortal.stop)


async def die(scene: Scene) -> None:
    await scene.inject(Fault.NODE_FAILURE)


async def test_every_session_ends_as_its_page_says(server: LocalServer) -> None:
    rows = documented()
    assert set(rows) == {*HAPPENINGS, DEATH, RESTART}
    turn = asyncio.Semaphore(AT_ONCE)
    async with OpenLiveKit(SystemClock()) as backend, Engine(backend) as engine, asyncio.TaskGroup() as together:
        found = {DEATH: together.create_task(outcome_of_death())}
        for number, (name, happen) in enumerate(HAPPENINGS.items()):
            found[name] = together.create_task(outcome(engine, backend, f"room-{number}", happen, turn))
    wrong = {name: row.result() for name, row in found.items() if row.result() != rows[name]}
    assert wrong == {}


async def test_who_was_asleep_until_ticket_and_token_had_run_out_is_back_by_himself_over_the_network(
    server: LocalServer,
) -> None:
    await asyncio.to_thread(server.start)
    async with LiveKitWorld("remote", server) as world:
        host, sleeper = await world.audio_room("host", as_host=True), await world.audio_room("sleeper")
        await sleeper.take_seat(SEAT)
        async with host.frames("sleeper") as frames:
            await world.run(anext(frames))
            states: list[SessionState] = []
            sleeper.state.subscribe(states.append)
            await world.backend.inject(Fault.SIGNAL_DROP, ROOM, "sleeper", seconds=NAP)
            await world.until(lambda: states)
            await world.clock.advance(NAP)
            await world.backend.inject(Fault.TOKEN_EXPIRY, ROOM, "sleeper")
            await world.until(lambda: len(states) > 1)
            for _ in range(60):
                await world.run(anext(frames))
        assert states == [SessionState.RECONNECTING, SessionState.CONNECTED]
        assert sleeper.ended.value is None
