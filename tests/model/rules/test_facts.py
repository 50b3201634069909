"""What holds of every event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, get_args, get_type_hints

import pytest

from utd_core.errors import Refused
from utd_core.model.codec import dump, load_event
from utd_core.model.commands import EndCall, RemoveParticipant, TakeSeat
from utd_core.model.event import EVENTS, Event
from utd_core.model.identifiers import SERVER, SYSTEM

from ..rulebook import rule
from ..scenes import SCENES, arrange, is_of_a_room
from ..world import LOUNGE, START, CallWorld, a_room

KINDS = sorted(EVENTS)
ON_THE_WIRE = {
    "ban_lifted",
    "ban_made",
    "bans_changed",
    "call_accepted",
    "call_ended",
    "call_ringing",
    "call_started",
    "capability_overridden",
    "host_returned",
    "hosts_left",
    "metadata_changed",
    "participant_removed",
    "party_absent",
    "party_returned",
    "request_ended",
    "request_made",
    "role_changed",
    "room_created",
    "room_emptied",
    "room_ended",
    "room_occupied",
    "seat_left",
    "seat_lock_changed",
    "seat_moved",
    "seat_mute_changed",
    "seat_reserved",
    "seat_taken",
    "seats_set_up",
    "seats_swapped",
    "stage_joined",
    "stage_left",
    "stage_mute_changed",
    "stopped_live",
    "went_live",
}


def facts(role: str) -> Iterator[tuple[str, Event]]:
    """What comes of every scene in which somebody of a role may act: (actor, event)."""
    for name in SCENES:
        if is_of_a_room(name):
            world, actor, command = arrange(name, role)
            try:
                yield from ((actor, event) for event in world.decide(actor, command))
            except Refused:
                continue


def plain(hint: Any) -> bool:
    """Whether a value of this type is made of numbers, strings, flags and names, and of records of those."""
    if arguments := get_args(hint):
        return all(plain(argument) for argument in arguments)
    if is_dataclass(hint):
        return all(plain(part) for part in get_type_hints(hint).values())
    return hint in (str, int, float, bool, type(None), Any) or issubclass(hint, Enum)


@rule("An event is a frozen dataclass of plain values.")
@pytest.mark.parametrize("name", KINDS)
def test_an_event_is_frozen_and_plain(name: str) -> None:
    kind: Any = EVENTS[name]
    assert kind.__dataclass_params__.frozen
    for field in fields(kind):
        assert plain(get_type_hints(kind)[field.name]), field.name


@rule("Its `type` is its class name in snake_case, stable on the wire.")
def test_an_event_is_called_on_the_wire_what_it_was_always_called() -> None:
    assert EVENTS.keys() == ON_THE_WIRE
    for name, kind in EVENTS.items():
        assert kind.type == name
        assert kind.__name__.lower() == name.replace("_", "")
    for _, event in facts("owner"):
        assert load_event(event.type, dump(event)) == event


BY = (
    "`by` is always who did it: an identity, `$server` (the application's server) or `$system` (a timer, a disconnect)."
)


@rule(BY)
@pytest.mark.parametrize("role", ["owner", "admin", "audience", "server"])
def test_an_event_says_who_did_it(role: str) -> None:
    for actor, event in facts(role):
        assert getattr(event, "by", actor) == actor, event


@rule(BY)
def test_what_a_disconnect_or_a_timer_does_is_done_by_the_system() -> None:
    world = a_room("guest", host_left_grace=10.0)
    world.give("guest", TakeSeat(room=LOUNGE))
    happened = [*world.lose("guest"), *world.lose("host"), *world.wait(10.0)]
    assert {event.type for event in happened} >= {"seat_left", "room_ended"}
    assert {getattr(event, "by", SYSTEM) for event in happened} == {SYSTEM}


@rule("Times (`at`, `..._at`) are seconds since the Unix epoch.")
def test_times_are_those_of_the_clock() -> None:
    world, calls = a_room("guest"), CallWorld()
    calls.start()
    calls.now = world.now = START + 7
    removed = RemoveParticipant(room=LOUNGE, identity="guest", block=True, duration=60)
    happened = [*world.give(SERVER, removed), *world.lose("host"), *calls.give("ann", EndCall(id="call-1"))]
    times = {
        (event.type, field.name): getattr(event, field.name)
        for event in happened
        for field in fields(event)
        if field.name == "at" or field.name.endswith("_at")
    }
    assert times
    assert set(times.values()) == {START + 7}
    (made,) = (event.ban for event in happened if event.type == "ban_made" and hasattr(event, "ban"))
    assert (made.created_at, made.expires_at) == (START + 7, START + 67)
