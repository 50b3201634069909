"""The same flows when nothing arrives at once: 40 ms to the media server and back, with jitter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from utd_core.media.faults import Fault
from utd_core.model.permission import TrackSource
from utd_core.model.seats import SeatMode
from utd_core.testing.leaks import Snapshot, assert_no_leaks

from .world import ROOM, Way, World, held_by, now

MICROPHONE = frozenset({TrackSource.MICROPHONE})


@pytest.fixture
async def far(way: Way) -> AsyncIterator[World]:
    before = Snapshot.take()
    async with World(way, latency_ms=20, jitter_ms=10, seed=7) as world:
        yield world
    await assert_no_leaks(before)


@pytest.mark.parity("U15", "U22")
async def test_seats_taken_and_left_as_fast_as_possible_end_as_the_last_call_says(far: World) -> None:
    host = await far.audio_room("host", as_host=True)
    listener = await far.audio_room("listener")
    for stay in range(6):
        await far.run(host.take_seat(0))
        assert now(host.room.publishing) == MICROPHONE
        await far.clock.advance(0.01 * stay)
        await far.run(host.leave_seat())
        assert now(host.room.publishing) == frozenset()
    await far.run(host.take_seat(1))
    await far.clock.advance(1.0)
    assert now(host.room.publishing) == MICROPHONE
    async with listener.frames("host") as frames:
        await far.run(anext(frames))


@pytest.mark.parity("U22")
async def test_taking_and_leaving_at_every_moment_of_the_grant_leaves_nobody_unheard_or_overheard(far: World) -> None:
    host = await far.audio_room("host", as_host=True)
    for step in range(25):
        taking = asyncio.ensure_future(host.take_seat(0))
        await far.clock.advance(0.005 * step)
        await far.run(host.leave_seat())
        await asyncio.gather(taking, return_exceptions=True)
        await far.clock.advance(1.0)
        tracks = far.backend.server.rooms[ROOM].participants["host"].tracks
        assert now(host.room.publishing) == frozenset()
        assert tracks == ()
        assert held_by(host) is None


@pytest.mark.parity("U14")
async def test_a_stage_far_away(far: World) -> None:
    host = await far.live_stream("host", as_host=True)
    viewer = await far.live_stream("viewer")
    await far.run(host.go_live())
    request = await far.run(viewer.request_stage())
    await far.run(host.approve_stage(request.id))
    await far.until(lambda: TrackSource.CAMERA in viewer.room.publishing.value)
    async with host.frames("viewer", TrackSource.CAMERA) as frames:
        await far.run(anext(frames))
    await far.run(viewer.leave_stage())
    await far.clock.advance(1.0)
    assert far.backend.server.rooms[ROOM].participants["viewer"].tracks == ()


@pytest.mark.parity("U23")
@pytest.mark.parametrize("fault", [Fault.SERVER_LEAVE, Fault.FULL_RECONNECT, Fault.SIGNAL_DROP, Fault.NODE_FAILURE])
async def test_coming_back_from_far_away(far: World, fault: Fault) -> None:
    host = await far.audio_room("host", as_host=True, options={"seat_mode": SeatMode.REQUEST})
    listener = await far.audio_room("listener")
    await far.run(host.take_seat(0))
    async with listener.frames("host") as frames:
        await far.run(anext(frames))
        await far.fault(fault, ROOM, "host")
        await far.clock.advance(20.0)
        assert now(host.connected)
        assert now(host.room.publishing) == MICROPHONE
        for _ in range(100):
            await far.run(anext(frames))


@pytest.mark.parity("U12")
async def test_a_call_far_away(far: World) -> None:
    alice = await far.caller("alice")
    bob_client = await far.client("bob")
    bob = await far.keep(bob_client.call_session("audio_call"))
    started = await far.run(alice.start("bob"))
    await far.run(bob.accept(started.call_id))
    for listener, speaker in ((alice, "bob"), (bob, "alice")):
        async with listener.frames(speaker) as frames:
            await far.run(anext(frames))
    await far.run(bob.end())
    await far.until(lambda: alice.status.value == "ended")
    await far.until(lambda: not alice.room.connected.value)
