"""Bans, and being kicked with and without one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from utd_core.errors import Banned, ErrorCode, Forbidden, InvalidInput, NotFound
from utd_core.model.bans import MOST_BANS, Ban, BanLifted, BanMade, BanScope
from utd_core.model.channels import heard_by_all
from utd_core.model.codec import dump
from utd_core.model.commands import (
    AcceptCall,
    CreateBan,
    CreateRoom,
    DeleteBan,
    GetRoom,
    GetSeats,
    GetStage,
    ListBans,
    ParticipantBanned,
    RemoveParticipant,
    SetRole,
    StartCall,
    TakeSeat,
    Tick,
)
from utd_core.model.identifiers import SERVER, SYSTEM
from utd_core.model.project import deadline as project_deadline
from utd_core.model.roles import Role
from utd_core.model.room import ParticipantRemoved
from utd_core.model.stream_type import UTDStreamType

from ..rulebook import rule
from ..world import LOUNGE, START, CallWorld, ProjectWorld, RoomWorld, a_room, kinds, the


def ban(number: int, scope: BanScope, expires_at: float | None = None) -> Ban:
    return Ban(f"old-{number}", f"somebody-{number}", scope, "", SERVER, START, expires_at)


@rule("Scope *room* keeps somebody out of one room, scope *project* out of every room and every call.")
def test_a_room_ban_keeps_out_of_that_room_only() -> None:
    world = a_room("guest")
    world.give("host", CreateBan(room=LOUNGE, identity="guest", reason="noise"))
    assert "guest" not in world.present
    with world.refused(ErrorCode.BANNED, Banned):
        world.join("guest")
    elsewhere = RoomWorld()
    elsewhere.join("guest", as_host=True)
    calls = CallWorld()
    calls.start("guest", "bob")


@rule("Scope *room* keeps somebody out of one room, scope *project* out of every room and every call.")
def test_a_project_ban_keeps_out_of_every_room_and_call() -> None:
    world = a_room()
    world.ban_everywhere("guest")
    with world.refused(ErrorCode.BANNED, Banned):
        world.join("guest")
    fresh = RoomWorld()
    fresh.ban_everywhere("guest")
    with fresh.refused(ErrorCode.BANNED, Banned):
        fresh.join("guest", as_host=True)
    with fresh.refused(ErrorCode.BANNED, Banned):
        fresh.give("guest", CreateRoom(room=LOUNGE, type=UTDStreamType.AUDIO_ROOM))
    calls = CallWorld()
    calls.ban_everywhere("guest")
    with calls.refused(ErrorCode.BANNED, Banned):
        calls.give("guest", StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob"))
    calls.start("bob", "guest")
    with calls.refused(ErrorCode.BANNED, Banned):
        calls.give("guest", AcceptCall(id=calls.call.id))


def test_a_ban_says_until_when_and_why() -> None:
    world = a_room("guest")
    world.give("host", CreateBan(room=LOUNGE, identity="guest", reason="noise", duration=60))
    with pytest.raises(Banned, match="noise") as refusal:
        world.join("guest")
    assert refusal.value.is_banned
    assert not refusal.value.is_forbidden
    assert refusal.value.details["expires_at"] == START + 60
    assert refusal.value.details["scope"] == "room"


@rule("Without `room` they hold in the whole project, which only the application's server may do.")
def test_only_the_server_bans_from_the_project() -> None:
    project = ProjectWorld()
    for command in (CreateBan(identity="guest"), ListBans(), DeleteBan(id="ban-1")):
        with pytest.raises(Forbidden):
            project.give("host", command)
    project.give(SERVER, CreateBan(identity="guest"))
    assert project.project.bans["guest"].scope is BanScope.PROJECT


@rule("One ban per identity and scope: a second one replaces the first (a longer ban is not an error).")
def test_a_second_ban_replaces_the_first() -> None:
    world = a_room("guest")
    world.give("host", CreateBan(room=LOUNGE, identity="guest", duration=60))
    first = world.answer
    world.give("host", CreateBan(room=LOUNGE, identity="guest", duration=3_600, reason="again"))
    assert world.room.bans == {"guest": world.answer}
    assert world.answer.id != first.id
    assert world.answer.expires_at == START + 3_600
    with world.refused(ErrorCode.BAN_NOT_FOUND, NotFound):
        world.give("host", DeleteBan(room=LOUNGE, id=first.id))


@rule("`expires_at` None never ends.")
def test_a_ban_without_a_duration_never_ends() -> None:
    world = a_room("guest", empty_timeout=None)
    world.give("host", CreateBan(room=LOUNGE, identity="guest"))
    world.wait(1e9)
    with world.refused(ErrorCode.BANNED, Banned):
        world.join("guest")


@rule("An expired ban is no ban, whether or not it was swept away.")
def test_a_ban_that_ran_out_lets_in_again() -> None:
    world = a_room("guest", "noisy")
    world.give("host", CreateBan(room=LOUNGE, identity="guest", duration=60))
    world.now += 59.9
    with world.refused(ErrorCode.BANNED, Banned):
        world.join("guest")
    world.now += 0.1
    assert "guest" in world.room.bans
    world.join("guest")
    assert "guest" in world.present
    world.give("host", ListBans(room=LOUNGE))
    assert world.answer.data == ()
    events = world.give("host", CreateBan(room=LOUNGE, identity="noisy"))
    lifted = the(BanLifted, events)
    assert (lifted.identity, lifted.reason, lifted.by) == ("guest", "expired", SYSTEM)
    assert list(world.room.bans) == ["noisy"]


def test_bans_of_the_project_are_swept_when_they_run_out() -> None:
    project = ProjectWorld()
    project.give(SERVER, CreateBan(identity="guest", duration=60))
    project.give(SERVER, CreateBan(identity="worse"))
    assert project_deadline(project.project) == START + 60
    project.now += 59
    assert project.give("", Tick()) == []
    project.now += 1
    assert the(BanLifted, project.give("", Tick())).identity == "guest"
    assert project_deadline(project.project) is None


def test_bans_are_listed_by_identity_a_page_at_a_time() -> None:
    world, project = a_room(), ProjectWorld()
    for identity in ("cem", "ann", "bob"):
        world.give("host", CreateBan(room=LOUNGE, identity=identity))
        project.give(SERVER, CreateBan(identity=identity))
        assert project.answer.identity == identity
    places: list[tuple[RoomWorld | ProjectWorld, str, str | None]] = [(world, "host", LOUNGE), (project, SERVER, None)]
    for where, by, room in places:
        where.give(by, ListBans(room=room, limit=2))
        first = where.answer
        where.give(by, ListBans(room=room, limit=2, cursor=first.next))
        second = where.answer
        assert [ban.identity for ban in first.data] == ["ann", "bob"]
        assert ([ban.identity for ban in second.data], second.next) == (["cem"], None)
    project.give(SERVER, DeleteBan(id=project.project.bans["ann"].id))
    assert project.answer is None
    assert sorted(project.project.bans) == ["bob", "cem"]


@rule("A ban is lifted by whoever may ban, also one that somebody else made.")
def test_an_admin_lifts_a_ban_of_the_host() -> None:
    world = a_room("guest", "helper")
    world.give("host", SetRole(room=LOUNGE, identity="helper", role=Role.ADMIN))
    world.give("host", CreateBan(room=LOUNGE, identity="guest"))
    ban = world.answer.id
    with world.refused(ErrorCode.FORBIDDEN, Forbidden):
        world.give("guest", DeleteBan(room=LOUNGE, id=ban))
    world.give("helper", DeleteBan(room=LOUNGE, id=ban))
    world.join("guest")


@rule("A ban keeps out; what a room, its seats and its stage show to everybody who is signed in, it does not hide.")
def test_a_banned_one_sees_what_a_stranger_sees() -> None:
    world = a_room("guest")
    world.give("host", CreateBan(room=LOUNGE, identity="guest"))
    for query in (GetRoom(room=LOUNGE), GetSeats(room=LOUNGE), GetStage(room=LOUNGE)):
        world.give("stranger", query)
        shown = world.answer
        world.give("guest", query)
        assert world.answer == shown
    with world.refused(ErrorCode.BANNED, Banned):
        world.join("guest")


def test_a_ban_is_lifted_by_its_id_and_the_identity_may_come_back() -> None:
    world = a_room("guest")
    world.give("host", CreateBan(room=LOUNGE, identity="guest"))
    world.give("host", DeleteBan(room=LOUNGE, id=world.answer.id, reason="sorry"))
    world.join("guest")
    with world.refused(ErrorCode.BAN_NOT_FOUND, NotFound):
        world.give("host", DeleteBan(room=LOUNGE, id="ban-unheard-of"))


@rule("A room holds at most 1,000 bans, a project 10,000; beyond that a ban must be lifted first.")
def test_bans_are_bounded() -> None:
    assert MOST_BANS == {BanScope.ROOM: 1_000, BanScope.PROJECT: 10_000}
    world = a_room("guest")
    for number in range(1_000):
        world.apply(BanMade(ban(number, BanScope.ROOM)))
    with world.refused(ErrorCode.TOO_MANY_BANS):
        world.give("host", CreateBan(room=LOUNGE, identity="guest"))
    with world.refused(ErrorCode.TOO_MANY_BANS):
        world.give("host", RemoveParticipant(room=LOUNGE, identity="guest", block=True))
    assert "guest" in world.present
    world.give("host", CreateBan(room=LOUNGE, identity="somebody-7", reason="replaced"))
    world.give("host", DeleteBan(room=LOUNGE, id="old-8"))
    world.give("host", CreateBan(room=LOUNGE, identity="guest"))
    assert len(world.room.bans) == 1_000

    project = ProjectWorld()
    project.project.bans = {f"somebody-{n}": ban(n, BanScope.PROJECT) for n in range(10_000)}
    with pytest.raises(Exception, match="10000 bans") as refusal:
        project.give(SERVER, CreateBan(identity="guest"))
    assert getattr(refusal.value, "code", None) == ErrorCode.TOO_MANY_BANS


def test_bans_that_ran_out_do_not_count() -> None:
    world = a_room("guest")
    for number in range(1_000):
        world.apply(BanMade(replace(ban(number, BanScope.ROOM), expires_at=START + 60)))
    world.now += 60
    world.give("host", CreateBan(room=LOUNGE, identity="guest"))
    assert list(world.room.bans) == ["guest"]


def test_a_kick_without_block_lets_come_back() -> None:
    world = a_room("guest")
    world.give("guest", TakeSeat(room=LOUNGE))
    events = world.give("host", RemoveParticipant(room=LOUNGE, identity="guest", reason="too loud"))
    assert kinds(events) == ["participant_removed", "seat_left"]
    assert "guest" not in world.present
    world.join("guest")
    assert "guest" in world.present


def test_a_kick_with_block_keeps_out_for_its_duration() -> None:
    world = a_room("guest")
    world.give("guest", TakeSeat(room=LOUNGE))
    command = RemoveParticipant(room=LOUNGE, identity="guest", block=True, duration=60)
    assert kinds(world.give("host", command)) == ["participant_removed", "seat_left", "ban_made"]
    with world.refused(ErrorCode.BANNED, Banned):
        world.join("guest")
    world.now += 60
    world.join("guest")


def test_a_duration_without_block_is_a_mistake() -> None:
    world = a_room("guest")
    with world.refused(ErrorCode.INVALID_INPUT, InvalidInput):
        world.give("host", RemoveParticipant(room=LOUNGE, identity="guest", duration=60))


def test_nobody_bans_or_removes_itself() -> None:
    world = a_room("guest")
    for command in (CreateBan(room=LOUNGE, identity="host"), RemoveParticipant(room=LOUNGE, identity="host")):
        with world.refused(ErrorCode.FORBIDDEN, Forbidden):
            world.give("host", command)


def test_somebody_who_is_not_there_is_banned_but_not_removed() -> None:
    world = a_room()
    with world.refused(ErrorCode.PARTICIPANT_NOT_FOUND, NotFound):
        world.give("host", RemoveParticipant(room=LOUNGE, identity="nobody"))
    assert kinds(world.give("host", CreateBan(room=LOUNGE, identity="nobody"))) == ["ban_made"]


@rule(
    "Who is banned, why, by whom and until when is for the banned one and for those who may ban; on the room's channel "
    "`BansChanged` stands in for it, and a removal that comes with a ban is without its words."
)
def test_the_room_s_channel_tells_neither_who_is_banned_nor_why() -> None:
    world = a_room("guest", "noisy")
    events = world.give("host", CreateBan(room=LOUNGE, identity="stranger", reason="sold tickets"))
    events += world.give("host", RemoveParticipant(room=LOUNGE, identity="guest", block=True, reason="sold tickets"))
    events += world.give("host", DeleteBan(room=LOUNGE, id=world.room.bans["stranger"].id, reason="sold none"))
    heard = [heard_by_all(event) for event in events]
    assert [event.type for event in heard] == ["bans_changed", "participant_removed", "bans_changed", "bans_changed"]
    words = b"".join(map(dump, heard))
    assert not {word for word in (b"sold", b"stranger") if word in words}
    kicked = world.give("host", RemoveParticipant(room=LOUNGE, identity="noisy", reason="too loud"))
    assert b"too loud" in dump(heard_by_all(kicked[0]))


def test_whoever_is_banned_from_the_project_leaves_every_room_as_somebody_banned() -> None:
    world = a_room("guest")
    assert world.give("", ParticipantBanned("stranger")) == []
    removed = the(ParticipantRemoved, world.give("", ParticipantBanned("guest")))
    assert (removed.reason, removed.blocked, removed.by) == ("banned", True, SYSTEM)
    assert world.room.bans == {}
