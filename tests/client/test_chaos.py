"""Six people do everything at once, on a bad network, by chance; afterwards the world must make sense.

Each seed is one repeatable run. What must hold in the end:

- everybody's mirrored room is the engine's, to the last field;
- who is heard holds a seat, and what the media server carries is what its publisher believes to publish;
- nobody is in the media room whose session is over, and no task is left.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from utd_core.client import UTDAudioRoomSession
from utd_core.errors import ConnectionLost, DeadlineExceeded, InvalidInput, PublishRefused, Refused, Superseded
from utd_core.media.faults import Fault
from utd_core.model.commands import GetRoom
from utd_core.model.permission import TrackSource
from utd_core.model.results import RoomSnapshot
from utd_core.model.roles import Role
from utd_core.testing.leaks import Snapshot, assert_no_leaks

from .world import ROOM, Way, World

PEOPLE = ("ann", "bob", "cleo", "dan", "eve")
STEPS = 60
FAULTS = (
    Fault.SIGNAL_DROP,
    Fault.FULL_RECONNECT,
    Fault.SERVER_LEAVE,
    Fault.TOKEN_EXPIRY,
    Fault.GRANT_FAILURE,
)
FREQUENT = {"take": 6, "toggle": 4, "rejoin": 4, "answer": 3, "ask": 2}

Act = Callable[[random.Random, UTDAudioRoomSession, UTDAudioRoomSession], Awaitable[object]]


def person(chance: random.Random) -> str:
    return chance.choice(PEOPLE)


def seat(chance: random.Random) -> int:
    return chance.randrange(4)


async def answer(chance: random.Random, session: UTDAudioRoomSession) -> None:
    for request in session.requests.value:
        if request.to == session.identity:
            await (session.accept_invitation if chance.random() < 0.7 else session.decline_invitation)(request.id)
        elif chance.random() < 0.5:
            await (session.approve_speaker if chance.random() < 0.7 else session.reject_speaker)(request.id)


ACTS: dict[str, Act] = {
    "take": lambda chance, _, me: me.take_seat(chance.choice([None, 0, 1, 2, 3]), grant_timeout=3.0),
    "leave seat": lambda chance, _, me: me.leave_seat(),
    "toggle": lambda chance, _, me: me.set_microphone(chance.random() < 0.6),
    "move": lambda chance, _, me: me.move_seat(chance.choice([None, 0, 1, 2, 3])),
    "ask": lambda chance, _, me: me.request_to_speak(),
    "answer": lambda chance, host, me: answer(chance, chance.choice([host, me])),
    "invite": lambda chance, host, _: host.invite_to_speak(person(chance), chance.choice([None, 2])),
    "clear": lambda chance, host, _: host.clear_seat(seat(chance)),
    "lock": lambda chance, host, _: host.lock_seat(seat(chance), audio=chance.random() < 0.3),
    "unlock": lambda chance, host, _: host.unlock_seat(seat(chance), audio=chance.random() < 0.5),
    "mute": lambda chance, host, _: host.mute_seat(seat(chance)),
    "unmute": lambda chance, host, _: host.unmute_seat(seat(chance)),
    "swap": lambda chance, host, _: host.swap_seats(seat(chance), seat(chance)),
    "role": lambda chance, host, _: host.set_role(person(chance), chance.choice([Role.AUDIENCE, Role.SPEAKER])),
    "kick": lambda chance, host, _: host.kick(person(chance)),
    "data": lambda chance, _, me: me.send_data(b"hello"),
    "leave": lambda chance, _, me: me.leave(),
    "rejoin": lambda chance, _, me: me.rejoin(),
}


async def attempt(act: Awaitable[object]) -> None:
    """Refusals are the rules at work, and connections may be lost; everything else would be a bug."""
    with suppress(Refused, InvalidInput, Superseded, ConnectionLost, PublishRefused, DeadlineExceeded):
        await act


@pytest.mark.parity("U22", "U23")
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("latency_ms", [0, 15])
async def test_whatever_happens_the_world_makes_sense_afterwards(way: Way, seed: int, latency_ms: int) -> None:
    before = Snapshot.take()
    chance = random.Random(f"{seed}/{latency_ms}")
    async with World(way, latency_ms=latency_ms, jitter_ms=latency_ms, seed=seed) as world:
        host = await world.audio_room("host", as_host=True, options={"seat_count": 4, "empty_timeout": 3_600.0})
        everybody = [await world.audio_room(identity) for identity in PEOPLE]
        acting: list[asyncio.Future[None]] = []
        for _ in range(STEPS):
            if chance.random() < 0.15:
                await hurt(world, chance)
            (name,) = chance.choices(list(ACTS), [FREQUENT.get(act, 1) for act in ACTS])
            acting.append(asyncio.ensure_future(attempt(ACTS[name](chance, host, chance.choice(everybody)))))
            if chance.random() < 0.6:
                await world.clock.advance(chance.choice([0.0, 0.001, 0.02, 0.3, 2.0]))
        await world.run(asyncio.gather(*acting), timeout=200.0)
        await world.clock.advance(120.0)
        await check(world, [host, *everybody])
    await assert_no_leaks(before)


async def hurt(world: World, chance: random.Random) -> None:
    fault, identity = chance.choice(FAULTS), person(chance)
    parameters = {"seconds": chance.choice([0.1, 3.0])} if fault in FAULTS[:2] else {}
    if identity in world.backend.server.rooms[ROOM].participants:
        await world.run(world.backend.inject(fault, ROOM, identity, **parameters))


async def check(world: World, sessions: list[UTDAudioRoomSession]) -> None:
    snapshot: RoomSnapshot = await world.engine.execute(GetRoom(room=ROOM))
    room, there = snapshot.room, world.backend.server.rooms[ROOM].participants
    connected = {session.identity for session in sessions if session.connected.value}
    assert set(there) == connected
    for session in sessions:
        identity = session.identity
        if identity not in connected:
            assert session.state.value == "disconnected"
            assert session.room.publishing.value == frozenset()
            assert room.grid.seat_of(identity) is None
            continue
        assert session._mirrored == room, identity
        assert session.seats.value == room.grid
        assert session.requests.value == tuple(room.requests.values())
        heard = {track.info.source for track in there[identity].tracks if not track.info.muted}
        assert heard == session.room.publishing.value, identity
        held = room.grid.seat_of(identity)
        may_speak = held is not None and not (held.muted_audio or held.audio_locked)
        assert (TrackSource.MICROPHONE in there[identity].grant.publish) == may_speak, identity
        assert may_speak or not there[identity].tracks, identity
