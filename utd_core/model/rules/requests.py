"""Asking, inviting and answering."""

from __future__ import annotations

from ...errors import Conflict, ErrorCode, Forbidden, InvalidInput, NotFound
from ..command import Context
from ..commands.requests import AcceptRequest, CancelRequest, MakeRequest, RejectRequest
from ..event import Event
from ..request import REQUEST, Request, RequestKind, RequestMade, RequestTrigger
from ..roles import Capability
from ..room import Room
from ..seats import SeatTaken, find_seat
from ..stage import STAGE, PlaceTrigger, StageJoined, StageMuteChanged, place_of
from . import access, seats
from .settling import end_request, settled

_SEAT_KINDS = (RequestKind.SPEAK, RequestKind.SPEAK_INVITE)
_STAGE_KINDS = (RequestKind.STAGE, RequestKind.STAGE_INVITE)
_DEVICE_KINDS = (RequestKind.OPEN_MICROPHONE, RequestKind.OPEN_CAMERA)


def make(room: Room, command: MakeRequest, context: Context) -> list[Event]:
    kind = command.kind
    if kind.asks_the_room:
        if command.to is not None:
            raise InvalidInput(f"a {kind.value} request asks the room; leave `to` out")
        subject = access.participant(context)
        access.demand(room, context, Capability.ASK)
    else:
        subject = _addressee(room, command, context)
    access.check_let_in(room, subject)
    _check_place(room, kind, subject)
    _check_seat_index(room, kind, command.seat_index)
    for pending in room.requests.values():
        if (pending.kind, pending.sender, pending.to) == (kind, context.by, command.to):
            raise Conflict(
                f"request {pending.id} of this kind is pending; wait for its answer or cancel it",
                code=ErrorCode.REQUEST_PENDING,
                details={"id": pending.id},
            )
    if len(room.requests) >= room.settings.max_pending_requests:
        raise Conflict(
            f"{len(room.requests)} requests are waiting in {room.name!r}; try later",
            code=ErrorCode.TOO_MANY_REQUESTS_WAITING,
        )
    expires_at = context.now + room.settings.request_timeout
    request = Request(room.next_request, kind, context.by, command.to, context.now, expires_at, command.seat_index)
    return [RequestMade(request)]


def accept(room: Room, command: AcceptRequest, context: Context) -> list[Event]:
    request = _pending(room, command.id, RequestTrigger.ACCEPT)
    _check_answers(room, request, context)
    _check_seat_index(room, request.kind, command.seat_index)
    accepted = end_request(request, RequestTrigger.ACCEPT, "accepted", context.by)
    subject = request.subject
    access.check_present(room, context, subject)
    access.check_let_in(room, subject)
    _check_place(room, request.kind, subject)
    if request.kind in _SEAT_KINDS:
        seat = find_seat(room.grid, subject, _seat_index(request, command))
        place: list[Event] = [SeatTaken(seat.index, subject, context.by)]
    elif request.kind in _STAGE_KINDS:
        place = [StageJoined(subject, room.role(subject), context.by, context.now)]
    else:
        return [accepted, *_opened(room, request, context.by)]
    return [accepted, *place, *settled(room, subject, context.by, but=request.id)]


def reject(room: Room, command: RejectRequest, context: Context) -> list[Event]:
    request = _pending(room, command.id, RequestTrigger.REJECT)
    _check_answers(room, request, context)
    return [end_request(request, RequestTrigger.REJECT, command.reason, context.by)]


def cancel(room: Room, command: CancelRequest, context: Context) -> list[Event]:
    request = _pending(room, command.id, RequestTrigger.CANCEL)
    invitation = not request.kind.asks_the_room
    if context.by != request.sender and not (invitation and access.has(room, context, Capability.MANAGE_REQUESTS)):
        raise Forbidden(f"request {request.id} was made by somebody else; answer it instead")
    return [end_request(request, RequestTrigger.CANCEL, command.reason, context.by)]


def _addressee(room: Room, command: MakeRequest, context: Context) -> str:
    if command.to is None:
        raise InvalidInput(f"a {command.kind.value} request is addressed to one person; name it in `to`")
    access.check_not_self(context, command.to, "just do it")
    access.demand(room, context, Capability.MANAGE_REQUESTS)
    access.check_present(room, context, command.to)
    if command.kind in _DEVICE_KINDS:
        # Accepting lifts a moderator's mute, so only those may ask who may unmute.
        access.check_rank(room, context, command.to)
    return command.to


def _check_place(room: Room, kind: RequestKind, subject: str) -> None:
    """The subject must lack the place that is asked for, or hold it where a device is to be opened."""
    seated = room.grid.seat_of(subject) is not None
    if kind in _SEAT_KINDS:
        seats.demand_seats(room)
        if seated:
            raise Conflict(f"{subject!r} holds a seat already; move_seat changes it", code=ErrorCode.ALREADY_SEATED)
    elif kind in _STAGE_KINDS:
        demand_stage(room)
        STAGE.next(place_of(room.stage, subject), PlaceTrigger.ENTER)
    elif not seated and subject not in room.stage:
        code = ErrorCode.NOT_SEATED if room.has_seats else ErrorCode.NOT_ON_STAGE
        raise Conflict(f"{subject!r} holds no place to publish from; invite first", code=code)


def _check_seat_index(room: Room, kind: RequestKind, index: int | None) -> None:
    if index is None:
        return
    if kind not in _SEAT_KINDS:
        raise InvalidInput(f"a {kind.value} request names no seat; leave `seat_index` out")
    room.grid.seat(index)


def demand_stage(room: Room) -> None:
    """Raise `Conflict` (wrong_room_type) in a room without a stage."""
    if not room.has_stage:
        raise Conflict(
            f"{room.name!r} is a {room.type.value} and has no stage; take a seat instead",
            code=ErrorCode.WRONG_ROOM_TYPE,
        )


def _pending(room: Room, id: int, trigger: RequestTrigger) -> Request:
    request = room.requests.get(id)
    if request is None:
        ended = room.ended_requests.get(id)
        if ended is not None:
            raise REQUEST.refusal(ended.state, trigger)
        if id < room.next_request:
            raise Conflict(f"request {id} ended long ago; make a new request", code=ErrorCode.REQUEST_ENDED)
        raise NotFound(f"room {room.name!r} has no request {id}; list the requests", code=ErrorCode.REQUEST_NOT_FOUND)
    return request


def _check_answers(room: Room, request: Request, context: Context) -> None:
    if request.to is None:
        access.demand(room, context, Capability.MANAGE_REQUESTS)
    elif not context.actor.is_trusted and context.by != request.to:
        raise Forbidden(f"request {request.id} is addressed to {request.to!r}; they alone answer it")


def _seat_index(request: Request, command: AcceptRequest) -> int | None:
    if command.seat_index is None:
        return request.seat_index
    if request.to is not None and request.seat_index not in (None, command.seat_index):
        raise Forbidden(f"the invitation is for seat {request.seat_index}; accept it without naming another")
    return command.seat_index


def _opened(room: Room, request: Request, by: str) -> list[Event]:
    """Accepting to open a device lifts a moderator's mute of it."""
    audio = request.kind is RequestKind.OPEN_MICROPHONE
    subject = request.subject
    seat, member = room.grid.seat_of(subject), room.stage.get(subject)
    if seat is not None and (seat.muted_audio if audio else seat.muted_video):
        return [seats.muted(seat, subject, False if audio else None, None if audio else False, by)]
    if member is not None and (member.muted_audio if audio else member.muted_video):
        return [StageMuteChanged(subject, member.muted_audio and not audio, member.muted_video and audio, by)]
    return []
