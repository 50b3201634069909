"""Law 2: a permission is derived from the state, and nobody stores one."""

from __future__ import annotations

from dataclasses import fields
from typing import get_type_hints

from utd_core.model.bans import Ban, BanMade, BanScope
from utd_core.model.call import Call
from utd_core.model.commands import (
    DemoteFromStage,
    EndRoom,
    LeaveSeat,
    LockSeat,
    MuteSeat,
    OverrideCapability,
    PromoteToStage,
    StopLive,
    TakeSeat,
)
from utd_core.model.event import EVENTS
from utd_core.model.grants import EVERYBODY, NOTHING, affected, grant_of, grants
from utd_core.model.permission import Grant, TrackSource
from utd_core.model.project import Project
from utd_core.model.roles import Capability, Role
from utd_core.model.room import Room, RoomEmptied
from utd_core.model.seats import SeatsSwapped, SeatTaken

from ..rulebook import rule
from ..world import LOUNGE, START, a_room, a_stream

A_PLACE = "A seat, a stage place or a call side *is* the permission to publish."
SHUT_OUT = "Whoever is not (backstage, after the end, in a call of others) may do nothing."
WITHOUT_A_PLACE = "Sending data needs no place, only the capability."


@rule("Whoever is let in hears and sees.", WITHOUT_A_PLACE)
def test_a_listener_hears_and_sends_data_and_publishes_nothing() -> None:
    world = a_room("guest")
    assert world.grant("guest") == Grant(subscribe=True, publish=frozenset(), publish_data=True)
    assert world.grant("guest") is grant_of(world.room, "anybody else")


@rule(A_PLACE)
def test_the_grants_of_a_room_are_those_of_the_few_who_are_more_than_audience() -> None:
    world = a_room("guest", *(f"listener-{number}" for number in range(50)))
    world.seat("guest", 0)
    world.role("listener-7", Role.SPEAKER)
    assert set(grants(world.room)) == {"host", "guest", "listener-7"}
    assert grants(world.room)["guest"].publish == {TrackSource.MICROPHONE}
    stream = a_stream("viewer")
    assert {who: grant.can_publish for who, grant in grants(stream.room).items()} == {"host": True}


@rule(WITHOUT_A_PLACE)
def test_who_may_not_send_data_has_no_grant_for_it() -> None:
    world = a_room("guest")
    command = OverrideCapability(room=LOUNGE, role=Role.AUDIENCE, capability=Capability.SEND_DATA, allowed=False)
    world.give("host", command)
    assert not world.grant("guest").publish_data
    assert world.grant("host").publish_data


def test_a_lock_and_a_mute_take_the_device_together_and_alone() -> None:
    world = a_room("guest")
    world.seat("guest", 0)
    world.give("host", MuteSeat(room=LOUNGE, index=0))
    world.give("host", LockSeat(room=LOUNGE, index=0, take=False, audio=True))
    assert not world.grant("guest").can_publish


@rule(A_PLACE)
def test_a_place_comes_and_goes_with_the_permission() -> None:
    world, stream = a_room("guest"), a_stream("viewer")
    world.give("guest", TakeSeat(room=LOUNGE))
    stream.give("host", PromoteToStage(room=LOUNGE, identity="viewer"))
    assert world.grant("guest").can_publish
    assert stream.grant("viewer").can_publish
    world.give("guest", LeaveSeat(room=LOUNGE))
    stream.give("host", DemoteFromStage(room=LOUNGE, identity="viewer"))
    assert not world.grant("guest").can_publish
    assert not stream.grant("viewer").can_publish


@rule("Nothing stores a permission.")
def test_no_state_and_no_event_holds_a_grant() -> None:
    for kind in (Room, Call, Project, *EVENTS.values()):
        for name, hint in get_type_hints(kind).items():
            assert "Grant" not in str(hint), f"{kind.__name__}.{name}"


@rule(SHUT_OUT)
def test_after_the_end_nobody_may_do_anything() -> None:
    world = a_room("guest")
    world.seat("guest", 0)
    world.give("host", EndRoom(room=LOUNGE))
    assert {world.grant(identity) for identity in ("host", "guest", "stranger")} == {NOTHING}
    assert grants(world.room) == {}


@rule(SHUT_OUT)
def test_backstage_the_audience_neither_sees_nor_hears() -> None:
    world = a_room("guest")
    world.give("host", StopLive(room=LOUNGE))
    assert world.grant("guest") == NOTHING
    assert world.grant("host").subscribe


def test_an_event_says_whose_grant_may_differ() -> None:
    assert affected(SeatTaken(0, "ann", "ann")) == frozenset({"ann"})
    assert affected(SeatsSwapped(0, 1, "ann", "bob", "host")) == frozenset({"ann", "bob"})
    assert affected(RoomEmptied(START)) == frozenset()
    assert affected(BanMade(Ban("ban-1", "ann", BanScope.ROOM, "", "host", START))) == frozenset()


def test_events_that_may_change_everybody_s_grant_are_few_and_named() -> None:
    assert {kind.type for kind in EVERYBODY} == {
        "room_created",
        "went_live",
        "stopped_live",
        "room_ended",
        "capability_overridden",
        "call_started",
        "call_accepted",
        "call_ended",
    }


def test_an_event_of_somebody_s_names_its_identity() -> None:
    """What `affected` relies on."""
    nameless = {kind.type for kind in EVENTS.values() if not {"identity"} & {field.name for field in fields(kind)}}
    assert nameless - {kind.type for kind in EVERYBODY} == {
        "seats_set_up",
        "seats_swapped",
        "metadata_changed",
        "room_emptied",
        "room_occupied",
        "hosts_left",
        "request_made",
        "request_ended",
        "ban_made",
        "bans_changed",
        "call_ringing",
    }
