"""A seat is what is heard: from the moment it is taken, and never again once it is lost, whatever the client does.

The clients here are the SDK itself without a session, on an engine with a room; what counts is what the SFU hands on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from time import monotonic

import pytest

from utd_core.concurrency import SystemClock
from utd_core.engine import Engine
from utd_core.model.command import Actor
from utd_core.model.commands import JoinRoom, LeaveSeat, RemoveParticipant, TakeSeat
from utd_core.model.results import UTDTokenResponse
from utd_core.model.stream_type import UTDStreamType
from utd_core.testing.wait import eventually
from utd_livekit.server.local import LocalServer
from utd_livekit.testing import OpenLiveKit

from .rebel import Ear, Rebel
from .signalling import Signalling

pytestmark = pytest.mark.heavy

ROOM = "stage"
HOST = Actor("host")
AT_ONCE = 1.0
PATIENCE = 20.0

Act = Callable[[Engine, str, int], Awaitable[object]]

ACTS: dict[str, Act] = {
    "leaves": lambda engine, who, seat: engine.execute(LeaveSeat(room=ROOM), actor=Actor(who)),
    "is_kicked": lambda engine, who, seat: engine.execute(RemoveParticipant(room=ROOM, identity=who), actor=HOST),
    "is_blocked": lambda engine, who, seat: engine.execute(
        RemoveParticipant(room=ROOM, identity=who, block=True), actor=HOST
    ),
}
"""How a seat is lost, by whom it happens to."""


@pytest.fixture
async def engine(server: LocalServer) -> AsyncIterator[Engine]:
    """An engine with a room of its host's."""
    async with OpenLiveKit(SystemClock()) as backend, Engine(backend) as engine:
        await join(engine, HOST.identity, as_host=True)
        yield engine


async def join(engine: Engine, identity: str, *, as_host: bool = False) -> UTDTokenResponse:
    command = JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM, as_host=as_host)
    ticket: UTDTokenResponse = await engine.execute(command, actor=Actor(identity))
    return ticket


async def sit(engine: Engine, identity: str) -> int:
    seat = await engine.execute(TakeSeat(room=ROOM), actor=Actor(identity))
    return int(seat.index)


async def test_who_lost_a_seat_is_silent_within_a_second_though_he_goes_on_and_comes_back(
    engine: Engine, record_property: Callable[[str, object], None]
) -> None:
    ear, seats, tickets = Ear(), dict[str, int](), dict[str, list[str]]()
    spectator = await join(engine, "ear")
    async with ear.listening(spectator.url, spectator.token), AsyncExitStack() as stack:
        rebels = {who: Rebel(spectator.url) for who in ACTS}
        for who, rebel in rebels.items():
            first = await join(engine, who)
            async with Signalling.open(first.url, first.token) as signalling:
                seats[who] = await sit(engine, who)
                newer = await signalling.ticket_for("microphone")
            seated = await join(engine, who)
            tickets[who] = [first.token, newer, seated.token]
            await stack.enter_async_context(rebel.at_work(seated.token))
        await eventually(lambda: len(ear.heard) == len(rebels), PATIENCE, what="everybody on a seat is heard")

        acted = monotonic()
        await asyncio.gather(*(act(engine, who, seats[who]) for who, act in ACTS.items()))
        assert await heard_later(ear) == {}
        record_property("silent after", {who: round(frames[-1] - acted, 3) for who, frames in ear.heard.items()})

        await asyncio.gather(*(rebel.come_back(tickets[who]) for who, rebel in rebels.items()))
        assert await heard_later(ear) == {}

        before, sat = len(ear.heard["leaves"]), monotonic()
        await sit(engine, "leaves")
        await eventually(lambda: len(ear.heard["leaves"]) > before, PATIENCE, what="he is heard again")
        record_property("heard after", round(ear.heard["leaves"][before] - sat, 3))


async def heard_later(ear: Ear) -> dict[str, int]:
    """Loud frames by who sent them, from a second after now on."""
    await asyncio.sleep(AT_ONCE)
    before = {who: len(frames) for who, frames in ear.heard.items()}
    await asyncio.sleep(AT_ONCE)
    return {who: more for who, frames in ear.heard.items() if (more := len(frames) - before.get(who, 0))}
