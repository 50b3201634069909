"""Four people call each other by chance, pick up, reject, hang up and lose their connections, all at once.

In the end both sides of every call agree on how it stands; once everybody has hung up, nobody is in a call any more.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import pytest

from utd_core.client import UTDCallSession, UTDStreamClient
from utd_core.errors import (
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    InvalidInput,
    PublishRefused,
    Refused,
    Superseded,
)
from utd_core.media.faults import Fault
from utd_core.model.commands import GetCall
from utd_core.model.permission import TrackSource
from utd_core.model.results import UTDCall
from utd_core.testing.leaks import Snapshot, assert_no_leaks

from .world import Way, World, WorldOf

PEOPLE = ("ann", "bob", "cleo", "dan")
STEPS = 50


async def attempt(act: Awaitable[object]) -> None:
    """Refusals are the rules at work, and connections may be lost; everything else would be a bug."""
    with suppress(Refused, InvalidInput, Superseded, ConnectFailed, ConnectionLost, PublishRefused, DeadlineExceeded):
        await act


async def pick_up(chance: random.Random, client: UTDStreamClient, session: UTDCallSession) -> None:
    for call in client.incoming_calls.value:
        acts: list[Callable[[str], Awaitable[object]]] = [session.ringing, session.accept, session.reject, session.busy]
        await chance.choices(acts, [2, 5, 1, 1])[0](call.call_id)


@pytest.mark.parity("U12", "U13")
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("latency_ms", [0, 15])
async def test_both_sides_agree_whatever_happens(way: Way, seed: int, latency_ms: int) -> None:
    before = Snapshot.take()
    async with World(way, latency_ms=latency_ms, jitter_ms=latency_ms, seed=seed) as world:

        def connected(room: str) -> dict[str, set[TrackSource]]:
            there = world.backend.server.rooms.get(room)
            return {} if there is None else {name: heard(one.tracks) for name, one in there.participants.items()}

        await live_through(world, random.Random(f"{seed}/{latency_ms}"), connected)
        assert not any(room.participants for room in world.backend.server.rooms.values())
    await assert_no_leaks(before)


def heard(tracks: Iterable[Any]) -> set[TrackSource]:
    return {track.info.source for track in tracks if not track.info.muted}


Connected = Callable[[str], Mapping[str, set[TrackSource]]]
"""Who is connected to a media room, and which of their sources are heard."""


async def live_through(
    world: WorldOf[Any, Any], chance: random.Random, connected: Connected, *, steps: int = STEPS, patience: float = 0.0
) -> None:
    """Have four people do what comes to their minds; in the end they agree, within `patience` seconds."""
    clients = [await world.client(identity) for identity in PEOPLE]
    people = [(client, await world.keep(client.call_session("audio_call"))) for client in clients]
    acting: list[asyncio.Future[None]] = []
    for _ in range(steps):
        client, session = chance.choice(people)
        match chance.choices(["start", "pick up", "end", "toggle", "hurt"], [4, 6, 2, 2, 1])[0]:
            case "start":
                act: Awaitable[object] = session.start(chance.choice(PEOPLE), ring_timeout=10.0)
            case "pick up":
                act = pick_up(chance, client, session)
            case "end":
                act = session.end()
            case "toggle":
                act = session.set_microphone(chance.random() < 0.6)
            case _:
                act = hurt(world, chance, session, connected)
        acting.append(asyncio.ensure_future(attempt(act)))
        if chance.random() < 0.7:
            await world.clock.advance(chance.choice([0.0, 0.001, 0.05, 1.0]))
    await world.run(asyncio.gather(*acting), timeout=200.0)
    await world.clock.advance(5.0)
    sessions = [session for _, session in people]
    until = world.clock.monotonic() + patience
    while patience and world.clock.monotonic() < until:
        with suppress(AssertionError):
            await check(world, sessions, connected)
            break
        await world.clock.sleep(0.05)
    await check(world, sessions, connected)
    await world.run(asyncio.gather(*(session.end() for session in sessions)))
    await world.clock.advance(60.0)
    assert world.engine.statistics().calls == 0
    assert all(client.incoming_calls.value == () for client in clients)


async def hurt(world: WorldOf[Any, Any], chance: random.Random, session: UTDCallSession, connected: Connected) -> None:
    call = session.call.value
    if call is not None and session.identity in connected(call.room_name):
        fault = chance.choice([Fault.SIGNAL_DROP, Fault.FULL_RECONNECT, Fault.SERVER_LEAVE, Fault.TOKEN_EXPIRY])
        await world.backend.inject(fault, call.room_name, session.identity)


async def check(world: WorldOf[Any, Any], sessions: list[UTDCallSession], connected: Connected) -> None:
    for session in sessions:
        shown = session.call.value
        if shown is None:
            continue
        call: UTDCall = await world.engine.execute(GetCall(id=shown.call_id))
        if session._mirror is not None or session.connected.value:
            assert (shown.status, shown.end_reason) == (call.status, call.end_reason)
        if session.connected.value:
            assert not call.status.is_terminal
            sounding = connected(call.room_name)[session.identity]
            assert sounding == session.room.publishing.value
            assert sounding <= {TrackSource.MICROPHONE}
        else:
            assert session.room.publishing.value == frozenset()
