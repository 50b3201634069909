"""A new engine on what the last one left: state, deadlines, people, keys."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.media.faults import Fault
from utd_core.model.call import UTDCallStatus
from utd_core.model.commands import (
    CreateBan,
    EndRoom,
    GetCall,
    GetRoom,
    LeaveSeat,
    ListCalls,
    ListParticipants,
    ListRequests,
    ListRooms,
    LockSeat,
    MakeRequest,
    RemoveParticipant,
    SetRole,
    StartCall,
    TakeSeat,
)
from utd_core.model.request import RequestKind
from utd_core.model.results import Page
from utd_core.model.roles import Role
from utd_core.model.room import DuplicateIdentity
from utd_core.model.seats import SeatMode
from utd_core.model.stream_type import UTDStreamType

from .conftest import MakeWorld
from .world import ROOM, World, codes, outcome


@pytest.fixture(params=["file", "postgresql"])
async def world(request: pytest.FixtureRequest, world_on: MakeWorld) -> World:
    """An engine on what outlives it."""
    return await world_on(request.param)


async def test_a_room_is_as_it_was(world: World) -> None:
    host = await world.room(seat_count=6, seat_mode=SeatMode.REQUEST, metadata={"topic": "x"})
    guest = await world.guest("guest")
    await host.do(TakeSeat(room=ROOM, index=3))
    await host.do(LockSeat(room=ROOM, index=5))
    await host.do(SetRole(room=ROOM, identity="guest", role=Role.ADMIN))
    await guest.do(MakeRequest(room=ROOM, kind=RequestKind.SPEAK))
    before = await world.server_does(GetRoom(room=ROOM))
    await world.restart()
    assert await world.server_does(GetRoom(room=ROOM)) == before


async def test_events_go_on_in_the_same_epoch(world: World) -> None:
    host = await world.room()
    before = await world.server_does(GetRoom(room=ROOM))
    await world.restart()
    subscription = await host.follow("private-room.room")
    await host.do(TakeSeat(room=ROOM))
    envelope = await subscription.events.get()
    assert (envelope.epoch, envelope.offset) == (before.epoch, before.offset + 1)


async def test_those_who_stayed_connected_are_there_and_may_go_on(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest", device="phone")
    await guest.do(TakeSeat(room=ROOM, index=1))
    await world.stop()
    await world.advance(120)
    await world.start()
    assert await world.count() == 2, "at the first look"
    page = await world.server_does(ListParticipants(room=ROOM))
    assert [person.identity for person in page.data] == ["guest", "host"]
    await guest.do(LeaveSeat(room=ROOM))
    await host.do(TakeSeat(room=ROOM))
    await world.advance(120)
    assert host.may_speak()
    assert not guest.may_speak()
    assert await world.count() == 2


async def test_a_seat_of_somebody_who_does_not_come_back_is_freed_after_the_grace(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    await guest.do(TakeSeat(room=ROOM, index=1))
    await world.stop()
    await guest.disconnect()
    await world.start()
    await world.advance(19)
    assert (await world.state()).grid.seats[1].identity == "guest"
    await world.advance(2)
    assert (await world.state()).grid.seats[1].identity is None


async def test_a_seat_of_somebody_who_comes_back_in_time_is_kept(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    await guest.do(TakeSeat(room=ROOM, index=1))
    await world.stop()
    await guest.disconnect()
    await world.start()
    await world.advance(15)
    await guest.join()
    await world.advance(60)
    assert (await world.state()).grid.seats[1].identity == "guest"
    assert guest.may_speak()


async def test_a_request_of_somebody_who_does_not_come_back_is_cancelled(world: World) -> None:
    await world.room(seat_mode=SeatMode.REQUEST, request_timeout=600.0)
    guest = await world.guest("guest")
    await guest.do(MakeRequest(room=ROOM, kind=RequestKind.SPEAK))
    await world.stop()
    await guest.disconnect()
    await world.start()
    await world.advance(21)
    assert await world.server_does(ListRequests(room=ROOM)) == Page(())


async def test_a_room_that_nobody_comes_back_to_is_empty_after_the_grace(world: World) -> None:
    host = await world.room(empty_timeout=30.0)
    await world.stop()
    await host.disconnect()
    await world.start()
    await world.advance(21)
    state = await world.state()
    assert state.empty_since is not None
    assert state.hostless_since is not None
    await world.advance(31)
    assert (await world.state()).end_reason == "empty"


async def test_a_ticket_from_before_the_restart_still_leads_in(world: World) -> None:
    await world.room()
    guest = world.person("guest")
    await guest.join(connect=False)
    await world.restart()
    assert await world.count() == 1
    await guest.connect()
    assert await world.count() == 2
    await world.advance(100)
    assert guest.is_connected()


async def test_who_was_removed_just_before_the_engine_died_does_not_get_back_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crash between two steps: the removal is committed, the media server was never told."""
    host, guest = await world.room(), await world.guest("guest")
    control = type(world.engine.backend.control)

    async def never(*args: object) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(control, "remove_participant", never)
        await host.do(RemoveParticipant(room=ROOM, identity="guest"))
        await world.settle()
        assert guest.is_connected()
        await world.stop()
    await world.start()
    await world.advance(1)
    assert not guest.is_connected()
    await guest.connect()
    assert not guest.is_connected()
    assert await world.count() == 1


async def test_who_was_banned_while_no_engine_ran_the_rest_of_it_is_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.room()
    guest = await world.guest("guest")
    await guest.do(TakeSeat(room=ROOM, index=2))
    ann = world.person("ann")
    call = await ann.call("guest")
    from utd_core.engine.aftermath import Aftermath

    async def never(*args: object) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(Aftermath, "_evict", never)
        await world.server_does(CreateBan(identity="guest", reason="spam"))
        await world.stop()
    await world.start()
    await world.advance(1)
    assert not guest.is_connected()
    seen = await world.server_does(GetCall(id=call.call_id))
    assert (seen.status, seen.end_reason) == (UTDCallStatus.REJECTED, "banned")
    await world.advance(21)
    assert (await world.state()).grid.seats[2].identity is None


async def test_a_room_that_ended_and_could_not_be_closed_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await world.room()
    control = type(world.engine.backend.control)

    async def never(*args: object) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(control, "close_room", never)
        await world.server_does(EndRoom(room=ROOM))
        await world.stop()
        assert host.is_connected()
    await world.start()
    await world.advance(1)
    assert not host.is_connected()
    assert ROOM not in world.server.rooms


async def test_a_grant_that_was_not_applied_any_more_is_applied(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    await world.fault(Fault.GRANT_FAILURE, "guest", times=1)
    await guest.do(TakeSeat(room=ROOM))
    await world.settle()
    await world.stop()
    assert not guest.may_speak()
    await world.start()
    await world.advance(1)
    assert guest.may_speak()


async def test_a_media_server_that_cannot_be_asked_yet_takes_nobody_the_seat(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from utd_core.errors import MediaError

    host, guest = await world.room(), await world.guest("guest")
    await guest.do(TakeSeat(room=ROOM, index=1))
    await world.stop()
    control = type(world.media.control)

    async def fail(*args: object) -> None:
        raise MediaError("away")

    with monkeypatch.context() as patched:
        patched.setattr(control, "list_participants", fail)
        patched.setattr(control, "list_rooms", fail)
        await world.start()
        await world.advance(100)
        assert (await world.state()).grid.seats[1].identity == "guest"
    await world.advance(20)
    assert await world.count() == 2
    await host.do(TakeSeat(room=ROOM))
    await world.settle()
    assert host.may_speak()
    assert (await world.state()).grid.seats[1].identity == "guest"


async def test_a_media_server_that_never_answers_keeps_a_room_from_its_commands_only_so_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await world.room()
    await world.stop()
    control = type(world.media.control)

    async def never(*args: object) -> None:
        await asyncio.get_running_loop().create_future()

    with monkeypatch.context() as patched:
        patched.setattr(control, "list_participants", never)
        await world.start()
        lock = asyncio.ensure_future(host.do(LockSeat(room=ROOM, index=1)))
        await world.advance(10)
        assert (await lock).locked
    await world.advance(30)
    assert await world.count() == 1


async def test_many_devices_are_known_again(world: World) -> None:
    await world.room(duplicate_identity=DuplicateIdentity.MANY)
    for device in ("phone", "tv"):
        await world.guest("ann", device=device)
    await world.restart()
    page = await world.server_does(ListParticipants(room=ROOM))
    assert set(page.data[0].devices) == {"phone", "tv"}


async def test_the_one_device_may_join_again_where_a_second_is_rejected(world: World) -> None:
    await world.room(duplicate_identity=DuplicateIdentity.REJECT)
    phone = await world.guest("ann", device="phone")
    await world.restart()
    await phone.join()
    assert codes([await outcome(world.guest("ann", device="tv"))]) == ["already_joined"]


@pytest.mark.parity("U13")
async def test_a_ring_timeout_fires_after_a_restart(world: World) -> None:
    call = await world.person("ann").call("bob")
    await world.advance(10)
    await world.restart()
    await world.advance(19.5)
    assert (await world.server_does(GetCall(id=call.call_id))).status is UTDCallStatus.INITIATING
    await world.advance(0.5)
    assert (await world.server_does(GetCall(id=call.call_id))).status is UTDCallStatus.MISSED


async def test_a_deadline_that_passed_meanwhile_fires_at_the_start(world: World) -> None:
    call = await world.person("ann").call("bob")
    host = await world.room(max_duration=100.0)
    await world.stop()
    await world.advance(1_000)
    await world.start()
    await world.settle()
    assert (await world.server_does(GetCall(id=call.call_id))).status is UTDCallStatus.MISSED
    assert (await world.state()).end_reason == "duration_limit"
    assert not host.is_connected()


async def test_hundreds_of_deadlines_that_passed_all_fire_at_the_start(world: World) -> None:
    callers = [world.person(f"caller-{number}") for number in range(250)]
    for number, caller in enumerate(callers):
        await caller.do(StartCall(type=UTDStreamType.AUDIO_CALL, callee=f"callee-{number}"))
    await world.stop()
    await world.advance(1_000)
    await world.start()
    await world.settle()
    calls = (await world.server_does(ListCalls(limit=100))).data
    assert {call.status for call in calls} == {UTDCallStatus.MISSED}
    assert world.engine._machinery is not None
    assert not world.engine._machinery.lines.engaged


async def test_who_is_in_a_call_is_still_busy(world: World) -> None:
    call = await world.person("ann").call("bob")
    await world.restart()
    assert codes([await outcome(world.person("eve").call("bob"))]) == ["callee_busy"]
    await world.person("bob").do(GetCall(id=call.call_id))
    from utd_core.model.commands import RejectCall

    await world.person("bob").do(RejectCall(id=call.call_id))
    await world.person("eve").call("bob")


async def test_a_call_goes_on_for_those_who_stayed_connected(world: World) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    call = await ann.call("bob")
    await ann.connect()
    await bob.accept(call.call_id)
    await bob.connect()
    await world.restart()
    await world.advance(60)
    assert (await world.server_does(GetCall(id=call.call_id))).status is UTDCallStatus.ACTIVE
    assert ann.may_speak()
    assert bob.may_speak()


async def test_a_call_ends_for_those_who_did_not(world: World) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    call = await ann.call("bob")
    await ann.connect()
    await bob.accept(call.call_id)
    await bob.connect()
    await world.stop()
    await bob.disconnect()
    await world.start()
    await world.advance(21)
    seen = await world.server_does(GetCall(id=call.call_id))
    assert (seen.status, seen.end_reason) == (UTDCallStatus.ENDED, "disconnected")
    assert not ann.is_connected()


async def test_user_tokens_outlive_the_engine(world: World) -> None:
    host = await world.room()
    assert host.ticket is not None
    await world.restart()
    assert world.engine.actor_of(host.ticket.user_token) == host.actor


async def test_lists_know_the_rooms_and_calls_of_before(world: World) -> None:
    await world.room(room="a")
    await world.room("other", "b")
    call = await world.person("ann").call("bob")
    await world.restart()
    page = await world.server_does(ListRooms())
    assert [(room.name, room.participants) for room in page.data] == [("a", 1), ("b", 1)]
    assert [seen.call_id for seen in (await world.person("bob").do(ListCalls())).data] == [call.call_id]
