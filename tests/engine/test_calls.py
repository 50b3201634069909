from __future__ import annotations

import asyncio
from typing import Any

import pytest

from utd_core.errors import Conflict, Forbidden, NotFound
from utd_core.media.faults import Fault
from utd_core.model.call import UTDCallStatus
from utd_core.model.commands import (
    AcceptCall,
    BusyCall,
    CancelCall,
    EndCall,
    GetCall,
    ListCalls,
    RejectCall,
    RingCall,
)
from utd_core.model.results import UTDCall

from .conftest import MakeWorld
from .world import World, codes, outcome, outcomes


@pytest.fixture(params=["memory", "postgresql"])
async def world(request: pytest.FixtureRequest, world_on: MakeWorld) -> World:
    """An engine with its store in memory, and one on PostgreSQL."""
    return await world_on(request.param)


async def answered(world: World, caller: str = "ann", callee: str = "bob") -> tuple[UTDCall, str]:
    """A call with both parties connected, and the name of its media room."""
    one, other = world.person(caller), world.person(callee)
    call = await one.call(callee)
    await one.connect()
    call = await other.accept(call.call_id)
    await other.connect()
    return call, call.room_name


async def see(world: World, call_id: str) -> UTDCall:
    call = await world.server_does(GetCall(id=call_id))
    assert isinstance(call, UTDCall)
    return call


@pytest.mark.parity("U12")
async def test_a_call_from_dialling_to_hanging_up(world: World) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    call = await ann.call("bob", metadata={"about": "lunch"})
    assert (call.status, call.caller_name, call.metadata) == (UTDCallStatus.INITIATING, "Ann", {"about": "lunch"})
    assert call.ticket is not None
    await ann.connect()
    assert ann.may_speak(), "the first word is heard"
    call = await bob.do(RingCall(id=call.call_id))
    assert (call.status, call.ticket) == (UTDCallStatus.RINGING, None)
    call = await bob.accept(call.call_id)
    assert call.status is UTDCallStatus.ACTIVE
    await bob.connect()
    assert bob.may_speak()
    assert world.server.rooms[call.room_name].max_participants == 2
    call = await bob.do(EndCall(id=call.call_id))
    assert (call.status, call.end_reason, call.ended_by) == (UTDCallStatus.ENDED, "hung_up", "bob")
    await world.settle()
    assert not ann.is_connected()
    assert not bob.is_connected()
    assert call.room_name not in world.server.rooms
    assert world.engine.statistics().calls == 0


async def test_a_call_is_seen_at_its_place_in_the_channel(world: World) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    call = await ann.call("bob")
    subscription = await ann.follow(f"private-call.{call.call_id}")
    seen = await bob.do(RingCall(id=call.call_id))
    envelope = await subscription.events.get()
    assert (seen.epoch, seen.offset) == (envelope.epoch, envelope.offset) == (call.epoch, call.offset + 1)


@pytest.mark.parity("G3")
async def test_only_the_device_that_answered_gets_a_ticket(world: World) -> None:
    ann, phone, laptop = world.person("ann"), world.person("bob", "phone"), world.person("bob", "laptop")
    call = await ann.call("bob")
    assert (await phone.do(GetCall(id=call.call_id))).ticket is None
    results = await outcomes(phone.do(AcceptCall(id=call.call_id)), laptop.do(AcceptCall(id=call.call_id)))
    assert codes(results) == ["ok", "call_not_ringing"]
    assert results[0].callee_device == "phone"
    assert (await phone.do(GetCall(id=call.call_id))).ticket is not None
    assert (await laptop.do(GetCall(id=call.call_id))).ticket is None
    assert (await world.person("ann", "tv").do(GetCall(id=call.call_id))).ticket is None


async def test_a_call_is_nobody_elses_business(world: World) -> None:
    call = await world.person("ann").call("bob")
    eve = world.person("eve")
    for command in (GetCall(id=call.call_id), AcceptCall(id=call.call_id), EndCall(id=call.call_id)):
        with pytest.raises(NotFound):
            await eve.do(command)
    with pytest.raises(Forbidden):
        await world.person("bob").do(CancelCall(id=call.call_id))
    with pytest.raises(NotFound):
        await eve.do(GetCall(id="no-such-call"))


@pytest.mark.parity("U13")
async def test_two_calls_to_one_callee_at_once_cannot_both_win(world: World) -> None:
    callers = [world.person(f"caller-{number}") for number in range(10)]
    results = await outcomes(*(caller.call("bob") for caller in callers))
    assert sorted(codes(results)) == ["callee_busy"] * 9 + ["ok"]


async def test_two_who_call_each_other_at_once_are_in_one_call(world: World) -> None:
    results = await outcomes(world.person("ann").call("bob"), world.person("bob").call("ann"))
    assert sorted(codes(results)) == ["already_in_call", "ok"]


@pytest.mark.parametrize("ending", [RejectCall, BusyCall, CancelCall, EndCall])
async def test_every_end_sets_both_free(world: World, ending: type) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    call = await ann.call("bob")
    with pytest.raises(Conflict):
        await bob.call("ann")
    await (ann if ending is CancelCall else bob).do(ending(id=call.call_id))
    again = await bob.call("ann")
    await ann.do(EndCall(id=again.call_id))
    await ann.call("bob")


async def test_a_second_end_is_refused_and_frees_nobody_twice(world: World) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    first = await ann.call("bob")
    results = await outcomes(ann.do(EndCall(id=first.call_id)), bob.do(EndCall(id=first.call_id)))
    assert codes(results) == ["ok", "call_ended"]
    second = await ann.call("bob")
    assert codes([await outcome(bob.do(EndCall(id=first.call_id)))]) == ["call_ended"]
    assert codes([await outcome(world.person("eve").call("bob"))]) == ["callee_busy"]
    assert (await see(world, second.call_id)).status is UTDCallStatus.INITIATING


@pytest.mark.parity("U13")
async def test_an_unanswered_call_is_missed_when_its_time_is_over(world: World) -> None:
    call = await world.person("ann").call("bob", ring_timeout=12.0)
    await world.advance(11.9)
    assert (await see(world, call.call_id)).status is UTDCallStatus.INITIATING
    await world.advance(0.1)
    seen = await see(world, call.call_id)
    assert (seen.status, seen.end_reason, seen.ended_by) == (UTDCallStatus.MISSED, "no_answer", "$system")
    await world.person("bob").call("ann")


async def test_an_answered_call_is_not_missed(world: World) -> None:
    call, _ = await answered(world)
    await world.advance(300)
    assert (await see(world, call.call_id)).status is UTDCallStatus.ACTIVE


async def test_a_call_ends_when_its_longest_duration_is_over(world: World) -> None:
    ann = world.person("ann")
    call = await ann.call("bob", max_duration=60.0)
    await world.advance(10)
    bob = world.person("bob")
    await bob.accept(call.call_id)
    await bob.connect()
    await ann.connect()
    await world.advance(60)
    assert (await see(world, call.call_id)).end_reason == "duration_limit"
    assert not ann.is_connected()


async def test_who_loses_the_connection_has_a_grace(world: World) -> None:
    call, room = await answered(world)
    await world.fault(Fault.NODE_FAILURE, "ann", room=room, seconds=0)
    await world.advance(19)
    assert (await see(world, call.call_id)).status is UTDCallStatus.ACTIVE
    await world.advance(2)
    seen = await see(world, call.call_id)
    assert (seen.status, seen.end_reason) == (UTDCallStatus.ENDED, "disconnected")


async def test_who_comes_back_within_the_grace_goes_on_talking(world: World) -> None:
    call, room = await answered(world)
    ann = world.person("ann")
    await world.fault(Fault.NODE_FAILURE, "ann", room=room, seconds=0)
    await world.advance(15)
    ann.ticket = (await ann.do(GetCall(id=call.call_id))).ticket
    await ann.connect()
    await world.advance(60)
    assert (await see(world, call.call_id)).status is UTDCallStatus.ACTIVE
    assert ann.may_speak()


async def test_a_party_that_never_connects_does_not_hold_the_other_for_ever(world: World) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    call = await ann.call("bob")
    await ann.connect()
    await bob.accept(call.call_id)
    await world.advance(60 + 20 + 1)
    assert (await see(world, call.call_id)).end_reason == "disconnected"


async def test_a_caller_that_never_connected_does_not_hold_the_callee_for_ever(world: World) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    call = await ann.call("bob", ring_timeout=180.0)
    await world.advance(150)
    await bob.accept(call.call_id)
    await bob.connect()
    await world.advance(60 + 20 + 1)
    assert (await see(world, call.call_id)).end_reason == "disconnected"


@pytest.mark.parametrize(
    ("fault", "parameters"),
    [
        (Fault.NOTIFICATIONS_LOST, {"times": 50}),
        (Fault.NOTIFICATIONS_DOUBLED, {"times": 50}),
        (Fault.NOTIFICATIONS_DELAYED, {"times": 50, "seconds": 5.0}),
        (Fault.NOTIFICATIONS_REVERSED, {"times": 2}),
    ],
)
async def test_a_call_ends_after_its_party_is_gone_despite(
    world: World, fault: Fault, parameters: dict[str, Any]
) -> None:
    call, room = await answered(world)
    await world.advance(1)
    await world.fault(fault, room=room, **parameters)
    await world.fault(Fault.NODE_FAILURE, "ann", room=room, seconds=0)
    await world.advance(70)
    assert (await see(world, call.call_id)).end_reason == "disconnected"


async def test_a_third_party_cannot_get_into_the_media_room(world: World) -> None:
    from utd_core.model.permission import Grant

    ann = world.person("ann")
    call = await ann.call("bob")
    await ann.connect()
    ticket = await world.media.control.issue_join(call.room_name, "eve", grant=Grant())
    connection = await world.media.connect(ticket)
    await world.settle()
    assert world.connected(call.room_name) == {"ann"}
    await connection.aclose()


async def test_the_callee_has_no_way_in_before_it_accepts(world: World) -> None:
    call = await world.person("ann").call("bob")
    bob = world.person("bob")
    assert (await bob.do(GetCall(id=call.call_id))).ticket is None
    assert (await bob.do(RingCall(id=call.call_id))).ticket is None


async def test_calls_are_listed_to_their_parties_the_newest_first(world: World) -> None:
    ann = world.person("ann")
    made = []
    for number in range(5):
        call = await ann.call(f"friend-{number}")
        await ann.do(EndCall(id=call.call_id))
        made.append(call.call_id)
        await world.advance(1)
    page = await ann.do(ListCalls(limit=3))
    assert [call.call_id for call in page.data] == made[:1:-1]
    rest = await ann.do(ListCalls(limit=3, cursor=page.next))
    assert [call.call_id for call in rest.data] == made[1::-1]
    assert rest.next is None
    assert [call.call_id for call in (await world.person("friend-3").do(ListCalls())).data] == [made[3]]
    assert (await world.person("eve").do(ListCalls())).data == ()
    assert [call.call_id for call in (await world.server_does(ListCalls())).data] == made[::-1]
    assert (await ann.do(ListCalls(cursor="unknown"))).data == ()


async def test_a_call_that_ended_while_its_ticket_was_made_comes_without_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = type(world.engine.backend.control)
    original, gate = control.issue_join, asyncio.Event()

    async def slow(self: object, *args: object, **named: object) -> object:
        await gate.wait()
        return await original(self, *args, **named)  # type: ignore[arg-type]  # passed through as it came

    monkeypatch.setattr(control, "issue_join", slow)
    ann, bob = world.person("ann"), world.person("bob")
    start = asyncio.ensure_future(ann.call("bob"))
    await world.settle()
    listed = (await bob.do(ListCalls())).data
    await bob.do(RejectCall(id=listed[0].call_id))
    gate.set()
    assert (await start).ticket is None
