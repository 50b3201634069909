"""The seat grid of an audio room."""

from __future__ import annotations

import pytest

from utd_core.errors import Conflict, ErrorCode, Forbidden, InvalidInput
from utd_core.model.commands import (
    AcceptRequest,
    ClearSeat,
    GetSeats,
    LeaveSeat,
    LockSeat,
    MakeRequest,
    MoveSeat,
    MuteSeat,
    ReserveSeat,
    SetupSeats,
    SwapSeats,
    TakeSeat,
    UnlockSeat,
    UnmuteSeat,
)
from utd_core.model.identifiers import SERVER
from utd_core.model.permission import TrackSource
from utd_core.model.request import RequestKind, RequestState
from utd_core.model.roles import Capability, Role
from utd_core.model.room import CapabilityOverridden
from utd_core.model.seats import MAX_SEATS, MIN_SEATS, SeatLeft, SeatMode, SeatMoved

from ..rulebook import rule
from ..world import LOUNGE, RoomWorld, a_room, a_stream, kinds, the

MICROPHONE, CAMERA = TrackSource.MICROPHONE, TrackSource.CAMERA

REQUEST_MODE = (
    "Mode *request*: only those with `take_seat_directly` do; the others ask, and are seated when somebody accepts."
)
MUTES = (
    "A mute is a moderator's and belongs to the occupant: it moves along with a move or a swap, and ends with leaving."
)
RESERVED = "A reserved seat may be taken by its one identity only, in either mode and without asking."
ANY_SEAT = "Any-free-seat prefers the own reserved seat, then the lowest number."
ONE_STEP = "Move and swap are one step: nobody can slip in between."
LOCKS_STAY = "Locks belong to the seat and stay when the occupant changes."


def may_publish(world: RoomWorld, identity: str) -> set[TrackSource]:
    return set(world.grant(identity).publish)


@rule("A grid has 1 to 100 seats, numbered from 0.")
@pytest.mark.parametrize("count", [1, 2, 100])
def test_a_grid_has_its_seats_from_zero(count: int) -> None:
    world = a_room(seats=count)
    assert [seat.index for seat in world.room.grid.seats] == list(range(count))
    world.give("host", TakeSeat(room=LOUNGE, index=count - 1))
    if count < MAX_SEATS:
        with world.refused(ErrorCode.SEAT_OUT_OF_RANGE, InvalidInput):
            world.give("host", MoveSeat(room=LOUNGE, index=count))
    assert (MIN_SEATS, MAX_SEATS) == (1, 100)


@rule("A grid has 1 to 100 seats, numbered from 0.")
@pytest.mark.parametrize("count", [0, 101, -1])
def test_fewer_or_more_seats_are_refused(count: int) -> None:
    with pytest.raises(InvalidInput):
        SetupSeats(room=LOUNGE, seat_count=count)
    with pytest.raises(InvalidInput):
        a_room(seats=count)


@rule("One identity holds at most one seat.")
def test_a_second_seat_is_refused_and_moving_is_offered() -> None:
    world = a_room("guest")
    world.give("guest", TakeSeat(room=LOUNGE, index=0))
    with world.refused(ErrorCode.ALREADY_SEATED, Conflict):
        world.give("guest", TakeSeat(room=LOUNGE, index=1))
    with world.refused(ErrorCode.ALREADY_SEATED, Conflict):
        world.give("guest", TakeSeat(room=LOUNGE))
    with world.refused(ErrorCode.ALREADY_SEATED, Conflict):
        world.give("guest", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK))


@rule("Mode *free*: whoever may take seats takes an empty one.")
def test_in_free_mode_the_audience_takes_empty_seats() -> None:
    world = a_room("guest", "late")
    world.give("guest", TakeSeat(room=LOUNGE, index=0))
    assert world.answer.identity == "guest"
    assert may_publish(world, "guest") == {MICROPHONE}
    with world.refused(ErrorCode.SEAT_TAKEN, Conflict):
        world.give("late", TakeSeat(room=LOUNGE, index=0))
    world.apply(CapabilityOverridden(Role.AUDIENCE, Capability.TAKE_SEAT, False, SERVER))
    with world.refused(ErrorCode.FORBIDDEN, Forbidden):
        world.give("late", TakeSeat(room=LOUNGE, index=1))


@rule(REQUEST_MODE)
def test_in_request_mode_a_listener_is_seated_when_somebody_accepts() -> None:
    world = a_room("guest", seat_mode=SeatMode.REQUEST)
    with world.refused(ErrorCode.SEATS_BY_REQUEST, Forbidden):
        world.give("guest", TakeSeat(room=LOUNGE))
    world.give("guest", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK, seat_index=2))
    asked = world.answer.id
    assert may_publish(world, "guest") == set()
    events = world.give("host", AcceptRequest(room=LOUNGE, id=asked))
    assert kinds(events) == ["request_ended", "seat_taken"]
    assert world.seat_of("guest") == 2
    assert may_publish(world, "guest") == {MICROPHONE}


@rule(REQUEST_MODE)
def test_in_request_mode_a_speaker_takes_a_seat_without_asking() -> None:
    world = a_room("speaker", seat_mode=SeatMode.REQUEST)
    world.role("speaker", Role.SPEAKER)
    world.give("speaker", TakeSeat(room=LOUNGE))
    assert world.seat_of("speaker") == 0


@rule("A lock has three parts.")
def test_the_parts_of_a_lock_are_locked_and_unlocked_one_by_one() -> None:
    world = a_room()

    def parts() -> tuple[bool, bool, bool]:
        seat = world.seat_at(1)
        return seat.locked, seat.audio_locked, seat.video_locked

    world.give("host", LockSeat(room=LOUNGE, index=1, take=False, audio=True))
    assert parts() == (False, True, False)
    world.give("host", LockSeat(room=LOUNGE, index=1, take=True, video=True))
    assert parts() == (True, True, True)
    world.give("host", UnlockSeat(room=LOUNGE, index=1, take=False, audio=True))
    assert parts() == (True, False, True)
    world.give("host", UnlockSeat(room=LOUNGE, index=1, take=True, audio=True, video=True))
    assert parts() == (False, False, False)
    with world.refused(ErrorCode.SEAT_NOT_LOCKED, Conflict):
        world.give("host", UnlockSeat(room=LOUNGE, index=1, take=False, video=True))
    with world.refused(ErrorCode.INVALID_INPUT, InvalidInput):
        world.give("host", LockSeat(room=LOUNGE, index=1, take=False))


@rule("*take*: nobody may sit down, and locking evicts the occupant first.")
def test_locking_evicts_first_and_nobody_sits_down_until_it_is_unlocked() -> None:
    world = a_room("guest")
    world.give("guest", TakeSeat(room=LOUNGE, index=1))
    events = world.give("host", LockSeat(room=LOUNGE, index=1))
    assert kinds(events) == ["seat_left", "seat_lock_changed"]
    left = the(SeatLeft, events)
    assert (left.identity, left.reason, left.by) == ("guest", "locked", "host")
    assert may_publish(world, "guest") == set()
    for by in ("guest", "host"):
        with world.refused(ErrorCode.SEAT_LOCKED, Conflict):
            world.give(by, TakeSeat(room=LOUNGE, index=1))
    with world.refused(ErrorCode.SEAT_LOCKED, Conflict):
        world.give("host", LockSeat(room=LOUNGE, index=1))
    world.give("host", UnlockSeat(room=LOUNGE, index=1))
    world.give("guest", TakeSeat(room=LOUNGE, index=1))


@rule("*audio*, *video*: whoever sits there may not publish that.")
def test_the_other_parts_keep_the_occupant_and_take_a_device() -> None:
    world = a_room("guest", seat_video=True)
    world.give("guest", TakeSeat(room=LOUNGE, index=1))
    assert may_publish(world, "guest") == {MICROPHONE, CAMERA}
    world.give("host", LockSeat(room=LOUNGE, index=1, take=False, audio=True))
    assert may_publish(world, "guest") == {CAMERA}
    world.give("host", LockSeat(room=LOUNGE, index=1, take=False, video=True))
    assert may_publish(world, "guest") == set()
    world.give("host", UnlockSeat(room=LOUNGE, index=1, take=False, audio=True, video=True))
    assert may_publish(world, "guest") == {MICROPHONE, CAMERA}
    assert world.seat_of("guest") == 1


@rule(LOCKS_STAY)
def test_a_lock_stays_when_the_occupant_changes() -> None:
    world = a_room("guest", "next")
    world.give("guest", TakeSeat(room=LOUNGE, index=1))
    world.give("host", LockSeat(room=LOUNGE, index=1, take=False, audio=True))
    world.give("guest", LeaveSeat(room=LOUNGE))
    world.give("next", TakeSeat(room=LOUNGE, index=1))
    assert may_publish(world, "next") == set()
    world.give("next", MoveSeat(room=LOUNGE, index=0))
    assert may_publish(world, "next") == {MICROPHONE}
    assert world.seat_at(1).audio_locked


@rule(MUTES)
def test_a_mute_moves_along_and_ends_with_leaving() -> None:
    world = a_room("guest", "other")
    world.give("guest", TakeSeat(room=LOUNGE, index=0))
    world.give("host", MuteSeat(room=LOUNGE, index=0))
    assert may_publish(world, "guest") == set()
    world.give("guest", MoveSeat(room=LOUNGE, index=1))
    assert may_publish(world, "guest") == set()
    assert not world.seat_at(0).muted_audio
    world.give("other", TakeSeat(room=LOUNGE, index=0))
    world.give("host", SwapSeats(room=LOUNGE, first=0, second=1))
    assert (world.seat_of("guest"), world.seat_of("other")) == (0, 1)
    assert (may_publish(world, "guest"), may_publish(world, "other")) == (set(), {MICROPHONE})
    world.give("guest", LeaveSeat(room=LOUNGE))
    world.give("guest", TakeSeat(room=LOUNGE, index=0))
    assert may_publish(world, "guest") == {MICROPHONE}


@rule(MUTES)
def test_nobody_lifts_the_own_mute_without_the_capability() -> None:
    world = a_room("guest")
    world.give("guest", TakeSeat(room=LOUNGE, index=0))
    world.give("host", MuteSeat(room=LOUNGE, index=0))
    with world.refused(ErrorCode.FORBIDDEN, Forbidden):
        world.give("guest", UnmuteSeat(room=LOUNGE, index=0))
    with world.refused(ErrorCode.SEAT_MUTED, Conflict):
        world.give("host", MuteSeat(room=LOUNGE, index=0))
    world.give("host", UnmuteSeat(room=LOUNGE, index=0))
    with world.refused(ErrorCode.SEAT_NOT_MUTED, Conflict):
        world.give("host", UnmuteSeat(room=LOUNGE, index=0))
    with world.refused(ErrorCode.INVALID_INPUT, InvalidInput):
        world.give("host", MuteSeat(room=LOUNGE, index=0, audio=False))
    with world.refused(ErrorCode.SEAT_EMPTY, Conflict):
        world.give("host", MuteSeat(room=LOUNGE, index=1))


@rule(RESERVED)
@pytest.mark.parametrize("mode", SeatMode)
def test_a_reserved_seat_is_taken_by_its_identity_only(mode: SeatMode) -> None:
    world = a_room("guest", "other", seat_mode=mode)
    world.role("other", Role.SPEAKER)
    world.give("host", ReserveSeat(room=LOUNGE, index=2, identity="guest"))
    for by in ("other", "host"):
        with world.refused(ErrorCode.SEAT_RESERVED, Conflict):
            world.give(by, TakeSeat(room=LOUNGE, index=2))
    world.give("guest", TakeSeat(room=LOUNGE, index=2))
    assert world.seat_of("guest") == 2
    world.give("guest", LeaveSeat(room=LOUNGE))
    world.give("host", ReserveSeat(room=LOUNGE, index=2, identity=None))
    world.give("other", TakeSeat(room=LOUNGE, index=2))


@rule(RESERVED)
def test_a_reserved_seat_is_not_given_away_by_accepting_or_swapping() -> None:
    world = a_room("guest", "other")
    world.give("host", ReserveSeat(room=LOUNGE, index=2, identity="guest"))
    asked = world.ask("other", RequestKind.SPEAK, seat_index=2)
    with world.refused(ErrorCode.SEAT_RESERVED, Conflict):
        world.give("host", AcceptRequest(room=LOUNGE, id=asked))
    world.give("host", AcceptRequest(room=LOUNGE, id=asked, seat_index=0))
    world.give("guest", TakeSeat(room=LOUNGE, index=2))
    with world.refused(ErrorCode.SEAT_RESERVED, Conflict):
        world.give("host", SwapSeats(room=LOUNGE, first=0, second=2))
    with world.refused(ErrorCode.SEAT_RESERVED, Conflict):
        world.give("host", ReserveSeat(room=LOUNGE, index=2, identity="guest"))


@rule(ANY_SEAT)
def test_any_seat_is_the_own_reserved_one_then_the_lowest_that_is_open() -> None:
    world = a_room("guest", "other", "third", seats=4)
    world.give("host", LockSeat(room=LOUNGE, index=0))
    world.give("host", ReserveSeat(room=LOUNGE, index=1, identity="somebody"))
    world.give("host", ReserveSeat(room=LOUNGE, index=3, identity="guest"))
    world.give("guest", TakeSeat(room=LOUNGE, index="any"))
    assert world.seat_of("guest") == 3
    world.give("other", TakeSeat(room=LOUNGE))
    assert world.seat_of("other") == 2
    with world.refused(ErrorCode.NO_FREE_SEAT, Conflict):
        world.give("third", TakeSeat(room=LOUNGE))


@rule(ONE_STEP)
def test_a_move_is_one_event_and_the_old_seat_is_free_only_afterwards() -> None:
    world = a_room("guest", "other")
    world.give("guest", TakeSeat(room=LOUNGE, index=0))
    events = world.give("guest", MoveSeat(room=LOUNGE, index=3))
    assert kinds(events) == ["seat_moved"]
    moved = the(SeatMoved, events)
    assert (moved.source, moved.target) == (0, 3)
    assert (world.seat_at(0).identity, world.seat_at(3).identity) == (None, "guest")
    world.give("other", TakeSeat(room=LOUNGE, index=0))
    with world.refused(ErrorCode.SEAT_TAKEN, Conflict):
        world.give("guest", MoveSeat(room=LOUNGE, index=0))
    assert world.seat_of("guest") == 3


@rule(ONE_STEP)
def test_a_swap_is_one_event_and_needs_two_occupants() -> None:
    world = a_room("guest", "other")
    world.give("guest", TakeSeat(room=LOUNGE, index=0))
    with world.refused(ErrorCode.SEAT_EMPTY, Conflict):
        world.give("host", SwapSeats(room=LOUNGE, first=0, second=1))
    with world.refused(ErrorCode.INVALID_INPUT, InvalidInput):
        world.give("host", SwapSeats(room=LOUNGE, first=0, second=0))
    world.give("other", TakeSeat(room=LOUNGE, index=1))
    assert kinds(world.give("host", SwapSeats(room=LOUNGE, first=0, second=1))) == ["seats_swapped"]
    assert (world.seat_of("guest"), world.seat_of("other")) == (1, 0)


def test_moving_another_needs_manage_seats_even_to_a_seat_that_is_reserved_for_it() -> None:
    world = a_room("speaker", "guest")
    world.role("speaker", Role.SPEAKER)
    world.seat("guest", 0)
    world.give("host", ReserveSeat(room=LOUNGE, index=3, identity="guest"))
    with world.refused(ErrorCode.FORBIDDEN, Forbidden):
        world.give("speaker", MoveSeat(room=LOUNGE, index=3, identity="guest"))
    world.give("host", MoveSeat(room=LOUNGE, index=3, identity="guest"))
    assert world.seat_of("guest") == 3


def test_who_holds_no_seat_neither_leaves_nor_moves_one() -> None:
    world = a_room("guest")
    for command in (LeaveSeat(room=LOUNGE), MoveSeat(room=LOUNGE)):
        with world.refused(ErrorCode.NOT_SEATED, Conflict):
            world.give("guest", command)
    with world.refused(ErrorCode.NOT_SEATED, Conflict):
        world.give("host", MoveSeat(room=LOUNGE, identity="guest"))
    with world.refused(ErrorCode.SEAT_EMPTY, Conflict):
        world.give("host", ClearSeat(room=LOUNGE, index=0))


def test_a_smaller_grid_sends_away_who_sits_beyond_and_fails_what_names_it() -> None:
    world = a_room("guest", "asker", seats=4)
    world.seat("guest", 3)
    named = world.ask("asker", RequestKind.SPEAK, seat_index=2)
    unnamed = world.ask("host", RequestKind.SPEAK_INVITE, to="asker")
    events = world.give("host", SetupSeats(room=LOUNGE, seat_count=2))
    assert kinds(events) == ["seat_left", "request_ended", "seats_set_up"]
    assert [seat.index for seat in world.room.grid.seats] == [0, 1]
    assert world.room.ended_requests[named].state is RequestState.FAILED
    assert unnamed in world.room.requests
    assert world.give("host", SetupSeats(room=LOUNGE, seat_count=2)) == []
    world.give("host", SetupSeats(room=LOUNGE, seat_count=3, mode_id="round table"))
    assert world.answer == world.room.grid
    assert world.room.grid.mode_id == "round table"


def test_a_larger_grid_keeps_what_was_there() -> None:
    world = a_room("guest", seats=2)
    world.give("guest", TakeSeat(room=LOUNGE, index=1))
    world.give("host", LockSeat(room=LOUNGE, index=0))
    world.give("host", SetupSeats(room=LOUNGE, seat_count=100, seat_mode=SeatMode.REQUEST))
    assert (world.seat_at(0).locked, world.seat_of("guest"), len(world.room.grid.seats)) == (True, 1, 100)


def test_a_live_stream_has_no_seats() -> None:
    world = a_stream("viewer")
    for command in (TakeSeat(room=LOUNGE), LeaveSeat(room=LOUNGE), MoveSeat(room=LOUNGE)):
        with world.refused(ErrorCode.WRONG_ROOM_TYPE, Conflict):
            world.give("viewer", command)
    for managing in (SetupSeats(room=LOUNGE, seat_count=4), LockSeat(room=LOUNGE, index=0)):
        with world.refused(ErrorCode.WRONG_ROOM_TYPE, Conflict):
            world.give("host", managing)
    world.give("viewer", GetSeats(room=LOUNGE))
    assert world.answer.seats == ()
