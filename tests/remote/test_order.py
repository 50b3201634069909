"""Two connections, one order: what was answered has been seen, and what was given up comes before what follows it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

import pytest

from tests.client.world import held_by, now
from utd_core.broker.base import Recover
from utd_core.client import UTDAudioRoomSession, UTDStreamClient
from utd_core.client.remote import RemoteLink
from utd_core.errors import UTDStreamException
from utd_core.media.sources.synthetic import ToneAudioSource
from utd_core.model.commands import GetRoom, JoinRoom, LeaveRoom, LockSeat
from utd_core.model.permission import TrackSource
from utd_core.model.stream_type import UTDStreamType
from utd_core.testing.leaks import Snapshot

from .world import RemoteWorld

ROOM = "lobby"
CHANNEL = f"private-room.{ROOM}"
MICROPHONE = frozenset({TrackSource.MICROPHONE})
MOST_TURNS = 400


@pytest.fixture
async def link(world: RemoteWorld) -> AsyncIterator[RemoteLink]:
    """Somebody in a room."""
    link = world.link()
    await link.authenticate("host", name="", device_id="d")
    await link.execute(JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM, as_host=True, seat_count=4))
    async with aclosing(link):
        yield link


@pytest.fixture
async def room(world: RemoteWorld) -> AsyncIterator[UTDAudioRoomSession]:
    """The same with a whole client."""
    client = UTDStreamClient(link=world.link(), identity="host", microphone=ToneAudioSource)
    async with client, await client.join_audio_room(ROOM, as_host=True, seat_count=4) as room:
        yield room


@pytest.mark.parametrize("late", [0.05, 0.5])
async def test_an_answer_waits_for_the_events_of_its_command(
    world: RemoteWorld, room: UTDAudioRoomSession, late: float
) -> None:
    world.between.late = late
    for index in (1, 2, 3):
        await world.run(room.lock_seat(index))
        assert now(room.seats).seats[index].locked
    world.between.late = 0.0


async def test_events_that_do_not_come_are_asked_for(world: RemoteWorld, room: UTDAudioRoomSession) -> None:
    world.between.silent = True
    began = world.clock.monotonic()
    await world.run(room.lock_seat(1))
    assert world.clock.monotonic() - began <= 3.0
    assert not now(room.seats).seats[1].locked
    world.between.silent = False
    await world.until(lambda: now(room.seats).seats[1].locked)


async def test_a_seat_that_is_left_and_taken_again_at_once_has_an_open_microphone(
    world: RemoteWorld, room: UTDAudioRoomSession
) -> None:
    """The old grant opens nothing, and its end closes nothing."""
    world.between.late = 0.2
    for index in (0, 1, 2):
        await world.run(room.take_seat(index))
        assert now(room.room.publishing) == MICROPHONE
        await world.run(room.leave_seat())
        assert held_by(room) is None
        assert now(room.room.publishing) == frozenset()
    await world.run(room.take_seat(3))
    await world.clock.advance(5.0)
    assert now(room.room.publishing) == MICROPHONE
    world.between.late = 0.0


async def test_a_command_that_was_given_up_is_decided_before_the_next_one(world: RemoteWorld, link: RemoteLink) -> None:
    guest = world.link()
    async with aclosing(guest):
        await guest.authenticate("guest", name="", device_id="d")
        for count in range(MOST_TURNS):
            joining = asyncio.ensure_future(guest.execute(JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM)))
            for _ in range(count):
                await asyncio.sleep(0)
            was_done = joining.done()
            joining.cancel()
            await asyncio.wait([joining])
            with suppress(UTDStreamException):
                await guest.execute(LeaveRoom(room=ROOM))
            await world.settle()
            assert "guest" not in world.engine._machinery.core.presences[ROOM]  # type: ignore[union-attr]  # it is open
            if was_done:
                break
        else:
            pytest.fail("joining takes more turns; look at more of them")


@pytest.mark.parametrize("what", ["authenticate", "execute", "subscribe"])
@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_ending_at_every_await_point_leaves_nothing_behind(world: RemoteWorld, what: str, how: str) -> None:
    async with aclosing(world.link()) as host:
        await host.authenticate("host", name="", device_id="d")
        await host.execute(JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM, as_host=True))
        await world.settle()
        for count in range(MOST_TURNS):
            before = Snapshot.take()
            link = world.link()
            if what != "authenticate":
                await link.authenticate("host", name="", device_id="d")
            operations = {
                "authenticate": lambda link=link: link.authenticate("host", name="", device_id="d"),
                "execute": lambda link=link: link.execute(LockSeat(room=ROOM, index=1)),
                "subscribe": lambda link=link: link.subscribe(CHANNEL),
            }
            operation = asyncio.ensure_future(operations[what]())
            for _ in range(count):
                await asyncio.sleep(0)
            was_done = operation.done()
            if how == "cancel":
                operation.cancel()
                await asyncio.wait([operation])
            await link.aclose()
            with suppress(asyncio.CancelledError, UTDStreamException):
                await operation
            await world.settle()
            left = Snapshot.take().leaked_since(before)
            assert [line for line in left if not line.startswith(("task engine", "task sockets"))] == []
            if was_done:
                break
        else:
            pytest.fail(f"{what} takes more turns; look at more of them")


async def test_a_subscription_that_was_given_up_does_not_answer_the_next_one(
    world: RemoteWorld, link: RemoteLink
) -> None:
    snapshot = await link.execute(GetRoom(room=ROOM))
    await link.subscribe("private-user.host")
    for _ in range(3):
        giving_up = asyncio.ensure_future(link.subscribe(CHANNEL))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        giving_up.cancel()
        await asyncio.wait([giving_up])
    await world.engine.execute(LockSeat(room=ROOM, index=1))
    following = await link.subscribe(CHANNEL, recover=Recover(snapshot.epoch, snapshot.offset))
    assert following.recovered
    await world.settle()
    assert len(following.events) == 1
    await link.execute(LockSeat(room=ROOM, index=2))
    assert len(following.events) == 2


@pytest.mark.parametrize("frame", ["", "<html>", "[]", '{"event": 7}', '{"event": "seat_taken", "epoch": "e"}'])
async def test_a_socket_that_says_something_else_is_left_and_opened_anew(
    world: RemoteWorld, room: UTDAudioRoomSession, frame: str
) -> None:
    world.between.frames.append(frame)
    await world.engine.execute(LockSeat(room=ROOM, index=1))
    await world.until(lambda: len(world.between.sockets) == 2)
    await world.until(lambda: now(room.sync) == "live")
    assert now(room.seats).seats[1].locked


async def test_an_event_of_a_later_version_has_the_state_read_anew(
    world: RemoteWorld, room: UTDAudioRoomSession
) -> None:
    head = world.engine.head(CHANNEL)
    assert head is not None
    await world.engine.execute(LockSeat(room=ROOM, index=1))
    news = {"channel": CHANNEL, "epoch": head.epoch, "offset": head.offset + 1, "kind": "room", "key": ROOM, "at": 1.0}
    world.between.frames.append(json.dumps({"event": "seat_gilded", "data": "{}", **news}))
    await world.engine.execute(LockSeat(room=ROOM, index=2))
    await world.until(lambda: now(room.seats).seats[2].locked)
    assert now(room.seats).seats[1].locked
    assert now(room.sync) == "live"
    assert len(world.between.sockets) == 1
