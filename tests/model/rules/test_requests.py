"""Requests and invitations: each ends exactly once."""

from __future__ import annotations

import pytest

from utd_core.errors import Conflict, ErrorCode, Forbidden, InvalidInput, NotFound
from utd_core.model.codec import dump
from utd_core.model.commands import (
    AcceptRequest,
    CancelRequest,
    EndRoom,
    LeaveRoom,
    LeaveSeat,
    ListRequests,
    LockSeat,
    MakeRequest,
    MuteParticipant,
    MuteSeat,
    PromoteToStage,
    RejectRequest,
    RemoveParticipant,
    SetupSeats,
    TakeSeat,
)
from utd_core.model.identifiers import SERVER, SYSTEM
from utd_core.model.permission import VIDEO_SOURCES
from utd_core.model.request import RequestKind, RequestState
from utd_core.model.roles import Role
from utd_core.model.room import KEPT_ENDED_REQUESTS
from utd_core.model.seats import SeatMode

from ..rulebook import rule
from ..world import LOUNGE, RoomWorld, a_room, a_stream, kinds, with_settings

ENDS = (
    "A request is pending, then exactly one of accepted, rejected, cancelled, expired, failed; every end says why and "
    "by whom."
)
CANCELLED = "*cancelled*: the asker took it back, or left."
EXPIRED = "*expired*: nobody answered in time."
FAILED = (
    "*failed*: it can no longer be fulfilled (the room ended, the seat it names was removed, its subject got there "
    "another way)."
)
ANSWERED_BY = (
    "Kinds that ask the room (`speak`, `stage`) are answered by whoever may manage requests; kinds that ask one person "
    "(invitations, opening a device) are answered by that person alone."
)
ONE_PENDING = "One person has at most one pending request of a kind towards the same addressee."
STAYS_PENDING = (
    "Accepting one that cannot be fulfilled at this moment (no seat is free) is refused and leaves it pending."
)


def end_of(world: RoomWorld, id: int) -> tuple[str, str, str | None]:
    assert id not in world.room.requests
    request = world.room.ended_requests[id]
    return request.state.value, request.reason, request.ended_by


def ask_to_speak(world: RoomWorld, by: str = "guest") -> int:
    world.give(by, MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK))
    id: int = world.answer.id
    return id


@rule(ENDS)
def test_accepted() -> None:
    world = a_room("guest")
    id = ask_to_speak(world)
    assert world.answer.state is RequestState.PENDING
    world.give("host", AcceptRequest(room=LOUNGE, id=id))
    assert end_of(world, id) == ("accepted", "accepted", "host")
    assert world.answer == world.room.ended_requests[id]


@rule(ENDS)
def test_rejected() -> None:
    world = a_room("guest")
    id = ask_to_speak(world)
    world.give("host", RejectRequest(room=LOUNGE, id=id, reason="later"))
    assert end_of(world, id) == ("rejected", "later", "host")


@rule(ENDS)
def test_what_has_ended_does_not_end_again() -> None:
    world = a_room("guest")
    id = ask_to_speak(world)
    world.give("guest", CancelRequest(room=LOUNGE, id=id))
    before = dump(world.room)
    for by, command in (
        ("host", AcceptRequest(room=LOUNGE, id=id)),
        ("host", RejectRequest(room=LOUNGE, id=id)),
        ("guest", CancelRequest(room=LOUNGE, id=id)),
    ):
        with world.refused(ErrorCode.REQUEST_ENDED, Conflict):
            world.give(by, command)
    assert dump(world.room) == before
    with world.refused(ErrorCode.REQUEST_NOT_FOUND, NotFound):
        world.give("host", AcceptRequest(room=LOUNGE, id=id + 1))


@rule(CANCELLED)
def test_cancelled_by_the_asker_who_takes_it_back_or_leaves() -> None:
    world = a_room("guest", "other")
    id = ask_to_speak(world)
    with world.refused(ErrorCode.FORBIDDEN, Forbidden):
        world.give("other", CancelRequest(room=LOUNGE, id=id))
    world.give("guest", CancelRequest(room=LOUNGE, id=id))
    assert end_of(world, id) == ("cancelled", "cancelled", "guest")
    id = ask_to_speak(world)
    world.give("guest", LeaveRoom(room=LOUNGE))
    assert end_of(world, id) == ("cancelled", "left", "guest")
    id = ask_to_speak(world, "other")
    world.lose("other")
    assert end_of(world, id) == ("cancelled", "disconnected", SYSTEM)


@rule(EXPIRED)
def test_expired_when_nobody_answers_in_time() -> None:
    world = a_room("guest", request_timeout=10)
    id = ask_to_speak(world)
    assert world.wait(9) == []
    world.wait(1)
    assert end_of(world, id) == ("expired", "no_answer", SYSTEM)
    with world.refused(ErrorCode.REQUEST_ENDED, Conflict):
        world.give("host", AcceptRequest(room=LOUNGE, id=id))


@rule(FAILED)
def test_failed_when_the_room_ends() -> None:
    world = a_room("guest")
    id = ask_to_speak(world)
    world.give("host", EndRoom(room=LOUNGE))
    assert end_of(world, id) == ("failed", "room_ended", "host")


@rule(FAILED)
def test_failed_when_the_seat_it_names_is_removed() -> None:
    world = a_room("guest", seats=4)
    id = world.ask("guest", RequestKind.SPEAK, seat_index=3)
    world.give("host", SetupSeats(room=LOUNGE, seat_count=3))
    assert end_of(world, id) == ("failed", "seat_removed", "host")


@rule(FAILED)
def test_superseded_when_its_subject_got_there_another_way() -> None:
    world = a_room("guest")
    asked = ask_to_speak(world)
    invited = world.ask("host", RequestKind.SPEAK_INVITE, to="guest")
    world.give("guest", TakeSeat(room=LOUNGE))
    assert end_of(world, asked) == end_of(world, invited) == ("failed", "superseded", "guest")

    world = a_room("guest")
    asked = ask_to_speak(world)
    invited = world.ask("host", RequestKind.SPEAK_INVITE, to="guest")
    world.give("guest", AcceptRequest(room=LOUNGE, id=invited))
    assert end_of(world, asked) == ("failed", "superseded", "guest")

    stream = a_stream("viewer")
    asked = stream.ask("viewer", RequestKind.STAGE)
    stream.give("host", PromoteToStage(room=LOUNGE, identity="viewer"))
    assert end_of(stream, asked) == ("failed", "superseded", "host")


@rule(FAILED)
def test_failed_when_the_one_who_was_asked_has_left() -> None:
    world = a_room("guest")
    id = world.ask("host", RequestKind.SPEAK_INVITE, to="guest")
    world.give("host", RemoveParticipant(room=LOUNGE, identity="guest"))
    assert end_of(world, id) == ("failed", "removed", "host")


@rule(ANSWERED_BY)
def test_a_request_to_the_room_is_answered_by_who_manages_requests() -> None:
    world = a_room("guest", "other", "admin")
    world.role("admin", Role.ADMIN)
    id = ask_to_speak(world)
    for by in ("guest", "other"):
        with world.refused(ErrorCode.FORBIDDEN, Forbidden):
            world.give(by, AcceptRequest(room=LOUNGE, id=id))
    world.give("admin", AcceptRequest(room=LOUNGE, id=id))
    assert world.seat_of("guest") == 0


@rule(ANSWERED_BY)
@pytest.mark.parametrize("kind", [kind for kind in RequestKind if not kind.asks_the_room])
def test_what_is_asked_of_one_person_is_answered_by_that_person_alone(kind: RequestKind) -> None:
    world = (a_stream if kind is RequestKind.STAGE_INVITE else a_room)("guest", "other")
    if kind in (RequestKind.OPEN_MICROPHONE, RequestKind.OPEN_CAMERA):
        world.seat("guest", 0)
    world.give("host", MakeRequest(room=LOUNGE, kind=kind, to="guest"))
    id = world.answer.id
    for by in ("host", "other"):
        with world.refused(ErrorCode.FORBIDDEN, Forbidden):
            world.give(by, AcceptRequest(room=LOUNGE, id=id))
        with world.refused(ErrorCode.FORBIDDEN, Forbidden):
            world.give(by, RejectRequest(room=LOUNGE, id=id))
    world.give("guest", AcceptRequest(room=LOUNGE, id=id))
    assert end_of(world, id) == ("accepted", "accepted", "guest")


@rule(ONE_PENDING)
def test_a_second_request_of_a_kind_waits_for_the_first() -> None:
    world = a_room("guest", "other")
    id = ask_to_speak(world)
    with pytest.raises(Conflict) as refusal:
        ask_to_speak(world)
    assert (refusal.value.code, refusal.value.details) == (ErrorCode.REQUEST_PENDING, {"id": id})
    ask_to_speak(world, "other")
    invite = MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK_INVITE, to="guest")
    world.give("host", invite)
    with world.refused(ErrorCode.REQUEST_PENDING, Conflict):
        world.give("host", invite)
    world.give(SERVER, invite)
    world.give("host", RejectRequest(room=LOUNGE, id=id))
    ask_to_speak(world)


@rule(STAYS_PENDING)
def test_accepting_while_no_seat_is_free_leaves_it_pending() -> None:
    world = a_room("guest", seats=1, seat_mode=SeatMode.REQUEST)
    world.give("host", TakeSeat(room=LOUNGE))
    id = ask_to_speak(world)
    with world.refused(ErrorCode.NO_FREE_SEAT, Conflict):
        world.give("host", AcceptRequest(room=LOUNGE, id=id))
    with world.refused(ErrorCode.SEAT_TAKEN, Conflict):
        world.give("host", AcceptRequest(room=LOUNGE, id=id, seat_index=0))
    world.give("host", LeaveSeat(room=LOUNGE))
    world.give("host", LockSeat(room=LOUNGE, index=0))
    with world.refused(ErrorCode.NO_FREE_SEAT, Conflict):
        world.give("host", AcceptRequest(room=LOUNGE, id=id))
    assert world.room.requests[id].state is RequestState.PENDING


@rule(STAYS_PENDING)
def test_opening_a_device_without_a_place_is_refused_and_stays_pending() -> None:
    world = a_room("guest")
    with world.refused(ErrorCode.NOT_SEATED, Conflict):
        world.give("host", MakeRequest(room=LOUNGE, kind=RequestKind.OPEN_MICROPHONE, to="guest"))
    world.seat("guest", 0)
    world.give("host", MakeRequest(room=LOUNGE, kind=RequestKind.OPEN_MICROPHONE, to="guest"))
    id = world.answer.id
    world.give("guest", LeaveSeat(room=LOUNGE))
    with world.refused(ErrorCode.NOT_SEATED, Conflict):
        world.give("guest", AcceptRequest(room=LOUNGE, id=id))
    assert id in world.room.requests


def test_accepting_to_open_a_device_lifts_the_mute() -> None:
    world = a_room("guest")
    world.seat("guest", 0)
    world.give("host", MuteSeat(room=LOUNGE, index=0, audio=True, video=True))
    world.give("host", MakeRequest(room=LOUNGE, kind=RequestKind.OPEN_MICROPHONE, to="guest"))
    assert not world.grant("guest").can_publish
    events = world.give("guest", AcceptRequest(room=LOUNGE, id=world.answer.id))
    assert kinds(events) == ["request_ended", "seat_mute_changed"]
    assert world.grant("guest").can_publish
    assert world.seat_at(0).muted_video

    stream = a_stream("viewer")
    stream.stage("viewer")
    id = stream.ask("host", RequestKind.OPEN_CAMERA, to="viewer")
    assert kinds(stream.give("viewer", AcceptRequest(room=LOUNGE, id=id))) == ["request_ended"]
    stream.give("host", MuteParticipant(room=LOUNGE, identity="viewer", audio=True, video=True))
    id = stream.ask("host", RequestKind.OPEN_CAMERA, to="viewer")
    assert kinds(stream.give("viewer", AcceptRequest(room=LOUNGE, id=id))) == ["request_ended", "stage_mute_changed"]
    assert stream.grant("viewer").publish == VIDEO_SOURCES


def test_only_who_stands_above_asks_to_open_a_device() -> None:
    world = a_room("admin", "second")
    world.role("admin", Role.ADMIN)
    world.role("second", Role.HOST)
    world.seat("second", 0)
    with world.refused(ErrorCode.OUTRANKED, Forbidden):
        world.give("admin", MakeRequest(room=LOUNGE, kind=RequestKind.OPEN_MICROPHONE, to="second"))
    world.give("host", MakeRequest(room=LOUNGE, kind=RequestKind.OPEN_MICROPHONE, to="second"))


def test_an_invitation_is_withdrawn_by_who_manages_requests() -> None:
    world = a_room("guest", "admin")
    world.role("admin", Role.ADMIN)
    id = world.ask("host", RequestKind.SPEAK_INVITE, to="guest")
    with world.refused(ErrorCode.FORBIDDEN, Forbidden):
        world.give("guest", CancelRequest(room=LOUNGE, id=id))
    world.give("admin", CancelRequest(room=LOUNGE, id=id))
    assert end_of(world, id) == ("cancelled", "cancelled", "admin")


def test_an_invitation_to_a_seat_is_for_that_seat() -> None:
    world = a_room("guest")
    id = world.ask("host", RequestKind.SPEAK_INVITE, to="guest", seat_index=2)
    with world.refused(ErrorCode.FORBIDDEN, Forbidden):
        world.give("guest", AcceptRequest(room=LOUNGE, id=id, seat_index=0))
    world.give("guest", AcceptRequest(room=LOUNGE, id=id))
    assert world.seat_of("guest") == 2


def test_a_request_names_what_its_kind_needs_and_nothing_else() -> None:
    world = a_room("guest")
    stream = a_stream("viewer")
    for where, by, command in (
        (world, "guest", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK, to="host")),
        (world, "host", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK_INVITE)),
        (stream, "viewer", MakeRequest(room=LOUNGE, kind=RequestKind.STAGE, seat_index=0)),
    ):
        with where.refused(ErrorCode.INVALID_INPUT, InvalidInput):
            where.give(by, command)
    with world.refused(ErrorCode.SEAT_OUT_OF_RANGE, InvalidInput):
        world.give("guest", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK, seat_index=50))
    with world.refused(ErrorCode.PARTICIPANT_NOT_FOUND, NotFound):
        world.give("host", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK_INVITE, to="stranger"))
    with world.refused(ErrorCode.FORBIDDEN, Forbidden):
        world.give("host", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK_INVITE, to="host"))
    asked = stream.ask("viewer", RequestKind.STAGE)
    with stream.refused(ErrorCode.INVALID_INPUT, InvalidInput):
        stream.give("host", AcceptRequest(room=LOUNGE, id=asked, seat_index=0))


def test_pending_requests_are_bounded() -> None:
    world = with_settings(a_room("first", "second", "third"), max_pending_requests=2)
    ask_to_speak(world, "first")
    ask_to_speak(world, "second")
    with world.refused(ErrorCode.TOO_MANY_REQUESTS_WAITING, Conflict):
        ask_to_speak(world, "third")


def test_ended_requests_are_kept_for_a_while_and_refused_as_ended_for_ever() -> None:
    world = a_room("guest")
    for _ in range(KEPT_ENDED_REQUESTS + 1):
        world.give("guest", CancelRequest(room=LOUNGE, id=ask_to_speak(world)))
    assert list(world.room.ended_requests) == list(range(2, KEPT_ENDED_REQUESTS + 2))
    with world.refused(ErrorCode.REQUEST_ENDED, Conflict):
        world.give("guest", CancelRequest(room=LOUNGE, id=1))


def test_a_listener_sees_the_own_requests_and_a_manager_all() -> None:
    world = a_room("guest", "other")
    mine = ask_to_speak(world)
    theirs = ask_to_speak(world, "other")
    to_me = world.ask("host", RequestKind.SPEAK_INVITE, to="guest")
    world.give("guest", ListRequests(room=LOUNGE))
    assert [request.id for request in world.answer.data] == [mine, to_me]
    world.give("host", ListRequests(room=LOUNGE))
    assert [request.id for request in world.answer.data] == [mine, theirs, to_me]
    assert world.answer.next is None


def test_pending_requests_are_listed_in_pages() -> None:
    guests = [f"guest-{number}" for number in range(12)]
    world = a_room(*guests)
    asked = [ask_to_speak(world, guest) for guest in guests]
    listed: list[int] = []
    cursor = None
    for _ in range(3):
        world.give("host", ListRequests(room=LOUNGE, cursor=cursor, limit=5))
        listed += [request.id for request in world.answer.data]
        cursor = world.answer.next
    assert listed == asked
    assert cursor is None
