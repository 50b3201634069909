"""Two clients at once, on a real engine: each named race, with the second one starting at every moment of the first.

An operation is let run for so many turns of the loop before the other begins, from none to as many as it takes; and the
other way round. Whatever the order: one outcome of those that could have been, nothing half done, and everybody sees
the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from utd_core.client import UTDAudioRoomSession, UTDCallSession, UTDCallStatus, UTDSession
from utd_core.errors import UTDStreamException
from utd_core.media.faults import Fault
from utd_core.model.commands import GetRoom
from utd_core.model.permission import TrackSource
from utd_core.model.results import RoomSnapshot
from utd_core.model.seats import SeatMode
from utd_core.model.session import SessionState

from .world import ROOM, World, held_by, now

MOST_TURNS = 80
ENOUGH_TURNS = 20
ORDERS = {"in_order": False, "reversed": True}

Operation = Callable[[], Awaitable[object]]
Outcome = str
"""A code, or "ok"."""


async def outcome(operation: Awaitable[object]) -> Outcome:
    try:
        await operation
    except UTDStreamException as error:
        return str(error.code)
    return "ok"


async def at_every_moment(
    world: World,
    begin: Callable[[], Awaitable[tuple[Operation, Operation]]],
    check: Callable[[Outcome, Outcome], Awaitable[None]],
    *,
    turned: bool,
    waits: bool = False,
) -> set[tuple[Outcome, Outcome]]:
    """Play a race once for every moment at which its second operation can begin; what came of the two, each time.

    `waits`: the first operation waits for time to pass, so that there are moments enough.
    """
    seen = set()
    for count in range(ENOUGH_TURNS if waits else MOST_TURNS):
        operations = await begin()
        ahead, behind = reversed(operations) if turned else operations
        earlier = asyncio.ensure_future(outcome(ahead()))
        for _ in range(count):
            await asyncio.sleep(0)
        was_done = earlier.done()
        later = asyncio.ensure_future(outcome(behind()))
        await world.run(asyncio.gather(earlier, later))
        results = (later.result(), earlier.result()) if turned else (earlier.result(), later.result())
        await world.clock.advance(5.0)
        await check(*results)
        seen.add(results)
        if was_done:
            return seen
    if waits:
        return seen
    pytest.fail(f"it takes more than {MOST_TURNS} turns; look at more of them")


async def all_agree(world: World, *sessions: UTDAudioRoomSession) -> RoomSnapshot:
    """Who is in the room sees the engine's state, and is heard exactly when a seat says so."""
    snapshot: RoomSnapshot = await world.engine.execute(GetRoom(room=ROOM))
    room, there = snapshot.room, world.backend.server.rooms[ROOM].participants
    assert set(there) == {session.identity for session in sessions if now(session.connected)}
    assert snapshot.participants == len(there)
    for session in sessions:
        if session.identity not in there:
            assert room.grid.seat_of(session.identity or "") is None
            assert now(session.room.publishing) == frozenset()
            continue
        assert now(session.seats) == room.grid
        assert now(session.requests) == tuple(room.requests.values())
        assert heard(world, session) == now(session.room.publishing)
        may_speak = room.grid.seat_of(session.identity or "") is not None
        assert now(session.can_publish) is may_speak
        assert may_speak or not heard(world, session)
    return snapshot


def heard(world: World, session: UTDSession) -> set[TrackSource]:
    """What the media server carries of somebody."""
    there = world.backend.server.rooms[ROOM].participants.get(session.identity or "")
    return set() if there is None else {track.info.source for track in there.tracks if not track.info.muted}


@pytest.fixture(params=ORDERS)
def turned(request: pytest.FixtureRequest) -> bool:
    """Whether the second operation of the race begins first."""
    return ORDERS[request.param]


async def test_approve_while_the_requester_leaves(world: World, turned: bool) -> None:
    host = await world.audio_room("host", as_host=True, options={"seat_mode": SeatMode.REQUEST})
    guest = await world.audio_room("guest")

    async def begin() -> tuple[Operation, Operation]:
        if now(guest.state) is SessionState.DISCONNECTED:
            await world.run(guest.rejoin())
        request = await guest.request_to_speak()
        return lambda: host.approve_speaker(request.id), guest.leave

    async def check(approved: Outcome, left: Outcome) -> None:
        assert left == "ok"
        snapshot = await all_agree(world, host, guest)
        assert not snapshot.room.requests
        assert not snapshot.room.grid.occupants()

    seen = await at_every_moment(world, begin, check, turned=turned)
    assert seen == ({("ok", "ok"), ("request_ended", "ok")} if turned else {("ok", "ok")})


async def test_two_takes_of_one_seat(world: World, turned: bool) -> None:
    await world.audio_room("host", as_host=True)
    one, two = await world.audio_room("one"), await world.audio_room("two")

    async def begin() -> tuple[Operation, Operation]:
        for session in (one, two):
            if held_by(session) is not None:
                await session.leave_seat()
        await world.settle()
        return lambda: one.take_seat(3), lambda: two.take_seat(3)

    async def check(first: Outcome, second: Outcome) -> None:
        results = {"one": first, "two": second}
        snapshot: RoomSnapshot = await world.engine.execute(GetRoom(room=ROOM))
        assert results.pop(snapshot.room.grid.seats[3].identity or "") == "ok"
        assert list(results.values()) == ["seat_taken"]
        for session in (one, two):
            assert bool(heard(world, session)) is (session.identity not in results)
            assert now(session.seats) == snapshot.room.grid

    seen = await at_every_moment(world, begin, check, turned=turned)
    assert seen == {("seat_taken", "ok") if turned else ("ok", "seat_taken")}


async def test_lock_while_taking(world: World, turned: bool) -> None:
    host, guest = await world.audio_room("host", as_host=True), await world.audio_room("guest")

    async def begin() -> tuple[Operation, Operation]:
        if now(host.seats).seats[3].locked:
            await host.unlock_seat(3)
        await world.settle()
        return lambda: host.lock_seat(3), lambda: guest.take_seat(3)

    async def check(locked: Outcome, taken: Outcome) -> None:
        assert locked == "ok"
        snapshot = await all_agree(world, host, guest)
        assert snapshot.room.grid.seats[3].locked
        assert snapshot.room.grid.seats[3].identity is None, "evicted first, if the guest was faster"

    seen = await at_every_moment(world, begin, check, turned=turned)
    assert seen <= ({("ok", "ok"), ("ok", "superseded")} if turned else {("ok", "seat_locked")})


async def test_kick_during_publish(world: World, turned: bool) -> None:
    host, guest = await world.audio_room("host", as_host=True), await world.audio_room("guest")

    async def begin() -> tuple[Operation, Operation]:
        if now(guest.state) is SessionState.DISCONNECTED:
            await world.run(guest.rejoin())
        await world.run(guest.take_seat(0, publish=False))
        await world.settle()
        return lambda: host.kick("guest"), lambda: guest.set_microphone(True)

    async def check(kicked: Outcome, published: Outcome) -> None:
        assert kicked == "ok"
        assert now(guest.state) is SessionState.DISCONNECTED
        end = guest.ended.value
        assert end is not None
        assert end.reason == "removed"
        snapshot = await all_agree(world, host, guest)
        assert not snapshot.room.grid.occupants()

    seen = await at_every_moment(world, begin, check, turned=turned)
    assert {published for _, published in seen} <= {
        "ok",
        "not_joined",
        "superseded",
        "publish_refused",
        "connection_lost",
    }


async def test_end_and_reject_at_once(world: World, turned: bool) -> None:
    alice = await world.caller("alice")
    callee = await world.client("bob")
    bob: UTDCallSession = await world.keep(callee.call_session("audio_call"))

    async def begin() -> tuple[Operation, Operation]:
        call = await world.run(alice.start("bob"))
        await world.run(callee.incoming_calls.wait_for(timeout=5.0))
        return alice.end, lambda: bob.reject(call.call_id)

    async def check(ended: Outcome, rejected: Outcome) -> None:
        assert ended == "ok", "a call that is over already has ended"
        call = alice.call.value
        assert call is not None
        by = {UTDCallStatus.ENDED: ("cancelled", "alice"), UTDCallStatus.REJECTED: ("rejected", "bob")}
        assert (call.end_reason, call.ended_by) == by[call.status]
        assert (rejected == "ok") is (call.status is UTDCallStatus.REJECTED)
        assert now(callee.incoming_calls) == ()
        assert {now(session.state) for session in (alice, bob)} <= {SessionState.DISCONNECTED, SessionState.IDLE}
        assert call.room_name not in world.backend.server.rooms

    seen = await at_every_moment(world, begin, check, turned=turned)
    assert seen <= {("ok", "ok"), ("ok", "call_ended")}


@pytest.mark.parametrize("delay", [0.0, 2.0], ids=["at_once", "late"])
async def test_leave_during_the_grant_wait(world: World, turned: bool, delay: float) -> None:
    host, guest = await world.audio_room("host", as_host=True), await world.audio_room("guest")

    async def begin() -> tuple[Operation, Operation]:
        if now(guest.state) is SessionState.DISCONNECTED:
            await world.run(guest.rejoin())
        await world.fault(Fault.GRANT_DELAY, ROOM, "guest", seconds=delay)
        return lambda: guest.take_seat(2), guest.leave

    async def check(taken: Outcome, left: Outcome) -> None:
        assert left == "ok"
        snapshot = await all_agree(world, host, guest)
        assert not snapshot.room.grid.occupants()
        assert "guest" not in world.backend.server.rooms[ROOM].participants

    seen = await at_every_moment(world, begin, check, turned=turned, waits=delay > 0 and not turned)
    assert {taken for taken, _ in seen} <= ({"not_joined"} if turned else {"ok", "superseded"})


ACTS: dict[str, Callable[[UTDAudioRoomSession], Awaitable[Any]]] = {
    "clear_seat": lambda host: host.clear_seat(0),
    "lock_seat": lambda host: host.lock_seat(0),
    "mute": lambda host: host.mute("guest"),
    "kick": lambda host: host.kick("guest"),
    "stop_live": lambda host: host.stop_live(),
}


@pytest.mark.parametrize("act", ACTS)
async def test_close_at_every_await_point_of_what_another_does_to_it(world: World, turned: bool, act: str) -> None:
    host = await world.audio_room("host", as_host=True)
    client = await world.client("guest")
    guests: list[UTDAudioRoomSession] = []

    async def begin() -> tuple[Operation, Operation]:
        if now(host.phase).value == "backstage":
            await host.go_live()
        if now(host.seats).seats[0].locked:
            await host.unlock_seat(0)
        await world.settle()
        guests.append(await client.join_audio_room(ROOM))
        await world.run(guests[-1].take_seat(0))
        return lambda: ACTS[act](host), guests[-1].aclose

    async def check(acted: Outcome, closed: Outcome) -> None:
        assert closed == "ok"
        assert now(guests[-1].state) is SessionState.CLOSED
        snapshot = await all_agree(world, host)
        assert not snapshot.room.grid.occupants()

    seen = await at_every_moment(world, begin, check, turned=turned)
    assert {acted for acted, _ in seen} <= {"ok", "seat_empty", "not_seated", "participant_not_found"}
