"""The seat grid of an audio room. Holding a seat *is* the permission to publish.

- A grid has 1 to 100 seats, numbered from 0. One identity holds at most one seat.
- Mode *free*: whoever may take seats takes an empty one. Mode *request*: only those with `take_seat_directly`
  do; the others ask, and are seated when somebody accepts.
- A lock has three parts. *take*: nobody may sit down, and locking evicts the occupant first. *audio*, *video*:
  whoever sits there may not publish that. Locks belong to the seat and stay when the occupant changes.
- A mute is a moderator's and belongs to the occupant: it moves along with a move or a swap, and ends with leaving.
- A reserved seat may be taken by its one identity only, in either mode and without asking. Any-free-seat prefers
  the own reserved seat, then the lowest number.
- Move and swap are one step: nobody can slip in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ..errors import Conflict, ErrorCode, InvalidInput
from .event import Event
from .machine import Machine

MIN_SEATS = 1
MAX_SEATS = 100
DEFAULT_SEATS = 8


class SeatMode(StrEnum):
    FREE = "free"
    REQUEST = "request"


class SeatState(StrEnum):
    EMPTY = "empty"
    OCCUPIED = "occupied"
    LOCKED = "locked"


class SeatTrigger(StrEnum):
    TAKE = "take"
    LEAVE = "leave"
    LOCK = "lock"
    UNLOCK = "unlock"


SEAT = Machine(
    name="seat",
    states=SeatState,
    triggers=SeatTrigger,
    initial=SeatState.EMPTY,
    table={
        (SeatState.EMPTY, SeatTrigger.TAKE): SeatState.OCCUPIED,
        (SeatState.EMPTY, SeatTrigger.LOCK): SeatState.LOCKED,
        (SeatState.OCCUPIED, SeatTrigger.LEAVE): SeatState.EMPTY,
        (SeatState.OCCUPIED, SeatTrigger.LOCK): SeatState.LOCKED,
        (SeatState.LOCKED, SeatTrigger.UNLOCK): SeatState.EMPTY,
    },
    refusals={
        (SeatState.OCCUPIED, SeatTrigger.TAKE): (ErrorCode.SEAT_TAKEN, "take another, or any free seat"),
        (SeatState.LOCKED, SeatTrigger.TAKE): (ErrorCode.SEAT_LOCKED, "a moderator must unlock it first"),
        (SeatState.LOCKED, SeatTrigger.LOCK): (ErrorCode.SEAT_LOCKED, "unlock it to change that"),
        (SeatState.EMPTY, SeatTrigger.LEAVE): (ErrorCode.SEAT_EMPTY, "look who sits where first"),
        (SeatState.LOCKED, SeatTrigger.LEAVE): (ErrorCode.SEAT_EMPTY, "look who sits where first"),
        (SeatState.EMPTY, SeatTrigger.UNLOCK): (ErrorCode.SEAT_NOT_LOCKED, "lock it to change that"),
        (SeatState.OCCUPIED, SeatTrigger.UNLOCK): (ErrorCode.SEAT_NOT_LOCKED, "lock it to change that"),
    },
)


@dataclass(frozen=True, slots=True)
class Seat:
    index: int
    identity: str | None = None
    locked: bool = False
    audio_locked: bool = False
    video_locked: bool = False
    muted_audio: bool = False
    muted_video: bool = False
    reserved_for: str | None = None

    @property
    def state(self) -> SeatState:
        if self.identity is not None:
            return SeatState.OCCUPIED
        return SeatState.LOCKED if self.locked else SeatState.EMPTY


@dataclass(frozen=True, slots=True)
class SeatGrid:
    """Immutable; an event makes a new grid that shares the untouched seats."""

    mode: SeatMode = SeatMode.FREE
    seats: tuple[Seat, ...] = ()
    mode_id: str = ""

    def seat(self, index: int) -> Seat:
        """The seat, or `InvalidInput` (seat_out_of_range)."""
        if not 0 <= index < len(self.seats):
            raise InvalidInput(
                f"seat {index} does not exist; take one from 0 to {len(self.seats) - 1}",
                code=ErrorCode.SEAT_OUT_OF_RANGE,
            )
        return self.seats[index]

    def seat_of(self, identity: str) -> Seat | None:
        """The seat that the identity holds."""
        for seat in self.seats:
            if seat.identity == identity:
                return seat
        return None

    def occupants(self) -> dict[str, Seat]:
        """Seats by the identity that holds them."""
        return {seat.identity: seat for seat in self.seats if seat.identity is not None}


def make_grid(count: int, mode: SeatMode, mode_id: str = "") -> SeatGrid:
    return SeatGrid(mode, tuple(Seat(index) for index in range(count)), mode_id)


@dataclass(frozen=True, slots=True)
class SeatsSetUp(Event):
    """The grid's new size and mode. Those on removed seats had their `SeatLeft` before this."""

    count: int
    mode: SeatMode
    mode_id: str
    by: str


@dataclass(frozen=True, slots=True)
class SeatTaken(Event):
    index: int
    identity: str
    by: str


@dataclass(frozen=True, slots=True)
class SeatLeft(Event):
    """`reason`: left, removed (or the moderator's words), locked, seat_removed, disconnected."""

    index: int
    identity: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class SeatMoved(Event):
    identity: str
    source: int
    target: int
    by: str


@dataclass(frozen=True, slots=True)
class SeatsSwapped(Event):
    first: int
    second: int
    first_identity: str
    second_identity: str
    by: str


@dataclass(frozen=True, slots=True)
class SeatLockChanged(Event):
    """The lock's three parts as they are now. `identity`: who sits there, for whom publishing may change."""

    index: int
    take: bool
    audio: bool
    video: bool
    identity: str | None
    by: str


@dataclass(frozen=True, slots=True)
class SeatMuteChanged(Event):
    index: int
    identity: str
    audio: bool
    video: bool
    by: str


@dataclass(frozen=True, slots=True)
class SeatReserved(Event):
    """`identity` None: the reservation was lifted."""

    index: int
    identity: str | None
    by: str


def find_seat(grid: SeatGrid, identity: str, index: int | None) -> Seat:
    """The seat that `identity` would get: the one named, or any free one. Raises `Conflict` when there is none."""
    if grid.seat_of(identity) is not None:
        raise Conflict(f"{identity!r} holds a seat already; move_seat changes it", code=ErrorCode.ALREADY_SEATED)
    return free_seat(grid, identity, index)


def free_seat(grid: SeatGrid, identity: str, index: int | None) -> Seat:
    """A seat that is open to `identity`, whether or not it holds another."""
    if index is not None:
        seat = grid.seat(index)
        SEAT.next(seat.state, SeatTrigger.TAKE)
        if seat.reserved_for not in (None, identity):
            raise Conflict(f"seat {index} is reserved for somebody else; take another", code=ErrorCode.SEAT_RESERVED)
        return seat
    first: Seat | None = None
    for seat in grid.seats:
        if seat.identity is not None or seat.locked:
            continue
        if seat.reserved_for == identity:
            return seat
        if first is None and seat.reserved_for is None:
            first = seat
    if first is None:
        raise Conflict("no seat is free; wait, or ask a moderator to unlock one", code=ErrorCode.NO_FREE_SEAT)
    return first


def changed_lock(seat: Seat, locking: bool, take: bool, audio: bool, video: bool, by: str) -> list[Event]:
    """Lock or unlock the named parts; an occupant is evicted before `take` is locked."""
    if not (take or audio or video):
        raise InvalidInput("nothing is named; name at least one part of the lock: take, audio or video")
    parts = (
        locking if take else seat.locked,
        locking if audio else seat.audio_locked,
        locking if video else seat.video_locked,
    )
    if parts == (seat.locked, seat.audio_locked, seat.video_locked):
        trigger = SeatTrigger.LOCK if locking else SeatTrigger.UNLOCK
        if take:
            raise SEAT.refusal(seat.state, trigger)
        code = ErrorCode.SEAT_LOCKED if locking else ErrorCode.SEAT_NOT_LOCKED
        words = "locked already; unlock them to change that" if locking else "not locked; lock them first"
        raise Conflict(f"the named parts of seat {seat.index} are {words}", code=code)
    events: list[Event] = []
    occupant = seat.identity
    if take and locking and occupant is not None:
        events.append(SeatLeft(seat.index, occupant, "locked", by))
        occupant = None
    events.append(SeatLockChanged(seat.index, *parts, identity=occupant, by=by))
    return events


def _with(grid: SeatGrid, *changed: Seat) -> SeatGrid:
    seats = list(grid.seats)
    for seat in changed:
        seats[seat.index] = seat
    return SeatGrid(grid.mode, tuple(seats), grid.mode_id)


def _placed(seat: Seat, identity: str | None, muted_audio: bool = False, muted_video: bool = False) -> Seat:
    # Spelled out: this is the hot path, and dataclasses.replace costs three times as much.
    return Seat(
        seat.index,
        identity,
        seat.locked,
        seat.audio_locked,
        seat.video_locked,
        muted_audio,
        muted_video,
        seat.reserved_for,
    )


def _set_up(grid: SeatGrid, event: SeatsSetUp) -> SeatGrid:
    kept = grid.seats[: event.count]
    added = tuple(Seat(index) for index in range(len(kept), event.count))
    return SeatGrid(event.mode, kept + added, event.mode_id)


def _taken(grid: SeatGrid, event: SeatTaken) -> SeatGrid:
    return _with(grid, _placed(grid.seats[event.index], event.identity))


def _left(grid: SeatGrid, event: SeatLeft) -> SeatGrid:
    return _with(grid, _placed(grid.seats[event.index], None))


def _moved(grid: SeatGrid, event: SeatMoved) -> SeatGrid:
    source, target = grid.seats[event.source], grid.seats[event.target]
    return _with(grid, _placed(source, None), _placed(target, event.identity, source.muted_audio, source.muted_video))


def _swapped(grid: SeatGrid, event: SeatsSwapped) -> SeatGrid:
    first, second = grid.seats[event.first], grid.seats[event.second]
    return _with(
        grid,
        _placed(first, event.second_identity, second.muted_audio, second.muted_video),
        _placed(second, event.first_identity, first.muted_audio, first.muted_video),
    )


def _lock_changed(grid: SeatGrid, event: SeatLockChanged) -> SeatGrid:
    seat = grid.seats[event.index]
    return _with(grid, replace(seat, locked=event.take, audio_locked=event.audio, video_locked=event.video))


def _mute_changed(grid: SeatGrid, event: SeatMuteChanged) -> SeatGrid:
    return _with(grid, _placed(grid.seats[event.index], event.identity, event.audio, event.video))


def _reserved(grid: SeatGrid, event: SeatReserved) -> SeatGrid:
    return _with(grid, replace(grid.seats[event.index], reserved_for=event.identity))


SEAT_CHANGES: Mapping[type[Event], Callable[[SeatGrid, Any], SeatGrid]] = {
    SeatsSetUp: _set_up,
    SeatTaken: _taken,
    SeatLeft: _left,
    SeatMoved: _moved,
    SeatsSwapped: _swapped,
    SeatLockChanged: _lock_changed,
    SeatMuteChanged: _mute_changed,
    SeatReserved: _reserved,
}
"""The grid after each seat event. None of them refuses."""
