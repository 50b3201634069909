"""What a command answers, read from the state after it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..bans import Ban, BanMade
from ..call import Call
from ..command import Command, Context
from ..commands import bans, requests, rooms, seats, stage
from ..event import Event
from ..project import Project
from ..request import Request, RequestEnded, RequestMade
from ..results import Page, UTDCall
from ..roles import Capability
from ..room import Room
from ..seats import Seat, SeatGrid, SeatMoved, SeatTaken
from ..stage import StageMember
from .access import has


def answer_room(room: Room, command: Command, events: Sequence[Event], context: Context) -> Any:
    """The result that the command declares, None where it declares none or the engine makes it (joins, snapshots)."""
    answer = _ANSWERS.get(type(command))
    return None if answer is None else answer(room, command, events, context)


def answer_call(call: Call, command: Command, events: Sequence[Event], context: Context) -> UTDCall:
    """The call as it is now; the engine adds the ticket."""
    return call_view(call)


def answer_project(project: Project, command: Command, events: Sequence[Event], context: Context) -> Any:
    """The new ban, the list of bans, or None."""
    if isinstance(command, bans.CreateBan):
        return _new_ban(events)
    if isinstance(command, bans.ListBans):
        return _bans(project.bans, command, context)
    return None


def call_view(call: Call) -> UTDCall:
    """What both parties may know of a call."""
    return UTDCall(
        call_id=call.id,
        status=call.status,
        type=call.type,
        caller_identity=call.caller,
        callee_identity=call.callee,
        caller_name=call.caller_name,
        callee_name=call.callee_name,
        room_name=call.room_name,
        created_at=call.created_at,
        ring_timeout=call.ring_timeout,
        answered_at=call.answered_at,
        ended_at=call.ended_at,
        end_reason=call.end_reason,
        ended_by=call.ended_by,
        callee_device=call.callee_device,
        metadata=dict(call.metadata),
        ended_party=call.ended_party,
    )


def paged(items: Iterable[tuple[str, Any]], cursor: str | None, limit: int) -> Page[Any]:
    """One page of items sorted by key; the cursor is the last key that was seen."""
    ordered = sorted(items, key=lambda item: item[0])
    start = 0 if cursor is None else bisect_right(ordered, cursor, key=lambda item: item[0])
    page = ordered[start : start + limit]
    more = start + limit < len(ordered)
    return Page(tuple(value for _, value in page), page[-1][0] if more else None)


def _grid(room: Room, command: Command, events: Sequence[Event], context: Context) -> SeatGrid:
    return room.grid


def _seat(room: Room, command: seats.SeatCommand, events: Sequence[Event], context: Context) -> Seat:
    return room.grid.seats[command.index]


def _seat_got(room: Room, command: Command, events: Sequence[Event], context: Context) -> Seat:
    event = events[0]
    assert isinstance(event, SeatTaken | SeatMoved)
    return room.grid.seats[event.index if isinstance(event, SeatTaken) else event.target]


def _request(room: Room, command: Command, events: Sequence[Event], context: Context) -> Request:
    event = events[0]
    if isinstance(event, RequestMade):
        return event.request
    assert isinstance(event, RequestEnded)
    return room.ended_requests[event.id]


def _requests(room: Room, command: requests.ListRequests, events: Sequence[Event], context: Context) -> Page[Request]:
    everything = has(room, context, Capability.MANAGE_REQUESTS)
    shown = (r for r in room.requests.values() if everything or context.by in (r.sender, r.to))
    return paged(((f"{request.id:016d}", request) for request in shown), command.cursor, command.limit)


def _stage(room: Room, command: stage.GetStage, events: Sequence[Event], context: Context) -> Page[StageMember]:
    # In the order of coming, which the mapping keeps; several may have come in the same instant.
    members = list(room.stage.values())
    start = 0 if command.cursor is None else _behind(members, command.cursor)
    page = tuple(members[start : start + command.limit])
    more = start + command.limit < len(members)
    return Page(page, f"{page[-1].joined_at!r} {page[-1].identity}" if more else None)


def _behind(members: Sequence[StageMember], cursor: str) -> int:
    """Where the members begin who came after the one of the cursor, who may have left."""
    joined_at, _, identity = cursor.partition(" ")
    then = float(joined_at)
    found = next((number for number, member in enumerate(members) if member.identity == identity), None)
    if found is not None and members[found].joined_at == then:
        return found + 1
    return bisect_right(members, then, key=lambda member: member.joined_at)


def _member(room: Room, command: stage.PromoteToStage, events: Sequence[Event], context: Context) -> StageMember:
    return room.stage[command.identity]


def _revision(room: Room, command: Command, events: Sequence[Event], context: Context) -> int:
    return room.metadata_revision


def _ban(room: Room, command: Command, events: Sequence[Event], context: Context) -> Ban:
    return _new_ban(events)


def _room_bans(room: Room, command: bans.ListBans, events: Sequence[Event], context: Context) -> Page[Ban]:
    return _bans(room.bans, command, context)


def _bans(held: Mapping[str, Ban], command: bans.ListBans, context: Context) -> Page[Ban]:
    wanted = held if command.identity is None else {command.identity: held.get(command.identity)}
    holding = ((identity, ban) for identity, ban in wanted.items() if ban is not None and ban.holds(context.now))
    return paged(holding, command.cursor, command.limit)


def _new_ban(events: Sequence[Event]) -> Ban:
    return next(event.ban for event in events if isinstance(event, BanMade))


_ANSWERS: Mapping[type[Command], Callable[[Room, Any, Sequence[Event], Context], Any]] = {
    rooms.UpdateMetadata: _revision,
    seats.GetSeats: _grid,
    seats.SetupSeats: _grid,
    seats.SwapSeats: _grid,
    seats.TakeSeat: _seat_got,
    seats.MoveSeat: _seat_got,
    seats.ClearSeat: _seat,
    seats.LockSeat: _seat,
    seats.UnlockSeat: _seat,
    seats.MuteSeat: _seat,
    seats.UnmuteSeat: _seat,
    seats.ReserveSeat: _seat,
    requests.MakeRequest: _request,
    requests.AcceptRequest: _request,
    requests.RejectRequest: _request,
    requests.CancelRequest: _request,
    requests.ListRequests: _requests,
    stage.GetStage: _stage,
    stage.PromoteToStage: _member,
    bans.CreateBan: _ban,
    bans.ListBans: _room_bans,
}
