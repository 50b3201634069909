"""1:1 calls."""

from __future__ import annotations

import pytest

from utd_core.errors import Conflict, ErrorCode, Forbidden, InvalidInput, NotFound
from utd_core.model.call import CALL, RECONNECT_GRACE, CallAccepted, UTDCallStatus, deadline
from utd_core.model.channels import call_event_channels
from utd_core.model.codec import dump
from utd_core.model.command import Command
from utd_core.model.commands import (
    AcceptCall,
    BusyCall,
    CancelCall,
    EndCall,
    GetCall,
    PartyBanned,
    PartyConnected,
    PartyDisconnected,
    RejectCall,
    RingCall,
    StartCall,
)
from utd_core.model.grants import NOTHING, call_grant_of
from utd_core.model.identifiers import SERVER, SYSTEM
from utd_core.model.permission import TrackSource
from utd_core.model.stream_type import UTDStreamType

from ..rulebook import rule
from ..world import START, CallWorld, ended, kinds, the

FIRST_WORD = "The caller publishes from the start, so that the first word is heard; the callee once it has accepted."
STATES = (
    "initiating (the caller dialled), ringing (a device of the callee rings), active, and four ends: ended, rejected, "
    "busy, missed."
)
ONCE = "A call ends once; the end says why and by whom."
SIDES = "The callee rings, accepts, rejects or reports busy; the caller cancels; either side ends."
BEFORE = "`end` before the answer is the caller's cancel or the callee's rejection."
TIMEOUT = "Unanswered for `ring_timeout` seconds (5 to 180, default 30) it is missed."
LIMITS = "An answered call ends after `max_duration` seconds if that is set, or when a party is gone for 20 seconds."
ONE_DEVICE = "One device answers; the others learn from the event which one and stop ringing."
BUSY = "Whoever is in a call that has not ended is busy for others."


def ringing(**options: object) -> CallWorld:
    """Ann calls Bob, and it rings on his phone."""
    world = CallWorld()
    world.start("ann", "bob", **options)
    world.give("bob", RingCall(id="call-1"))
    return world


def active(**options: object) -> CallWorld:
    world = ringing(**options)
    world.give("bob", AcceptCall(id="call-1"))
    return world


@rule(STATES)
def test_the_way_of_a_call() -> None:
    world = CallWorld()
    way = [world.start().status]
    steps: tuple[Command, ...] = (RingCall(id="call-1"), AcceptCall(id="call-1"), EndCall(id="call-1"))
    for command in steps:
        world.give("bob", command)
        way.append(world.answer.status)
    assert [status.value for status in way] == ["initiating", "ringing", "active", "ended"]
    assert {status for status in UTDCallStatus if status.is_terminal} == CALL.final


@rule(ONCE)
@pytest.mark.parametrize(
    ("by", "command", "end"),
    [
        ("bob", RejectCall(id="call-1", reason="later"), ("rejected", "later", "bob")),
        ("bob", RejectCall(id="call-1", reason="disconnected"), ("rejected", "disconnected", "bob")),
        ("bob", BusyCall(id="call-1"), ("busy", "busy", "bob")),
        ("ann", CancelCall(id="call-1"), ("ended", "cancelled", "ann")),
        (SERVER, EndCall(id="call-1"), ("ended", "cancelled", SERVER)),
    ],
)
def test_an_unanswered_call_ends_once_and_says_why(by: str, command: Command, end: tuple[str, str, str]) -> None:
    world = ringing()
    assert ended(world.give(by, command)) == end
    call = world.call
    assert (call.status.value, call.end_reason, call.ended_by, call.ended_at) == (*end, START)
    before = dump(call)
    for other, again in (("ann", EndCall(id="call-1")), ("bob", RejectCall(id="call-1")), (by, command)):
        with world.refused(ErrorCode.CALL_ENDED, Conflict):
            world.give(other, again)
    assert world.wait(1e6) == world.give("", PartyDisconnected("ann")) == []
    assert dump(world.call) == before
    assert deadline(world.call) is None


@rule(ONCE)
def test_an_active_call_ends_once_and_says_by_whom() -> None:
    for by in ("ann", "bob"):
        world = active()
        assert ended(world.give(by, EndCall(id="call-1"))) == ("ended", "hung_up", by)
        with world.refused(ErrorCode.CALL_ENDED, Conflict):
            world.give("ann" if by == "bob" else "bob", EndCall(id="call-1"))


@rule("Only the two parties see a call.")
def test_for_a_stranger_there_is_no_such_call() -> None:
    world = ringing()
    commands: tuple[Command, ...] = (GetCall(id="call-1"), AcceptCall(id="call-1"), EndCall(id="call-1"))
    for command in commands:
        with world.refused(ErrorCode.CALL_NOT_FOUND, NotFound):
            world.give("eve", command)
    world.give("ann", GetCall(id="call-1"))
    with world.refused(ErrorCode.CALL_NOT_FOUND, NotFound):
        world.give("ann", GetCall(id="call-7"), id="call-7")
    event = the(CallAccepted, world.give("bob", AcceptCall(id="call-1")))
    assert call_event_channels(world.call, event) == (
        "private-call.call-1",
        "private-user.ann",
        "private-user.bob",
    )


@rule(SIDES)
def test_each_side_gives_its_own_commands() -> None:
    world = ringing()
    callees: tuple[Command, ...] = (
        RingCall(id="call-1"),
        AcceptCall(id="call-1"),
        RejectCall(id="call-1"),
        BusyCall(id="call-1"),
    )
    for command in callees:
        with world.refused(ErrorCode.FORBIDDEN, Forbidden):
            world.give("ann", command)
    with world.refused(ErrorCode.FORBIDDEN, Forbidden):
        world.give("bob", CancelCall(id="call-1"))
    world.give("bob", AcceptCall(id="call-1"))
    with world.refused(ErrorCode.CALL_NOT_RINGING, Conflict):
        world.give("ann", CancelCall(id="call-1"))
    world.give("ann", EndCall(id="call-1"))


@rule(BEFORE)
@pytest.mark.parametrize(
    ("by", "end"), [("ann", ("ended", "cancelled", "ann")), ("bob", ("rejected", "rejected", "bob"))]
)
def test_hanging_up_before_the_answer(by: str, end: tuple[str, str, str]) -> None:
    assert ended(ringing().give(by, EndCall(id="call-1"))) == end


@rule(TIMEOUT)
def test_unanswered_it_is_missed() -> None:
    world = ringing()
    assert deadline(world.call) == START + 30
    assert world.wait(29.9) == []
    assert ended(world.wait(0.1)) == ("missed", "no_answer", SYSTEM)
    with world.refused(ErrorCode.CALL_ENDED, Conflict):
        world.give("bob", AcceptCall(id="call-1"))


@rule(TIMEOUT)
@pytest.mark.parametrize("timeout", [5, 180])
def test_the_ring_timeout_has_bounds(timeout: float) -> None:
    world = CallWorld()
    world.start(ring_timeout=timeout)
    assert world.wait(timeout - 0.5) == []
    assert ended(world.wait(0.5))[0] == "missed"
    for beyond in (4.9, 180.1):
        with pytest.raises(InvalidInput):
            StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob", ring_timeout=beyond)


@rule(TIMEOUT)
def test_ringing_again_does_not_begin_the_time_anew() -> None:
    world = ringing()
    world.now += 29
    world.give("bob", RingCall(id="call-1"), device="tablet")
    assert ended(world.wait(1))[0] == "missed"


@rule(LIMITS)
def test_an_answered_call_ends_at_its_longest_duration() -> None:
    world = ringing(max_duration=60)
    world.now += 20
    world.give("bob", AcceptCall(id="call-1"))
    assert deadline(world.call) == START + 80
    assert world.wait(59) == []
    assert ended(world.wait(1)) == ("ended", "duration_limit", SYSTEM)
    assert deadline(active().call) is None


@rule(LIMITS)
def test_a_party_that_is_gone_may_come_back_within_the_grace() -> None:
    assert RECONNECT_GRACE == 20
    world = active()
    world.give("", PartyDisconnected("ann"))
    assert world.give("", PartyDisconnected("ann")) == []
    world.wait(19)
    world.give("", PartyConnected("ann"))
    assert world.give("", PartyConnected("ann")) == []
    assert deadline(world.call) is None
    assert world.wait(1) == []
    world.give("", PartyDisconnected("bob"))
    world.now += 5
    world.give("", PartyDisconnected("ann"))
    assert ended(world.wait(15)) == ("ended", "disconnected", SYSTEM)


@rule(LIMITS)
def test_before_the_answer_nobody_is_missed_from_the_call() -> None:
    world = ringing()
    assert world.give("", PartyDisconnected("ann")) == []
    assert world.give("", PartyDisconnected("eve")) == []
    world.give("bob", AcceptCall(id="call-1"))
    assert world.give("", PartyDisconnected("eve")) == []


@rule(ONE_DEVICE)
def test_the_device_that_answers_is_named_and_a_second_one_is_too_late() -> None:
    world = ringing()
    assert kinds(world.give("bob", RingCall(id="call-1"), device="tablet")) == ["call_ringing"]
    accepted = the(CallAccepted, world.give("bob", AcceptCall(id="call-1"), device="tablet"))
    assert accepted.device == "tablet"
    with world.refused(ErrorCode.CALL_NOT_RINGING, Conflict):
        world.give("bob", AcceptCall(id="call-1"), device="phone")
    assert world.call.callee_device == "tablet"


@rule(BUSY)
def test_a_party_of_a_call_is_busy_until_it_ends() -> None:
    world = ringing()
    with world.refused(ErrorCode.CALLEE_BUSY, Conflict):
        world.give("eve", StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob"))
    with world.refused(ErrorCode.CALLEE_BUSY, Conflict):
        world.give("eve", StartCall(type=UTDStreamType.AUDIO_CALL, callee="ann"))
    with world.refused(ErrorCode.ALREADY_IN_CALL, Conflict):
        world.give("ann", StartCall(type=UTDStreamType.AUDIO_CALL, callee="eve"))
    world.give("bob", RejectCall(id="call-1"))
    assert world.start("eve", "bob").status is UTDCallStatus.INITIATING


@rule("Nobody calls oneself.")
def test_a_call_to_oneself_is_refused() -> None:
    world = CallWorld()
    with world.refused(ErrorCode.CALL_TO_SELF, InvalidInput):
        world.give("ann", StartCall(type=UTDStreamType.AUDIO_CALL, callee="ann"))


@rule(FIRST_WORD, "A seat, a stage place or a call side *is* the permission to publish.")
def test_the_caller_publishes_from_the_start_and_the_callee_once_it_has_accepted() -> None:
    world = ringing(type=UTDStreamType.VIDEO_CALL)
    assert call_grant_of(world.call, "ann").publish == frozenset(TrackSource)
    assert call_grant_of(world.call, "bob") == NOTHING
    world.give("bob", AcceptCall(id="call-1"))
    assert call_grant_of(world.call, "bob").publish == frozenset(TrackSource)
    assert call_grant_of(world.call, "eve") == NOTHING
    world.give("bob", EndCall(id="call-1"))
    assert {call_grant_of(world.call, party) for party in ("ann", "bob")} == {NOTHING}
    assert call_grant_of(active().call, "bob").publish == {TrackSource.MICROPHONE}


@pytest.mark.parametrize(
    ("answered", "who", "end"),
    [
        (False, "ann", ("ended", "banned", SYSTEM)),
        (False, "bob", ("rejected", "banned", SYSTEM)),
        (True, "ann", ("ended", "banned", SYSTEM)),
        (True, "bob", ("ended", "banned", SYSTEM)),
    ],
)
def test_a_ban_ends_the_call_of_the_banned(answered: bool, who: str, end: tuple[str, str, str]) -> None:
    world = active() if answered else ringing()
    assert world.give("", PartyBanned("eve")) == []
    assert ended(world.give("", PartyBanned(who))) == end
    assert world.call.ended_party == who


@pytest.mark.parametrize("type", [UTDStreamType.AUDIO_ROOM, UTDStreamType.LIVE_STREAM])
def test_a_room_is_not_a_call(type: UTDStreamType) -> None:
    world = CallWorld()
    with world.refused(ErrorCode.INVALID_INPUT, InvalidInput):
        world.give("ann", StartCall(type=type, callee="bob"))


def test_both_parties_see_names_metadata_and_the_room() -> None:
    world = CallWorld()
    world.start("ann", "bob", callee_name="Bobby", metadata={"topic": "birds"})
    world.give("bob", GetCall(id="call-1"))
    seen = world.answer
    assert (seen.caller_name, seen.callee_name, seen.metadata) == ("Ann", "Bobby", {"topic": "birds"})
    assert (seen.room_name, seen.created_at, seen.ring_timeout) == ("call:call-1", START, 30)
    assert (world.call.other("ann"), world.call.other("bob")) == ("bob", "ann")
