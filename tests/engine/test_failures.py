"""What is left when the store, the model or another engine gets in the way: nothing half done."""

from __future__ import annotations

import asyncio
import logging

import pytest

from utd_core.engine.deciding import decider
from utd_core.errors import Conflict, StoreFailed
from utd_core.model.commands import CreateRoom, EndRoom, GetRoom, LeaveSeat, LockSeat, TakeSeat
from utd_core.model.rules import answer_room
from utd_core.model.seats import Seat, SeatLeft
from utd_core.model.stream_type import UTDStreamType
from utd_core.store.base import Commit, StoredState

from .world import ROOM, GatedStore, World, codes, outcome, outcomes

BROKEN = StoreFailed("the disk is full")


async def test_a_failed_commit_fails_every_caller_and_changes_nothing(gated: World, store: GatedStore) -> None:
    host = await gated.room()
    before = await gated.server_does(GetRoom(room=ROOM))
    store.failures = [BROKEN]
    results = await outcomes(*(host.do(LockSeat(room=ROOM, index=number)) for number in range(5)))
    assert codes(results) == ["store_failed"] * 5
    assert len({id(error) for error in results}) == 5, "each caller gets an error of its own"
    assert await gated.server_does(GetRoom(room=ROOM)) == before
    await host.do(LockSeat(room=ROOM, index=0))
    assert (await gated.state()).grid.seats[0].locked


async def test_after_a_failed_commit_offsets_have_no_hole(gated: World, store: GatedStore) -> None:
    host = await gated.room()
    subscription = await host.follow("private-room.room")
    offset = (await gated.server_does(GetRoom(room=ROOM))).offset
    store.failures = [BROKEN]
    await outcome(host.do(LockSeat(room=ROOM, index=0)))
    await host.do(LockSeat(room=ROOM, index=1))
    envelope = await subscription.events.get()
    assert envelope.offset == offset + 1


async def test_a_failed_commit_gives_places_back(gated: World, store: GatedStore) -> None:
    await gated.room(max_participants=2)
    guest = await gated.guest("guest")
    await guest.do(TakeSeat(room=ROOM, index=3))
    store.failures = [BROKEN]
    assert await outcome(guest.leave()) is not None
    assert await gated.count() == 2
    await guest.do(LeaveSeat(room=ROOM))
    await gated.advance(10)
    assert guest.is_connected(), "he never left"
    await guest.leave()
    assert await gated.count() == 1


async def test_a_failed_commit_gives_no_place(gated: World, store: GatedStore) -> None:
    host = gated.person("host")
    store.failures = [BROKEN]
    assert codes([await outcome(host.join(as_host=True))]) == ["store_failed"]
    assert codes(await outcomes(gated.server_does(GetRoom(room=ROOM)))) == ["room_not_found"]
    await host.join(as_host=True)
    assert await gated.count() == 1


async def test_a_failed_commit_engages_nobody(gated: World, store: GatedStore) -> None:
    ann, bob = gated.person("ann"), gated.person("bob")
    store.failures = [BROKEN]
    assert codes([await outcome(ann.call("bob"))]) == ["store_failed"]
    call = await bob.call("ann")
    store.failures = [BROKEN]
    assert codes([await outcome(ann.accept(call.call_id))]) == ["store_failed"]
    await ann.accept(call.call_id)
    assert codes([await outcome(gated.person("eve").call("ann"))]) == ["callee_busy"]


async def test_somebody_else_wrote_the_row_and_the_command_is_decided_on_what_is_there(
    gated: World, store: GatedStore
) -> None:
    """What another engine on the same store does, told in one place: it locks the seat first."""
    host = await gated.room()
    await gated.settle()
    intruded = False

    async def intrude(commit: Commit) -> None:
        nonlocal intruded
        if not intruded and any(state.kind == "room" for state, _ in commit.states):
            intruded = True
            await store.inner.commit(_other_engines_lock(await _row(store)))

    store.before_commit = intrude
    assert codes([await outcome(host.do(TakeSeat(room=ROOM, index=0)))]) == ["seat_locked"]
    assert intruded
    assert (await gated.state()).grid.seats[0] == Seat(0, locked=True)
    assert (await host.do(TakeSeat(room=ROOM, index=1))).index == 1


async def test_a_conflict_in_one_room_does_not_fail_the_others(gated: World, store: GatedStore) -> None:
    hosts = [await gated.room(f"host-{n}", f"room-{n}", connect=False) for n in range(4)]
    store.failures = [Conflict("somebody was faster")]
    results = await outcomes(*(hosts[n].do(TakeSeat(room=f"room-{n}")) for n in range(4)))
    assert codes(results) == ["ok"] * 4


async def test_a_row_that_others_write_all_the_time_is_given_up(gated: World, store: GatedStore) -> None:
    host = await gated.room()
    await gated.settle()
    store.failures = [Conflict("again") for _ in range(5)]
    assert codes([await outcome(host.do(TakeSeat(room=ROOM)))]) == ["store_failed"]
    await gated.settle()
    assert host.is_connected(), "nobody is removed because the state was not in memory for a moment"
    assert (await host.do(TakeSeat(room=ROOM))).identity == "host"


async def test_a_store_that_fails_in_a_way_of_its_own_is_a_store_that_failed(gated: World, store: GatedStore) -> None:
    host = await gated.room()

    async def explode(commit: Commit) -> None:
        raise ZeroDivisionError

    store.before_commit = explode
    assert codes([await outcome(host.do(TakeSeat(room=ROOM)))]) == ["store_failed"]
    store.before_commit = None
    assert (await host.do(TakeSeat(room=ROOM))).identity == "host"


async def test_a_state_that_cannot_be_read_fails_the_command_and_not_the_engine(
    gated: World, store: GatedStore
) -> None:
    await store.inner.commit(Commit(states=[(StoredState("room", "bad", 1, b"{]", None, None), 0)]))
    results = await outcomes(gated.server_does(GetRoom(room="bad")), gated.server_does(EndRoom(room="bad")))
    assert codes(results) == ["store_failed"] * 2
    await gated.room()


async def test_a_mistake_in_the_rules_fails_one_command_and_leaves_the_state_whole(
    gated: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    host = await gated.room()
    await host.do(TakeSeat(room=ROOM, index=1))

    def mistaken(room: object, command: object, *rest: object) -> object:
        if isinstance(command, LockSeat) and command.index == 3:
            raise ZeroDivisionError
        return answer_room(room, command, *rest)  # type: ignore[arg-type]  # passed through as it came

    monkeypatch.setattr(decider, "answer_room", mistaken)
    with caplog.at_level(logging.CRITICAL, "utd_core"):
        results = await outcomes(*(host.do(LockSeat(room=ROOM, index=number)) for number in (2, 3, 4)))
    assert codes(results) == ["ok", "internal", "ok"]
    assert [seat.locked for seat in (await gated.state()).grid.seats[2:5]] == [True, False, True]
    assert (await gated.state()).grid.seats[1].identity == "host"


async def test_leaving_and_joining_in_one_failed_transaction_restores_everybody(
    gated: World, store: GatedStore
) -> None:
    host = await gated.room(connect=False)
    people = [await gated.guest(f"guest-{n}", connect=False) for n in range(4)]
    for number, person in enumerate(people):
        await person.do(TakeSeat(room=ROOM, index=number))
    before = await gated.server_does(GetRoom(room=ROOM))
    failed: list[Commit] = []

    async def fail_departures(commit: Commit) -> None:
        if any(isinstance(envelope.event, SeatLeft) for envelope in commit.events):
            failed.append(commit)
            raise BROKEN

    store.before_commit = fail_departures
    store.hold()
    plug = asyncio.ensure_future(host.do(LockSeat(room=ROOM, index=7)))
    await gated.settle()
    leaves = [asyncio.ensure_future(outcome(person.leave())) for person in people[:2]]
    late = asyncio.ensure_future(outcome(gated.person("late").join(connect=False)))
    again = asyncio.ensure_future(outcome(people[0].join(connect=False)))
    await gated.settle()
    store.release()
    await plug
    assert codes(await asyncio.gather(*leaves, late, again)) == ["store_failed"] * 4
    assert len(failed) == 1
    assert await gated.count() == before.participants == 5
    assert (await gated.state()).grid.occupants().keys() == before.room.grid.occupants().keys()
    store.before_commit = None
    assert codes(await outcomes(*(person.leave() for person in people))) == ["ok"] * 4
    assert await gated.count() == 1


async def _row(store: GatedStore) -> StoredState:
    row = await store.inner.load("room", ROOM)
    assert row is not None
    return row


def _other_engines_lock(row: StoredState) -> Commit:
    payload = row.payload.replace(b'"locked":false', b'"locked":true', 1)
    return Commit(states=[(StoredState("room", ROOM, row.version + 1, payload, row.deadline, None), row.version)])


async def test_a_room_made_twice_at_once_is_made_once(gated: World) -> None:
    commands = [CreateRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM) for _ in range(5)]
    results = await outcomes(*map(gated.server_does, commands))
    assert sorted(codes(results)) == ["ok"] + ["room_exists"] * 4
