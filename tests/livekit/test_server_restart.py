"""The LiveKit server is killed and started again under an engine with a room and a call: a pause, and no more."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from utd_core.client import SessionState, UTDAudioRoomSession, UTDCallSession, UTDCallStatus
from utd_core.concurrency import SystemClock
from utd_core.engine import Engine
from utd_core.model.command import THE_SERVER
from utd_core.model.commands import ListParticipants
from utd_core.testing.wait import eventually
from utd_livekit.server.local import LocalServer
from utd_livekit.testing import OpenLiveKit

from .hearing import PATIENCE, PITCHES, everybody_hears, hears, hum
from .page import documented

pytestmark = pytest.mark.heavy

ROOM = "lounge"
PAUSE = 20.0
"""Seconds; it takes three where the machine is idle. Of itself the engine would look after 30."""


async def test_a_server_that_was_killed_and_started_again_gives_everybody_seat_and_sound_back(
    server: LocalServer,
) -> None:
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(Engine(await stack.enter_async_context(OpenLiveKit(SystemClock()))))
        ann, bob, cat, dan = [
            await stack.enter_async_context(engine.client(who, microphone=hum(who))) for who in PITCHES
        ]
        rooms = [
            await stack.enter_async_context(await ann.join_audio_room(ROOM, as_host=True)),
            await stack.enter_async_context(await bob.join_audio_room(ROOM)),
        ]
        await asyncio.gather(*(room.take_seat(number) for number, room in enumerate(rooms)))
        calls = [await stack.enter_async_context(client.call_session("audio_call")) for client in (cat, dan)]
        await calls[0].start("dan")
        (ringing,) = await dan.incoming_calls.wait_for()
        await calls[1].accept(ringing.call_id)
        await everybody_hears(rooms, calls)
        sessions: list[UTDAudioRoomSession | UTDCallSession] = [*rooms, *calls]
        seen: list[list[SessionState]] = [[] for _ in sessions]
        for session, states in zip(sessions, seen, strict=True):
            session.state.subscribe(states.append)

        await asyncio.to_thread(server.kill)
        for session in sessions:
            await session.state.wait_for(lambda state: state is SessionState.RECONNECTING, PATIENCE)
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(PAUSE):
            for session in sessions:
                await session.state.wait_for(lambda state: state is SessionState.CONNECTED)
        await everybody_hears(rooms, calls)

        assert {tuple(states) for states in seen} == {documented()["the server dies, and is started again"].states}
        assert [None if room.seat is None else room.seat.index for room in rooms] == [0, 1]
        assert {call.status.value for call in calls} == {UTDCallStatus.ACTIVE}
        present = await engine.execute(ListParticipants(room=ROOM), actor=THE_SERVER)
        assert {each.identity for each in present.data} == {"ann", "bob"}
        await rooms[1].leave_seat()
        await eventually(
            lambda: not any(other.tracks for other in rooms[0].remote_participants.value),
            PATIENCE,
            what="the microphone of bob is off",
        )
        await rooms[1].take_seat(1)
        await hears(rooms[0], "bob")
