"""The stage of a live stream."""

from __future__ import annotations

from utd_core.errors import Conflict, ErrorCode, Forbidden, NotFound
from utd_core.model.commands import (
    AcceptRequest,
    DemoteFromStage,
    GetStage,
    LeaveStage,
    MakeRequest,
    MuteParticipant,
    PromoteToStage,
)
from utd_core.model.grants import STAGE_SOURCES
from utd_core.model.permission import AUDIO_SOURCES, TrackSource
from utd_core.model.request import RequestKind, RequestState
from utd_core.model.roles import Role
from utd_core.model.stage import StageLeft

from ..rulebook import rule
from ..world import LOUNGE, a_room, a_stream, kinds, the

COMING = (
    "Hosts come on stage by joining, or by becoming one; "
    "a viewer by promotion, or by an accepted request or invitation."
)
MUTES = "A moderator's mute belongs to the place: leaving the stage drops it."


@rule("Whoever is on stage may publish microphone, camera and screen.")
def test_a_place_on_stage_grants_every_source() -> None:
    world = a_stream("viewer")
    assert world.grant("host").publish == STAGE_SOURCES == frozenset(TrackSource)
    assert not world.grant("viewer").can_publish
    world.give("host", PromoteToStage(room=LOUNGE, identity="viewer"))
    assert world.grant("viewer").publish == frozenset(TrackSource)
    world.give("viewer", LeaveStage(room=LOUNGE))
    assert not world.grant("viewer").can_publish


@rule("There is no cap.")
def test_three_hundred_people_come_on_stage() -> None:
    viewers = [f"viewer-{number:03d}" for number in range(300)]
    world = a_stream(*viewers)
    for viewer in viewers:
        world.give("host", PromoteToStage(room=LOUNGE, identity=viewer))
    listed: list[str] = []
    cursor = None
    for _ in range(4):
        world.give("host", GetStage(room=LOUNGE, cursor=cursor, limit=100))
        listed += [member.identity for member in world.answer.data]
        cursor = world.answer.next
    assert listed == ["host", *viewers]
    assert cursor is None


@rule(COMING)
def test_a_host_stands_on_stage_by_joining_and_a_viewer_does_not() -> None:
    world = a_stream("viewer")
    assert list(world.room.stage) == ["host"]
    world.leave("host")
    assert list(world.room.stage) == []
    world.join("host")
    assert world.room.stage["host"].role is Role.OWNER


@rule(COMING)
def test_a_viewer_who_becomes_host_stands_on_stage_and_what_it_asked_for_has_failed() -> None:
    world = a_stream("viewer")
    asked = world.ask("viewer", RequestKind.STAGE)
    world.role("viewer", Role.HOST)
    assert world.room.stage["viewer"].role is Role.HOST
    assert world.room.requests == {}
    assert world.room.ended_requests[asked].state is RequestState.FAILED


@rule(COMING)
def test_a_host_who_left_the_stage_and_comes_back_needs_no_invitation_any_more() -> None:
    world = a_stream("second")
    world.role("second", Role.HOST)
    world.give("second", LeaveStage(room=LOUNGE))
    invited = world.ask("host", RequestKind.STAGE_INVITE, to="second")
    world.returned("second")
    assert "second" in world.room.stage
    assert world.room.ended_requests[invited].reason == "superseded"


@rule(COMING)
def test_a_viewer_comes_by_promotion_request_or_invitation() -> None:
    world = a_stream("promoted", "asking", "invited")
    world.give("host", PromoteToStage(room=LOUNGE, identity="promoted"))
    assert world.answer == world.room.stage["promoted"]
    world.give("asking", MakeRequest(room=LOUNGE, kind=RequestKind.STAGE))
    assert kinds(world.give("host", AcceptRequest(room=LOUNGE, id=world.answer.id))) == [
        "request_ended",
        "stage_joined",
    ]
    world.give("host", MakeRequest(room=LOUNGE, kind=RequestKind.STAGE_INVITE, to="invited"))
    world.give("invited", AcceptRequest(room=LOUNGE, id=world.answer.id))
    assert list(world.room.stage) == ["host", "promoted", "asking", "invited"]
    with world.refused(ErrorCode.ALREADY_ON_STAGE, Conflict):
        world.give("host", PromoteToStage(room=LOUNGE, identity="invited"))
    with world.refused(ErrorCode.ALREADY_ON_STAGE, Conflict):
        world.give("invited", MakeRequest(room=LOUNGE, kind=RequestKind.STAGE))


@rule(MUTES)
def test_a_mute_on_stage_ends_with_leaving_it() -> None:
    world = a_stream("viewer")
    world.stage("viewer")
    world.give("host", MuteParticipant(room=LOUNGE, identity="viewer"))
    assert world.grant("viewer").publish == STAGE_SOURCES - AUDIO_SOURCES
    world.give("host", MuteParticipant(room=LOUNGE, identity="viewer", audio=False, video=True))
    assert world.grant("viewer").publish == AUDIO_SOURCES
    world.give("viewer", LeaveStage(room=LOUNGE))
    world.give("host", PromoteToStage(room=LOUNGE, identity="viewer"))
    assert world.grant("viewer").publish == STAGE_SOURCES


def test_a_role_that_changes_changes_on_stage_too() -> None:
    world = a_stream("viewer")
    world.stage("viewer")
    world.role("viewer", Role.ADMIN)
    assert world.room.stage["viewer"].role is Role.ADMIN


def test_only_who_is_in_the_room_is_promoted_and_only_who_is_on_stage_demoted() -> None:
    world = a_stream("viewer")
    with world.refused(ErrorCode.PARTICIPANT_NOT_FOUND, NotFound):
        world.give("host", PromoteToStage(room=LOUNGE, identity="stranger"))
    with world.refused(ErrorCode.NOT_ON_STAGE, Conflict):
        world.give("host", DemoteFromStage(room=LOUNGE, identity="viewer"))
    with world.refused(ErrorCode.NOT_ON_STAGE, Conflict):
        world.give("viewer", LeaveStage(room=LOUNGE))
    with world.refused(ErrorCode.NOT_ON_STAGE, Conflict):
        world.give("host", MuteParticipant(room=LOUNGE, identity="viewer"))
    world.stage("viewer")
    left = the(StageLeft, world.give("host", DemoteFromStage(room=LOUNGE, identity="viewer", reason="thanks")))
    assert (left.reason, left.by) == ("thanks", "host")


def test_an_admin_drags_no_host_on_stage() -> None:
    world = a_stream("admin", "second")
    world.role("admin", Role.ADMIN)
    world.role("second", Role.HOST)
    world.give("second", LeaveStage(room=LOUNGE))
    with world.refused(ErrorCode.OUTRANKED, Forbidden):
        world.give("admin", PromoteToStage(room=LOUNGE, identity="second"))
    world.give("admin", MakeRequest(room=LOUNGE, kind=RequestKind.STAGE_INVITE, to="second"))
    world.give("second", AcceptRequest(room=LOUNGE, id=world.answer.id))
    assert "second" in world.room.stage


def test_an_audio_room_has_no_stage() -> None:
    world = a_room("guest")
    for by, command in (
        ("host", PromoteToStage(room=LOUNGE, identity="guest")),
        ("host", DemoteFromStage(room=LOUNGE, identity="guest")),
        ("guest", LeaveStage(room=LOUNGE)),
        ("guest", MakeRequest(room=LOUNGE, kind=RequestKind.STAGE)),
    ):
        with world.refused(ErrorCode.WRONG_ROOM_TYPE, Conflict):
            world.give(by, command)
    stream = a_stream("viewer")
    with stream.refused(ErrorCode.WRONG_ROOM_TYPE, Conflict):
        stream.give("viewer", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK))
