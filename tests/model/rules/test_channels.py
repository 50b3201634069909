"""On which channels a fact is heard."""

from __future__ import annotations

from utd_core.model.bans import BanLifted, BanMade
from utd_core.model.channels import room_channel, room_event_channels, user_channel
from utd_core.model.commands import CancelRequest, CreateBan, DeleteBan, MakeRequest, RemoveParticipant, TakeSeat
from utd_core.model.event import Event
from utd_core.model.identifiers import SERVER
from utd_core.model.request import RequestEnded, RequestKind, RequestMade
from utd_core.model.roles import Role
from utd_core.model.room import ParticipantRemoved, RoleChanged

from ..world import LOUNGE, RoomWorld, a_room, the

ROOM = room_channel(LOUNGE)


def heard_by(world: RoomWorld, event: Event) -> list[str]:
    """Whose own channels it is published on, beside the room's."""
    first, *others = room_event_channels(world.room, event)
    assert first == ROOM
    assert len(set(others)) == len(others)
    return [channel.removeprefix(user_channel("")) for channel in others]


def test_what_happens_in_a_room_is_heard_in_the_room() -> None:
    world = a_room("guest")
    for event in world.give("guest", TakeSeat(room=LOUNGE)):
        assert heard_by(world, event) == []


def test_an_invitation_reaches_the_invited_and_its_end_both() -> None:
    world = a_room("guest")
    made = the(RequestMade, world.give("host", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK_INVITE, to="guest")))
    assert heard_by(world, made) == ["guest"]
    ended = the(RequestEnded, world.give("host", CancelRequest(room=LOUNGE, id=made.request.id)))
    assert heard_by(world, ended) == ["host", "guest"]


def test_a_request_to_the_room_ends_for_the_one_who_asked() -> None:
    world = a_room("guest")
    made = the(RequestMade, world.give("guest", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK)))
    assert heard_by(world, made) == []
    assert heard_by(world, the(RequestEnded, world.wait(1_000))) == ["guest"]


def test_the_server_has_no_channel_of_its_own() -> None:
    world = a_room("guest")
    made = the(RequestMade, world.give(SERVER, MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK_INVITE, to="guest")))
    ended = the(RequestEnded, world.give(SERVER, CancelRequest(room=LOUNGE, id=made.request.id)))
    assert heard_by(world, ended) == ["guest"]


def test_whoever_is_removed_banned_forgiven_or_given_a_role_hears_it_wherever_they_are() -> None:
    world = a_room("guest")
    world.role("guest", Role.SPEAKER)
    assert heard_by(world, RoleChanged("guest", Role.SPEAKER, SERVER)) == ["guest"]
    removed = the(ParticipantRemoved, world.give("host", RemoveParticipant(room=LOUNGE, identity="guest")))
    made = the(BanMade, world.give("host", CreateBan(room=LOUNGE, identity="guest")))
    lifted = the(BanLifted, world.give("host", DeleteBan(room=LOUNGE, id=made.ban.id)))
    for event in (removed, made, lifted):
        assert heard_by(world, event) == ["guest"]
