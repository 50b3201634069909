"""Taking, leaving, moving and managing seats."""

from __future__ import annotations

from ...errors import Conflict, ErrorCode, Forbidden, InvalidInput
from ..command import Context
from ..commands.seats import (
    ClearSeat,
    LeaveSeat,
    LockSeat,
    MoveSeat,
    MuteSeat,
    ReserveSeat,
    SetupSeats,
    SwapSeats,
    TakeSeat,
    UnlockSeat,
    UnmuteSeat,
)
from ..event import Event
from ..request import RequestTrigger
from ..roles import Capability
from ..room import Room
from ..seats import (
    SEAT,
    Seat,
    SeatLeft,
    SeatMode,
    SeatMoved,
    SeatMuteChanged,
    SeatReserved,
    SeatsSetUp,
    SeatsSwapped,
    SeatTaken,
    SeatTrigger,
    changed_lock,
    find_seat,
    free_seat,
)
from . import access
from .settling import end_request, settled


def demand_seats(room: Room) -> None:
    """Raise `Conflict` (wrong_room_type) in a room without seats."""
    if not room.has_seats:
        raise Conflict(
            f"{room.name!r} is a {room.type.value} and has no seats; come on stage instead",
            code=ErrorCode.WRONG_ROOM_TYPE,
        )


def setup(room: Room, command: SetupSeats, context: Context) -> list[Event]:
    demand_seats(room)
    return reshaped(room, context, command.seat_count, command.seat_mode, command.mode_id)


def reshaped(
    room: Room, context: Context, seat_count: int | None, seat_mode: SeatMode | None, new_mode_id: str | None
) -> list[Event]:
    """The grid's new shape, None leaves a part as it is; who sits on a removed seat leaves it, and requests that name
    one fail. No event where nothing changes."""
    grid = room.grid
    count = len(grid.seats) if seat_count is None else seat_count
    mode = grid.mode if seat_mode is None else seat_mode
    mode_id = grid.mode_id if new_mode_id is None else new_mode_id
    if (count, mode, mode_id) == (len(grid.seats), grid.mode, grid.mode_id):
        return []
    events: list[Event] = []
    for seat in grid.seats[count:]:
        if seat.identity is not None:
            access.check_rank(room, context, seat.identity)
            events.append(SeatLeft(seat.index, seat.identity, "seat_removed", context.by))
    for request in room.requests.values():
        if request.seat_index is not None and request.seat_index >= count:
            events.append(end_request(request, RequestTrigger.FAIL, "seat_removed", context.by))
    events.append(SeatsSetUp(count, mode, mode_id, context.by))
    return events


def take(room: Room, command: TakeSeat, context: Context) -> list[Event]:
    demand_seats(room)
    identity = access.participant(context)
    access.check_let_in(room, identity)
    seat = find_seat(room.grid, identity, None if command.index == "any" else command.index)
    if seat.reserved_for != identity:
        _check_may_take(room, context)
    events: list[Event] = [SeatTaken(seat.index, identity, identity)]
    if room.requests:
        events += settled(room, identity, identity)
    return events


def _check_may_take(room: Room, context: Context) -> None:
    if room.grid.mode is SeatMode.FREE:
        access.demand(room, context, Capability.TAKE_SEAT)
    elif not access.has(room, context, Capability.TAKE_SEAT_DIRECTLY):
        raise Forbidden(f"seats of {room.name!r} are given on request; ask to speak", code=ErrorCode.SEATS_BY_REQUEST)


def leave(room: Room, command: LeaveSeat, context: Context) -> list[Event]:
    demand_seats(room)
    identity = access.participant(context)
    return [SeatLeft(_seat_held(room, identity).index, identity, "left", identity)]


def move(room: Room, command: MoveSeat, context: Context) -> list[Event]:
    demand_seats(room)
    identity = command.identity or access.participant(context)
    itself = identity == context.by
    if not itself:
        access.demand(room, context, Capability.MANAGE_SEATS)
        access.check_rank(room, context, identity)
    source = _seat_held(room, identity)
    target = free_seat(room.grid, identity, None if command.index == "any" else command.index)
    if itself and target.reserved_for != identity:
        directly = Capability.TAKE_SEAT if room.grid.mode is SeatMode.FREE else Capability.TAKE_SEAT_DIRECTLY
        access.demand(room, context, directly)
    return [SeatMoved(identity, source.index, target.index, context.by)]


def swap(room: Room, command: SwapSeats, context: Context) -> list[Event]:
    demand_seats(room)
    if command.first == command.second:
        raise InvalidInput(f"seat {command.first} cannot be swapped with itself; name two seats")
    first, second = room.grid.seat(command.first), room.grid.seat(command.second)
    if first.identity is None or second.identity is None:
        empty = first if first.identity is None else second
        raise Conflict(f"seat {empty.index} is empty; move the other occupant instead", code=ErrorCode.SEAT_EMPTY)
    for seat, arriving in ((first, second.identity), (second, first.identity)):
        access.check_rank(room, context, arriving)
        if seat.reserved_for not in (None, arriving):
            raise Conflict(
                f"seat {seat.index} is reserved for {seat.reserved_for!r}; lift that first",
                code=ErrorCode.SEAT_RESERVED,
            )
    return [SeatsSwapped(first.index, second.index, first.identity, second.identity, context.by)]


def clear(room: Room, command: ClearSeat, context: Context) -> list[Event]:
    seat, occupant = _occupied(room, command.index)
    access.check_rank(room, context, occupant)
    return [SeatLeft(seat.index, occupant, command.reason, context.by)]


def lock(room: Room, command: LockSeat, context: Context) -> list[Event]:
    return _lock(room, command, context, locking=True)


def unlock(room: Room, command: UnlockSeat, context: Context) -> list[Event]:
    return _lock(room, command, context, locking=False)


def _lock(room: Room, command: LockSeat | UnlockSeat, context: Context, *, locking: bool) -> list[Event]:
    demand_seats(room)
    seat = room.grid.seat(command.index)
    if seat.identity is not None:
        access.check_rank(room, context, seat.identity)
    return changed_lock(seat, locking, command.take, command.audio, command.video, context.by)


def mute(room: Room, command: MuteSeat, context: Context) -> list[Event]:
    seat, occupant = _occupied(room, command.index)
    access.check_rank(room, context, occupant)
    return [muted(seat, occupant, True if command.audio else None, True if command.video else None, context.by)]


def unmute(room: Room, command: UnmuteSeat, context: Context) -> list[Event]:
    seat, occupant = _occupied(room, command.index)
    access.check_rank(room, context, occupant)
    return [muted(seat, occupant, False if command.audio else None, False if command.video else None, context.by)]


def muted(seat: Seat, occupant: str, audio: bool | None, video: bool | None, by: str) -> SeatMuteChanged:
    """The occupant's mutes after a change; None leaves a device as it is. No change at all is a conflict."""
    after = new_mutes(seat.muted_audio, seat.muted_video, audio, video, f"seat {seat.index}")
    return SeatMuteChanged(seat.index, occupant, *after, by=by)


def new_mutes(old_audio: bool, old_video: bool, audio: bool | None, video: bool | None, what: str) -> tuple[bool, bool]:
    """(audio, video) after a change. Raises `InvalidInput` when nothing is named, `Conflict` when nothing changes."""
    if audio is None and video is None:
        raise InvalidInput("nothing is named; name at least one device: audio or video")
    after = (old_audio if audio is None else audio, old_video if video is None else video)
    if after == (old_audio, old_video):
        muting = bool(audio or video)
        code = ErrorCode.SEAT_MUTED if muting else ErrorCode.SEAT_NOT_MUTED
        words = "muted already; unmute it to change that" if muting else "not muted; mute it first"
        raise Conflict(f"{what} is {words}", code=code)
    return after


def reserve(room: Room, command: ReserveSeat, context: Context) -> list[Event]:
    demand_seats(room)
    seat = room.grid.seat(command.index)
    if seat.reserved_for == command.identity:
        state = "not reserved" if command.identity is None else f"reserved for {command.identity!r} already"
        raise Conflict(f"seat {seat.index} is {state}; there is nothing to do", code=ErrorCode.SEAT_RESERVED)
    return [SeatReserved(seat.index, command.identity, context.by)]


def _seat_held(room: Room, identity: str) -> Seat:
    seat = room.grid.seat_of(identity)
    if seat is None:
        raise Conflict(f"{identity!r} holds no seat; take one first", code=ErrorCode.NOT_SEATED)
    return seat


def _occupied(room: Room, index: int) -> tuple[Seat, str]:
    demand_seats(room)
    seat = room.grid.seat(index)
    if seat.identity is None:
        raise SEAT.refusal(seat.state, SeatTrigger.LEAVE)
    return seat, seat.identity
