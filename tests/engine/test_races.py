"""Two things at once, in every order: the outcome is one of those that could have been, and nothing is half done."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from utd_core.model.call import UTDCallStatus
from utd_core.model.commands import (
    AcceptCall,
    AcceptRequest,
    CancelCall,
    ClearSeat,
    CreateBan,
    EndCall,
    EndRoom,
    GetCall,
    GetRoom,
    LeaveSeat,
    ListRequests,
    LockSeat,
    MakeRequest,
    MoveSeat,
    RejectCall,
    RejectRequest,
    RemoveParticipant,
    TakeSeat,
    UnlockSeat,
)
from utd_core.model.grants import grant_of
from utd_core.model.request import RequestKind
from utd_core.model.seats import SeatMode

from .world import ROOM, GatedStore, World, codes, outcome

Operation = Callable[[], Awaitable[Any]]
ORDERS = list(itertools.permutations(range(2)))
THREE = list(itertools.permutations(range(3)))


async def at_once(world: World, order: Sequence[int], *operations: Operation) -> list[str]:
    """Start the operations in this order without a pause; their codes, in the order they were given here."""
    started: dict[int, asyncio.Future[Any]] = {}
    for number in order:
        started[number] = asyncio.ensure_future(outcome(operations[number]()))
    results = [await started[number] for number in range(len(operations))]
    await world.settle()
    return codes(results)


async def media_agrees(world: World) -> bool:
    """Whether everybody who is connected may do exactly what the model says."""
    room = await world.state()
    return all(world.grant(identity) == grant_of(room, identity) for identity in world.connected())


@pytest.mark.parametrize("order", ORDERS)
async def test_approve_while_the_requester_leaves(world: World, order: Sequence[int]) -> None:
    host, guest = await world.room(seat_mode=SeatMode.REQUEST), await world.guest("guest")
    request = await guest.do(MakeRequest(room=ROOM, kind=RequestKind.SPEAK))
    results = await at_once(world, order, lambda: host.do(AcceptRequest(room=ROOM, id=request.id)), guest.leave)
    assert results == (["ok", "ok"] if order == (0, 1) else ["request_ended", "ok"])
    state = await world.state()
    assert state.grid.seat_of("guest") is None
    assert not state.requests
    await world.advance(5)
    assert "guest" not in world.connected()


@pytest.mark.parametrize("order", ORDERS)
async def test_approve_while_the_requester_disconnects(world: World, order: Sequence[int]) -> None:
    host, guest = await world.room(seat_mode=SeatMode.REQUEST), await world.guest("guest")
    request = await guest.do(MakeRequest(room=ROOM, kind=RequestKind.SPEAK))
    await world.advance(1)
    await at_once(world, order, lambda: host.do(AcceptRequest(room=ROOM, id=request.id)), guest.disconnect)
    await world.advance(1)
    state = await world.state()
    assert state.grid.seat_of("guest") is None
    assert not state.requests


@pytest.mark.parametrize("order", ORDERS)
async def test_two_takes_of_one_seat(world: World, order: Sequence[int]) -> None:
    await world.room()
    people = [await world.guest("ann"), await world.guest("bob")]
    results = await at_once(
        world, order, *(lambda person=person: person.do(TakeSeat(room=ROOM, index=3)) for person in people)
    )
    assert [results[number] for number in order] == ["ok", "seat_taken"]
    assert [person.may_speak() for person in people] == [order[0] == 0, order[0] == 1]


@pytest.mark.parametrize("order", ORDERS)
async def test_lock_while_taking(world: World, order: Sequence[int]) -> None:
    host, guest = await world.room(), await world.guest("guest")
    results = await at_once(
        world,
        order,
        lambda: host.do(LockSeat(room=ROOM, index=3)),
        lambda: guest.do(TakeSeat(room=ROOM, index=3)),
    )
    assert results == (["ok", "seat_locked"] if order == (0, 1) else ["ok", "ok"])
    seat = (await world.state()).grid.seats[3]
    assert seat.locked
    assert seat.identity is None, "evicted first, if he was faster"
    assert not guest.may_speak()


@pytest.mark.parametrize("order", ORDERS)
async def test_kick_during_publish(world: World, order: Sequence[int]) -> None:
    from utd_core.media.backend import PublishOptions

    from .world import MICROPHONE

    host, guest = await world.room(), await world.guest("guest")
    await guest.do(TakeSeat(room=ROOM))
    await world.settle()
    connection = guest.connection
    assert connection is not None
    results = await at_once(
        world,
        order,
        lambda: host.do(RemoveParticipant(room=ROOM, identity="guest")),
        lambda: connection.publish(PublishOptions(MICROPHONE)),
    )
    assert results[0] == "ok"
    assert world.connected() == {"host"}
    assert (await world.state()).grid.seat_of("guest") is None


@pytest.mark.parametrize("order", ORDERS)
async def test_kick_during_the_join(world: World, order: Sequence[int]) -> None:
    host, guest = await world.room(), await world.guest("guest")
    results = await at_once(
        world, order, lambda: host.do(RemoveParticipant(room=ROOM, identity="guest")), lambda: guest.join(connect=False)
    )
    assert results[0] == "ok"
    assert await world.count() == (2 if results[1] == "ok" else 1)
    if results[1] == "ok":
        await guest.connect()
        await world.advance(60)
        assert guest.is_connected()
    else:
        assert results[1] == "not_joined"


@pytest.mark.parametrize("order", ORDERS)
async def test_end_and_reject_at_once(world: World, order: Sequence[int]) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    await world.sign_in(ann, bob)
    call = await ann.call("bob")
    results = await at_once(
        world, order, lambda: ann.do(EndCall(id=call.call_id)), lambda: bob.do(RejectCall(id=call.call_id))
    )
    assert sorted(results) == ["call_ended", "ok"]
    seen = await world.server_does(GetCall(id=call.call_id))
    assert (seen.status, seen.ended_by) == (
        (UTDCallStatus.ENDED, "ann") if order == (0, 1) else (UTDCallStatus.REJECTED, "bob")
    )
    await bob.call("ann")


@pytest.mark.parametrize("order", ORDERS)
async def test_cancel_while_the_callee_accepts(world: World, order: Sequence[int]) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    await world.sign_in(ann, bob)
    call = await ann.call("bob")
    results = await at_once(
        world, order, lambda: ann.do(CancelCall(id=call.call_id)), lambda: bob.do(AcceptCall(id=call.call_id))
    )
    assert results == (["ok", "call_ended"] if order == (0, 1) else ["call_not_ringing", "ok"])


async def test_answer_at_the_moment_of_the_ring_timeout(world: World) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    call = await ann.call("bob")
    await world.advance(29.999_999)
    ringing = asyncio.ensure_future(outcome(bob.accept(call.call_id)))
    await world.advance(0.000_001)
    result = codes([await ringing])
    seen = await world.server_does(GetCall(id=call.call_id))
    assert (result, seen.status) in (
        (["ok"], UTDCallStatus.ACTIVE),
        (["call_ended"], UTDCallStatus.MISSED),
    )
    await world.advance(40)
    assert (await world.server_does(GetCall(id=call.call_id))).status in (seen.status, UTDCallStatus.ACTIVE)


@pytest.mark.parity("B7")
@pytest.mark.parametrize("order", ORDERS)
async def test_a_request_is_accepted_and_rejected_at_once(world: World, order: Sequence[int]) -> None:
    host, guest = await world.room(seat_mode=SeatMode.REQUEST), await world.guest("guest")
    request = await guest.do(MakeRequest(room=ROOM, kind=RequestKind.SPEAK))
    results = await at_once(
        world,
        order,
        lambda: host.do(AcceptRequest(room=ROOM, id=request.id)),
        lambda: host.do(RejectRequest(room=ROOM, id=request.id)),
    )
    assert [results[number] for number in order] == ["ok", "request_ended"]
    assert ((await world.state()).grid.seat_of("guest") is not None) is (order == (0, 1))


@pytest.mark.parametrize("order", THREE)
async def test_room_ends_while_a_seat_is_taken_and_somebody_joins(world: World, order: Sequence[int]) -> None:
    host, guest = await world.room(), await world.guest("guest")
    late = world.person("late")
    results = await at_once(
        world,
        order,
        lambda: host.do(EndRoom(room=ROOM)),
        lambda: guest.do(TakeSeat(room=ROOM)),
        lambda: late.join(connect=False),
    )
    assert results[0] == "ok"
    assert results[1] in ("ok", "room_ended")
    assert results[2] in ("not_joined", "room_ended")
    await world.advance(10)
    assert not guest.is_connected()
    assert ROOM not in world.server.rooms
    assert await world.count() == 0


@pytest.mark.parametrize("order", ORDERS)
async def test_ban_from_the_project_while_joining(world: World, order: Sequence[int]) -> None:
    await world.room()
    guest = world.person("guest")
    results = await at_once(
        world, order, lambda: world.server_does(CreateBan(identity="guest")), lambda: guest.join(connect=False)
    )
    assert results[0] == "ok"
    if results[1] == "ok":
        await guest.connect()
    await world.advance(1)
    assert world.connected() == {"host"}
    assert await world.count() == 1


@pytest.mark.parametrize("order", ORDERS)
async def test_move_into_a_seat_that_is_being_taken(world: World, order: Sequence[int]) -> None:
    await world.room()
    ann, bob = await world.guest("ann"), await world.guest("bob")
    await ann.do(TakeSeat(room=ROOM, index=0))
    results = await at_once(
        world, order, lambda: ann.do(MoveSeat(room=ROOM, index=1)), lambda: bob.do(TakeSeat(room=ROOM, index=1))
    )
    assert [results[number] for number in order] == ["ok", "seat_taken"]
    assert await media_agrees(world)


async def test_a_join_that_is_committed_while_the_room_is_left_by_the_last_one(gated: World, store: GatedStore) -> None:
    host = await gated.room(empty_timeout=10.0)
    store.hold()
    leave = asyncio.ensure_future(host.leave())
    await gated.settle()
    join = asyncio.ensure_future(gated.guest("guest"))
    await gated.settle()
    store.release()
    await leave
    guest = await join
    await gated.advance(20)
    assert guest.is_connected()
    assert (await gated.state()).empty_since is None


@pytest.mark.parametrize("seed", range(10))
async def test_a_hundred_random_commands_at_once_leave_model_and_media_agreed(world: World, seed: int) -> None:
    chance = random.Random(seed)
    host = await world.room(seat_count=4)
    people = [await world.guest(f"guest-{number}") for number in range(6)]

    def anything() -> Awaitable[Any]:
        person = chance.choice(people)
        index = chance.randrange(4)
        deeds: list[Operation] = [
            lambda: person.do(TakeSeat(room=ROOM, index=index)),
            lambda: person.do(LeaveSeat(room=ROOM)),
            lambda: person.do(MoveSeat(room=ROOM)),
            lambda: host.do(LockSeat(room=ROOM, index=index)),
            lambda: host.do(UnlockSeat(room=ROOM, index=index)),
            lambda: host.do(ClearSeat(room=ROOM, index=index)),
            lambda: host.do(RemoveParticipant(room=ROOM, identity=person.identity)),
            person.leave,
            person.join,
            lambda: person.do(ListRequests(room=ROOM)),
        ]
        return chance.choice(deeds)()

    for _ in range(5):
        await asyncio.gather(*(outcome(anything()) for _ in range(20)))
        await world.advance(chance.random() * 3)
    await world.advance(60)
    assert await media_agrees(world)
    snapshot = await world.server_does(GetRoom(room=ROOM))
    assert snapshot.participants == len(world.connected())
    assert set(snapshot.room.grid.occupants()) <= world.connected()
    assert snapshot.offset == snapshot.room.version
