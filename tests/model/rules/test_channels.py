"""On which channels a fact is heard."""

from __future__ import annotations

from utd_core.model.bans import BanLifted, BanMade
from utd_core.model.channels import (
    call_channel,
    call_event_channels,
    room_channel,
    room_event_channels,
    user_channel,
)
from utd_core.model.commands import (
    AcceptCall,
    CancelRequest,
    CreateBan,
    DeleteBan,
    MakeRequest,
    RemoveParticipant,
    TakeSeat,
)
from utd_core.model.event import Event
from utd_core.model.identifiers import SERVER
from utd_core.model.request import RequestEnded, RequestKind, RequestMade
from utd_core.model.roles import Role
from utd_core.model.room import ParticipantRemoved, RoleChanged

from ..rulebook import rule
from ..world import LOUNGE, CallWorld, RoomWorld, a_room, the

ROOM = room_channel(LOUNGE)
ON_ITS_CHANNEL = (
    "What happens in a room is published on the room's channel; what happens in a call, on the call's and both "
    "parties'."
)
OF_ONE_PERSON = (
    "What concerns one person is published on that person's channel too, wherever they are: what is asked of them, the "
    "end of what they asked or were asked, their removal, roles and bans."
)


def heard_by(world: RoomWorld, event: Event) -> list[str]:
    """Whose own channels it is published on, beside the room's."""
    first, *others = room_event_channels(world.room, event)
    assert first == ROOM
    assert len(set(others)) == len(others)
    return [channel.removeprefix(user_channel("")) for channel in others]


@rule(ON_ITS_CHANNEL)
def test_what_happens_in_a_room_is_heard_in_the_room() -> None:
    world = a_room("guest")
    for event in world.give("guest", TakeSeat(room=LOUNGE)):
        assert heard_by(world, event) == []


@rule(ON_ITS_CHANNEL)
def test_what_happens_in_a_call_is_heard_by_every_device_of_both_parties() -> None:
    world = CallWorld()
    call = world.start("ann", "bob")
    for event in world.give("bob", AcceptCall(id=call.id)):
        heard = call_event_channels(world.call, event)
        assert heard == (call_channel(call.id), user_channel("ann"), user_channel("bob"))


@rule(OF_ONE_PERSON)
def test_an_invitation_reaches_the_invited_and_its_end_both() -> None:
    world = a_room("guest")
    made = the(RequestMade, world.give("host", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK_INVITE, to="guest")))
    assert heard_by(world, made) == ["guest"]
    ended = the(RequestEnded, world.give("host", CancelRequest(room=LOUNGE, id=made.request.id)))
    assert heard_by(world, ended) == ["host", "guest"]


@rule(OF_ONE_PERSON)
def test_a_request_to_the_room_ends_for_the_one_who_asked() -> None:
    world = a_room("guest")
    made = the(RequestMade, world.give("guest", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK)))
    assert heard_by(world, made) == []
    assert heard_by(world, the(RequestEnded, world.wait(1_000))) == ["guest"]


@rule("The application's server has no channel of its own.")
def test_the_server_has_no_channel_of_its_own() -> None:
    world = a_room("guest")
    made = the(RequestMade, world.give(SERVER, MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK_INVITE, to="guest")))
    ended = the(RequestEnded, world.give(SERVER, CancelRequest(room=LOUNGE, id=made.request.id)))
    assert heard_by(world, ended) == ["guest"]


@rule(OF_ONE_PERSON)
def test_whoever_is_removed_banned_forgiven_or_given_a_role_hears_it_wherever_they_are() -> None:
    world = a_room("guest")
    world.role("guest", Role.SPEAKER)
    assert heard_by(world, RoleChanged("guest", Role.SPEAKER, SERVER)) == ["guest"]
    removed = the(ParticipantRemoved, world.give("host", RemoveParticipant(room=LOUNGE, identity="guest")))
    made = the(BanMade, world.give("host", CreateBan(room=LOUNGE, identity="guest")))
    lifted = the(BanLifted, world.give("host", DeleteBan(room=LOUNGE, id=made.ban.id)))
    for event in (removed, made, lifted):
        assert heard_by(world, event) == ["guest"]
