"""Who comes in as what, with how many devices, and what leaving ends."""

from __future__ import annotations

from typing import Any

import pytest

from utd_core.errors import Conflict, ErrorCode, Forbidden, InvalidInput, NotFound
from utd_core.model.commands import (
    CreateRoom,
    JoinRoom,
    LeaveRoom,
    TakeSeat,
)
from utd_core.model.request import RequestKind, RequestState
from utd_core.model.roles import Role
from utd_core.model.room import (
    DuplicateIdentity,
)
from utd_core.model.seats import DEFAULT_SEATS, SeatMode
from utd_core.model.stream_type import UTDStreamType

from ..world import LOUNGE, RoomWorld, a_room, a_stream, kinds

DUPLICATES = [(DuplicateIdentity.REPLACE, ("tablet",)), (DuplicateIdentity.MANY, ("phone", "tablet"))]


@pytest.mark.parametrize(("policy", "devices"), DUPLICATES)
def test_a_second_device_takes_over_or_stays_beside_the_first(
    policy: DuplicateIdentity, devices: tuple[str, ...]
) -> None:
    world = a_room("guest", duplicate_identity=policy)
    world.give("guest", TakeSeat(room=LOUNGE, index=1))
    world.join("guest", device="tablet")
    assert world.present["guest"] == devices
    assert world.seat_of("guest") == 1


def test_a_second_device_is_refused_where_the_policy_is_reject() -> None:
    world = a_room("guest", duplicate_identity=DuplicateIdentity.REJECT)
    with world.refused(ErrorCode.ALREADY_JOINED, Conflict):
        world.join("guest", device="tablet")
    world.join("guest", device="phone")
    world.leave("guest")
    world.join("guest", device="tablet")


def test_only_a_host_brings_a_room_into_being_by_joining() -> None:
    world = RoomWorld()
    with world.refused(ErrorCode.ROOM_NOT_FOUND, NotFound):
        world.join("guest")
    world.join("guest", as_host=True)
    assert world.room.roles == {"guest": Role.OWNER}
    assert len(world.room.grid.seats) == DEFAULT_SEATS


def test_a_room_is_joined_as_what_it_is() -> None:
    world = a_room()
    with world.refused(ErrorCode.WRONG_ROOM_TYPE, Conflict):
        world.join("guest", type=UTDStreamType.LIVE_STREAM)


@pytest.mark.parametrize("type", [UTDStreamType.AUDIO_CALL, UTDStreamType.VIDEO_CALL])
def test_a_call_is_not_a_room(type: UTDStreamType) -> None:
    world = RoomWorld()
    with world.refused(ErrorCode.INVALID_INPUT, InvalidInput):
        world.give("host", CreateRoom(room=LOUNGE, type=type))
    with world.refused(ErrorCode.INVALID_INPUT, InvalidInput):
        world.give("host", JoinRoom(room=LOUNGE, type=type, as_host=True))


@pytest.mark.parametrize(
    "option", [{"seat_count": 4}, {"seat_mode": SeatMode.REQUEST}, {"mode_id": "x"}, {"seat_video": True}]
)
def test_a_live_stream_has_no_seats_to_set_up(option: dict[str, Any]) -> None:
    with RoomWorld().refused(ErrorCode.INVALID_INPUT, InvalidInput):
        a_stream(**option)
    world = a_stream()
    with world.refused(ErrorCode.INVALID_INPUT, InvalidInput):
        world.join("host", as_host=True, **option)


def test_a_host_sets_up_the_seats_of_an_existing_room_by_joining_and_a_guest_does_not() -> None:
    world = a_room("guest", seats=4)
    world.seat("guest", 3)
    events = world.join("host", as_host=True, seat_count=2, seat_mode=SeatMode.REQUEST)
    assert kinds(events) == ["seat_left", "seats_set_up"]
    assert (len(world.room.grid.seats), world.room.grid.mode) == (2, SeatMode.REQUEST)
    assert world.join("host", as_host=True, seat_count=2) == []
    with world.refused(ErrorCode.FORBIDDEN, Forbidden):
        world.join("guest", seat_count=8)
    with world.refused(ErrorCode.FORBIDDEN, Forbidden):
        world.join("guest", as_host=True)


def test_leaving_ends_seat_place_and_requests() -> None:
    world = a_room("guest")
    world.give("guest", TakeSeat(room=LOUNGE))
    asked = world.ask("host", RequestKind.OPEN_MICROPHONE, to="guest")
    events = world.give("guest", LeaveRoom(room=LOUNGE))
    assert kinds(events) == ["seat_left", "request_ended"]
    assert world.seat_of("guest") is None
    assert world.room.ended_requests[asked].state is RequestState.FAILED
    with world.refused(ErrorCode.NOT_JOINED, Conflict):
        world.give("guest", LeaveRoom(room=LOUNGE))


def test_news_of_somebody_who_holds_nothing_changes_nothing() -> None:
    world = a_room("guest")
    assert not world.room.concerns("guest")
    assert world.lose("guest") == []
    assert world.lose("guest") == []
    assert world.returned("guest") == []
