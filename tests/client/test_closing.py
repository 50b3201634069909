"""Closing at every await point, in callbacks, twice, from other tasks, and when everything else is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from utd_core.client import EndReason, UTDAudioRoomSession
from utd_core.errors import Closed, UTDStreamException
from utd_core.media.faults import Fault
from utd_core.model.session import SessionState
from utd_core.testing.leaks import Snapshot, leaks_since

from .world import ROOM, Way, World, left_behind, now

Operation = Callable[[UTDAudioRoomSession], Awaitable[object]]

OPERATIONS: dict[str, Operation] = {
    "take_seat": lambda session: session.take_seat(),
    "leave": lambda session: session.leave(),
    "request": lambda session: session.request_to_speak(),
    "send_data": lambda session: session.send_data(b"x"),
    "aclose": lambda session: session.aclose(),
}
MOST_TURNS = 60


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_closing_at_every_await_point_of_an_operation_leaves_nothing_behind(world: World, name: str) -> None:
    await world.audio_room("host", as_host=True)
    client = await world.client("guest")
    before = Snapshot.take()
    for count in range(MOST_TURNS):
        session = await client.join_audio_room(ROOM)
        operation = asyncio.ensure_future(OPERATIONS[name](session))
        await turns(count)
        was_done = operation.done()
        await session.aclose()
        with suppress(UTDStreamException):
            await operation
        assert now(session.state) is SessionState.CLOSED
        await world.settle()
        assert await left_behind(before) == []
        assert "guest" not in world.backend.server.rooms[ROOM].participants
        if was_done:
            break
    else:
        pytest.fail(f"{name} takes more than {MOST_TURNS} turns; look at more of them")


async def test_cancelling_a_join_at_every_await_point_leaves_nobody_in_the_room(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    client = await world.client("guest")
    before = Snapshot.take()
    for count in range(MOST_TURNS):
        joining = asyncio.ensure_future(client.join_audio_room(ROOM))
        await turns(count)
        was_done = joining.done()
        joining.cancel()
        with suppress(asyncio.CancelledError):
            await (await joining).aclose()
        await world.settle()
        assert await left_behind(before) == []
        assert "guest" not in world.backend.server.rooms[ROOM].participants
        assert now(host.remote_participants) == ()
        if was_done:
            break
    else:
        pytest.fail("joining takes more turns; look at more of them")


async def test_leaving_at_every_await_point_of_a_rejoin_ends_disconnected(world: World) -> None:
    await world.audio_room("host", as_host=True)
    session = await world.audio_room("guest")
    for count in range(1, MOST_TURNS):
        await session.leave()
        rejoining = asyncio.ensure_future(session.rejoin())
        await turns(count)
        was_done = rejoining.done()
        await session.leave()
        with suppress(UTDStreamException):
            await rejoining
        assert now(session.state) is SessionState.DISCONNECTED
        await world.settle()
        assert "guest" not in world.backend.server.rooms[ROOM].participants
        if was_done:
            break
    else:
        pytest.fail("rejoining takes more turns; look at more of them")


async def test_cancelling_a_close_at_every_await_point_is_finished_by_the_next_one(world: World) -> None:
    await world.audio_room("host", as_host=True)
    client = await world.client("guest")
    before = Snapshot.take()
    for count in range(MOST_TURNS):
        session = await client.join_audio_room(ROOM)
        await world.run(session.take_seat())
        closing = asyncio.ensure_future(session.aclose())
        await turns(count)
        was_done = closing.done()
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing
        await session.aclose()
        await world.settle()
        assert await left_behind(before) == []
        assert "guest" not in world.backend.server.rooms[ROOM].participants
        if was_done:
            break
    else:
        pytest.fail("closing takes more turns; look at more of them")


async def test_closing_from_many_tasks_at_once_ends_once(world: World) -> None:
    session = await world.audio_room("host", as_host=True)
    await world.run(session.take_seat())
    await asyncio.gather(*(session.aclose() for _ in range(10)))
    assert now(session.state) is SessionState.CLOSED


@pytest.mark.parametrize("how", ["aclose", "leave"])
@pytest.mark.parametrize("where", ["seats", "state", "room"])
async def test_closing_in_a_callback(world: World, where: str, how: str) -> None:
    host = await world.audio_room("host", as_host=True)
    guest = await world.audio_room("guest")
    before = Snapshot.take()

    async def close(_: object) -> None:
        await getattr(guest, how)()

    match where:
        case "seats":
            guest.seats.subscribe(close)
            await host.lock_seat(1)
        case "state":
            guest.state.subscribe(close)
            await world.fault(Fault.SIGNAL_DROP, ROOM, "guest", seconds=60.0)
        case _:
            guest.room.connected.subscribe(close)
            await world.fault(Fault.SIGNAL_DROP, ROOM, "guest", seconds=60.0)
    await world.settle()
    assert now(guest.state) is (SessionState.CLOSED if how == "aclose" else SessionState.DISCONNECTED)
    assert "guest" not in world.backend.server.rooms[ROOM].participants
    await guest.aclose()
    assert not [task for task in Snapshot.take().tasks - before.tasks if "guest" in task.get_name()]


async def test_closing_while_reconnecting(world: World) -> None:
    await world.audio_room("host", as_host=True)
    for fault in (Fault.SIGNAL_DROP, Fault.NODE_FAILURE, Fault.SERVER_LEAVE):
        guest = await world.audio_room("guest")
        await world.run(guest.take_seat())
        await world.fault(fault, ROOM, "guest")
        await world.run(guest.aclose())
        await world.clock.advance(60.0)
        assert "guest" not in world.backend.server.rooms[ROOM].participants


async def test_closing_while_the_signal_is_down_waits_for_nobody(world: World) -> None:
    guest = await world.audio_room("guest", as_host=True)
    await world.run(guest.take_seat())
    await world.fault(Fault.SIGNAL_DROP, ROOM, "guest", seconds=600.0)
    begin = world.clock.monotonic()
    await world.run(guest.aclose())
    assert world.clock.monotonic() == begin


async def test_closing_after_the_engine_and_the_backend_are_gone(way: Way) -> None:
    before = Snapshot.take()
    world = World(way)
    async with world:
        session = await world.audio_room("host", as_host=True)
        await world.run(session.take_seat())
        call = await world.caller("alice")
        await world.run(call.start("bob"))
        await world.backend.aclose()
        await world.engine.aclose()
        await world.run(session.aclose())
        await world.run(call.aclose())
        assert now(session.state) is SessionState.CLOSED
    assert await leaks_since(before) == []


@pytest.mark.parametrize("way", ["embedded"], indirect=True)  # a server may come back: tests/remote/test_away.py
async def test_an_engine_that_is_closed_under_a_session_is_no_moderator(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    caller = await world.caller("caller")
    await world.run(host.take_seat(0))
    await world.run(caller.start("callee"))
    await world.engine.aclose()
    await world.settle()
    for session in (host, caller):
        end = now(session.ended)
        assert end is not None
        assert end.reason is EndReason.ENGINE_CLOSED
        assert isinstance(end.error, Closed)
        assert now(session.state) is SessionState.DISCONNECTED


async def test_closing_the_client_first_and_the_sessions_later(world: World) -> None:
    client = world.new_client("guest")
    await client.authenticate()
    session = await client.join_audio_room(ROOM, as_host=True)
    await client.aclose()
    await world.run(session.take_seat())
    await session.aclose()
    assert world.backend.server.rooms[ROOM].participants == {}


async def test_readers_and_waiters_end_with_the_session(world: World) -> None:
    session = await world.audio_room("host", as_host=True)
    reading = asyncio.ensure_future(_count(session.frames("nobody")))
    listening = asyncio.ensure_future(_count(session.events))
    watching = asyncio.ensure_future(_count(session.seats))
    waiting = asyncio.ensure_future(session.seats.wait_for(lambda grid: bool(grid.occupants())))
    await world.settle()
    await session.aclose()
    assert await world.run(reading) == 0
    await world.run(listening)
    await world.run(watching)
    with pytest.raises(Closed):
        await waiting


async def _count(stream: object) -> int:
    count = 0
    async for _ in stream:  # type: ignore[attr-defined]  # any of the three
        count += 1
    return count
