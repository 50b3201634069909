"""With which error codes a command may be refused over HTTP.

What a whole family of commands has in common is said of the family; what is a command's own stands with its name. A
test gives commands at random and finds no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ....errors import EXCEPTION_OF, ErrorCode
from ....model.command import Aggregate
from ....model.commands import CallCommand
from ..operations import Operation

_C = ErrorCode

EVERY = frozenset(
    {
        _C.UNAUTHENTICATED,
        _C.AMBIGUOUS_CREDENTIALS,
        _C.FORBIDDEN,
        _C.PROJECT_SUSPENDED,
        _C.INVALID_INPUT,
        _C.RATE_LIMITED,
        _C.STORE_FAILED,
        _C.UNAVAILABLE,
        _C.INTERNAL,
    }
)
"""Of every command."""

WITH_BODY = frozenset({_C.INVALID_JSON, _C.REQUEST_TIMEOUT, _C.TOO_LARGE, _C.UNSUPPORTED_MEDIA_TYPE})
"""Of every command whose fields are in a body."""
_OF_FIELD: Mapping[str, ErrorCode] = {
    "room": _C.INVALID_NAME,
    "identity": _C.INVALID_IDENTITY,
    "owner": _C.INVALID_IDENTITY,
    "callee": _C.INVALID_IDENTITY,
    "to": _C.INVALID_IDENTITY,
    "index": _C.SEAT_OUT_OF_RANGE,
    "seat_index": _C.SEAT_OUT_OF_RANGE,
    "first": _C.SEAT_OUT_OF_RANGE,
    "second": _C.SEAT_OUT_OF_RANGE,
    "seat_count": _C.WRONG_ROOM_TYPE,
    "metadata": _C.TOO_LARGE,
}
_WITH_TICKET = frozenset({_C.MEDIA_FAILED, _C.CONNECT_FAILED, _C.CONNECTION_LOST, _C.UNSUPPORTED, _C.DEADLINE_EXCEEDED})
_UNANSWERED = frozenset({_C.CALL_ENDED, _C.CALL_NOT_RINGING})
_OF_REQUEST = frozenset({_C.REQUEST_NOT_FOUND, _C.REQUEST_ENDED})

_OWN: Mapping[str, frozenset[ErrorCode]] = {
    "create_session": frozenset({_C.APPKEY_IDENTITY_MINT_DISABLED, _C.BANNED}),
    "create_room": frozenset({_C.ROOM_EXISTS, _C.BANNED}),
    "join_room": _WITH_TICKET
    | {_C.BANNED, _C.ROOM_FULL, _C.ROOM_NOT_LIVE, _C.WRONG_ROOM_TYPE, _C.ALREADY_JOINED, _C.NOT_JOINED, _C.OUTRANKED},
    "leave_room": frozenset({_C.NOT_JOINED}),
    "go_live": frozenset({_C.WRONG_PHASE}),
    "stop_live": frozenset({_C.WRONG_PHASE}),
    "update_metadata": frozenset({_C.CONFLICT}),
    "setup_seats": frozenset({_C.OUTRANKED}),
    "take_seat": frozenset(
        {
            _C.ALREADY_SEATED,
            _C.NO_FREE_SEAT,
            _C.ROOM_NOT_LIVE,
            _C.SEAT_LOCKED,
            _C.SEAT_RESERVED,
            _C.SEAT_TAKEN,
            _C.SEATS_BY_REQUEST,
        }
    ),
    "leave_seat": frozenset({_C.NOT_SEATED}),
    "move_seat": frozenset(
        {
            _C.NOT_SEATED,
            _C.NO_FREE_SEAT,
            _C.OUTRANKED,
            _C.ROOM_NOT_LIVE,
            _C.SEAT_LOCKED,
            _C.SEAT_RESERVED,
            _C.SEAT_TAKEN,
            _C.SEATS_BY_REQUEST,
        }
    ),
    "swap_seats": frozenset({_C.OUTRANKED, _C.SEAT_EMPTY, _C.SEAT_RESERVED}),
    "clear_seat": frozenset({_C.OUTRANKED, _C.SEAT_EMPTY}),
    "lock_seat": frozenset({_C.OUTRANKED, _C.SEAT_LOCKED}),
    "unlock_seat": frozenset({_C.OUTRANKED, _C.SEAT_NOT_LOCKED}),
    "mute_seat": frozenset({_C.OUTRANKED, _C.SEAT_EMPTY, _C.SEAT_MUTED}),
    "unmute_seat": frozenset({_C.OUTRANKED, _C.SEAT_EMPTY, _C.SEAT_NOT_MUTED}),
    "reserve_seat": frozenset({_C.SEAT_RESERVED, _C.SEAT_TAKEN}),
    "make_request": frozenset(
        {
            _C.ALREADY_ON_STAGE,
            _C.ALREADY_SEATED,
            _C.NOT_ON_STAGE,
            _C.NOT_SEATED,
            _C.OUTRANKED,
            _C.PARTICIPANT_NOT_FOUND,
            _C.REQUEST_PENDING,
            _C.ROOM_NOT_LIVE,
            _C.SEAT_LOCKED,
            _C.SEAT_RESERVED,
            _C.SEAT_TAKEN,
            _C.TOO_MANY_REQUESTS_WAITING,
            _C.WRONG_ROOM_TYPE,
        }
    ),
    "accept_request": _OF_REQUEST
    | {
        _C.NOT_SEATED,
        _C.NOT_ON_STAGE,
        _C.NO_FREE_SEAT,
        _C.OUTRANKED,
        _C.PARTICIPANT_NOT_FOUND,
        _C.ROOM_NOT_LIVE,
        _C.SEAT_LOCKED,
        _C.SEAT_RESERVED,
        _C.SEAT_TAKEN,
        _C.WRONG_ROOM_TYPE,
    },
    "reject_request": _OF_REQUEST,
    "cancel_request": _OF_REQUEST,
    "promote_to_stage": frozenset(
        {_C.ALREADY_ON_STAGE, _C.PARTICIPANT_NOT_FOUND, _C.ROOM_NOT_LIVE, _C.WRONG_ROOM_TYPE}
    ),
    "demote_from_stage": frozenset({_C.NOT_ON_STAGE, _C.WRONG_ROOM_TYPE}),
    "leave_stage": frozenset({_C.NOT_ON_STAGE, _C.WRONG_ROOM_TYPE}),
    "get_stage": frozenset({_C.WRONG_ROOM_TYPE}),
    "set_role": frozenset({_C.TOO_MANY_ROLES}),
    "override_capability": frozenset({_C.OUTRANKED}),
    "mute_participant": frozenset({_C.NOT_ON_STAGE, _C.NOT_SEATED, _C.SEAT_MUTED, _C.SEAT_NOT_MUTED}),
    "remove_participant": frozenset({_C.PARTICIPANT_NOT_FOUND, _C.TOO_MANY_BANS}),
    "create_ban": frozenset({_C.TOO_MANY_BANS}),
    "delete_ban": frozenset({_C.BAN_NOT_FOUND}),
    "start_call": frozenset({_C.ALREADY_IN_CALL, _C.BANNED, _C.CALL_TO_SELF, _C.CALLEE_BUSY, _C.FEATURE_DISABLED}),
    "ring_call": _UNANSWERED,
    "accept_call": _UNANSWERED | {_C.BANNED, _C.ALREADY_IN_CALL},
    "reject_call": _UNANSWERED,
    "busy_call": _UNANSWERED,
    "cancel_call": _UNANSWERED,
    "end_call": frozenset({_C.CALL_ENDED}),
}


def codes_of(operation: Operation) -> frozenset[ErrorCode]:
    """Every code that an operation may be refused with."""
    return frozenset(_codes(operation)) | EVERY | _OWN.get(operation.spec.name, frozenset())


def by_status(codes: frozenset[ErrorCode]) -> dict[int, list[ErrorCode]]:
    """Codes under the status that each has, both in order."""
    found: dict[int, list[ErrorCode]] = {}
    for code in ErrorCode:
        if code in codes:
            found.setdefault(EXCEPTION_OF[code].default_status, []).append(code)
    return dict(sorted(found.items()))


def _codes(operation: Operation) -> Iterator[ErrorCode]:
    spec, fields = operation.spec, operation.command.model_fields
    yield from (code for field, code in _OF_FIELD.items() if field in fields)
    if operation.binding.has_body:
        yield from WITH_BODY
    if not spec.query:
        yield _C.IDEMPOTENCY_MISMATCH
    if spec.aggregate is Aggregate.ROOM:
        yield _C.ROOM_NOT_FOUND
        yield _C.ROOM_ENDED
    if spec.presence:
        yield _C.NOT_JOINED
    if spec.target is not None:
        yield _C.OUTRANKED
    if spec.aggregate is Aggregate.CALL:
        yield from _WITH_TICKET
    if issubclass(operation.command, CallCommand):
        yield _C.CALL_NOT_FOUND
    if spec.path.startswith("/rooms/{room}/seats"):
        yield _C.WRONG_ROOM_TYPE
