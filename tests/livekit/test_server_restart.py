"""The LiveKit server is killed and started again under an engine with a room and a call: a pause, and no more."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.client import SessionState
from utd_core.concurrency import SystemClock
from utd_core.engine import Engine
from utd_core.model.command import THE_SERVER
from utd_core.model.commands import ListParticipants
from utd_core.testing.wait import eventually
from utd_livekit.server.local import LocalServer
from utd_livekit.testing import OpenLiveKit

from .hearing import PATIENCE, PITCHES, hears, hum
from .household import ROOM, household
from .page import documented

pytestmark = pytest.mark.heavy

PAUSE = 20.0
"""Seconds; it takes three where the machine is idle. Of itself the engine would look after 30."""


async def test_a_server_that_was_killed_and_started_again_gives_everybody_seat_and_sound_back(
    server: LocalServer,
) -> None:
    async with (
        OpenLiveKit(SystemClock()) as backend,
        Engine(backend) as engine,
        household([engine.client(who, microphone=hum(who)) for who in PITCHES]) as home,
    ):
        rooms = home.rooms
        seen: list[list[SessionState]] = [[] for _ in home.sessions]
        for session, states in zip(home.sessions, seen, strict=True):
            session.state.subscribe(states.append)

        await asyncio.to_thread(server.kill)
        for session in home.sessions:
            await session.state.wait_for(lambda state: state is SessionState.RECONNECTING, PATIENCE)
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(PAUSE):
            for session in home.sessions:
                await session.state.wait_for(lambda state: state is SessionState.CONNECTED)
        await home.everybody_hears()

        assert {tuple(states) for states in seen} == {documented()["the server dies, and is started again"].states}
        home.check_places()
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
