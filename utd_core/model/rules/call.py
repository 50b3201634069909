"""`decide` for calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import Conflict, ErrorCode, Forbidden, InvalidInput, NotFound
from ..bans import check_not_banned
from ..call import (
    CALL,
    RECONNECT_GRACE,
    Call,
    CallAccepted,
    CallEnded,
    CallRinging,
    CallStarted,
    CallTrigger,
    PartyAbsent,
    PartyReturned,
    UTDCallStatus,
)
from ..command import Command, Context
from ..commands import calls, internal
from ..event import Event
from ..identifiers import SYSTEM
from . import access


def decide_call(call: Call | None, command: Command | internal.Internal, context: Context) -> list[Event]:
    """What happens. Raises `Refused` or `InvalidInput`; to a stranger a call does not exist."""
    if isinstance(command, calls.StartCall):
        return _start(command, context)
    if isinstance(command, internal.Internal):
        if call is None or call.status.is_terminal:
            return []
        return _INTERNAL[type(command)](call, command, context)
    if call is None or not (context.actor.is_trusted or call.is_party(context.by)):
        raise NotFound("there is no such call, or it is not yours; list your calls", code=ErrorCode.CALL_NOT_FOUND)
    if command.spec.query:
        return []
    return _RULES[type(command)](call, command, context)


def _start(command: calls.StartCall, context: Context) -> list[Event]:
    caller = access.participant(context)
    if not command.type.is_call:
        raise InvalidInput(f"{command.type.value} is not a call; join a room instead")
    if command.callee == caller:
        raise InvalidInput("nobody calls oneself; name another callee", code=ErrorCode.CALL_TO_SELF)
    check_not_banned(context.project_bans, caller, context.now)
    if caller in context.engaged:
        raise Conflict(f"{caller!r} is in a call; end it first", code=ErrorCode.ALREADY_IN_CALL)
    if command.callee in context.engaged:
        raise Conflict(f"{command.callee!r} is in another call; try later", code=ErrorCode.CALLEE_BUSY)
    return [
        CallStarted(
            id=context.new_id,
            call_type=command.type,
            caller=caller,
            callee=command.callee,
            caller_device=context.actor.device,
            caller_name=context.actor.name,
            callee_name=command.callee_name,
            ring_timeout=command.ring_timeout,
            max_duration=command.max_duration,
            metadata=command.metadata,
            at=context.now,
        )
    ]


def _ring(call: Call, command: calls.RingCall, context: Context) -> list[Event]:
    _demand_side(call, context, call.callee, "callee")
    CALL.next(call.status, CallTrigger.RING)
    return [CallRinging(context.actor.device)]


def _accept(call: Call, command: calls.AcceptCall, context: Context) -> list[Event]:
    _demand_side(call, context, call.callee, "callee")
    check_not_banned(context.project_bans, call.callee, context.now)
    CALL.next(call.status, CallTrigger.ACCEPT)
    return [CallAccepted(context.actor.device, context.now)]


def _reject(call: Call, command: calls.RejectCall, context: Context) -> list[Event]:
    _demand_side(call, context, call.callee, "callee")
    return [_end(call, CallTrigger.REJECT, command.reason, context)]


def _busy(call: Call, command: calls.BusyCall, context: Context) -> list[Event]:
    _demand_side(call, context, call.callee, "callee")
    return [_end(call, CallTrigger.REPORT_BUSY, "busy", context)]


def _cancel(call: Call, command: calls.CancelCall, context: Context) -> list[Event]:
    _demand_side(call, context, call.caller, "caller")
    return [_end(call, CallTrigger.CANCEL, "cancelled", context)]


def _hang_up(call: Call, command: calls.EndCall, context: Context) -> list[Event]:
    if call.answered_at is not None:
        return [_end(call, CallTrigger.END, "hung_up", context)]
    if context.by == call.callee:
        return [_end(call, CallTrigger.REJECT, "rejected", context)]
    return [_end(call, CallTrigger.CANCEL, "cancelled", context)]


def _tick(call: Call, command: internal.Tick, context: Context) -> list[Event]:
    now = context.now
    if call.answered_at is None:
        if now >= call.created_at + call.ring_timeout:
            return [_end(call, CallTrigger.TIME_OUT, "no_answer", context, by=SYSTEM)]
        return []
    if call.max_duration is not None and now >= call.answered_at + call.max_duration:
        return [_end(call, CallTrigger.END, "duration_limit", context, by=SYSTEM)]
    gone = next((party for party, since in call.absent.items() if now >= since + RECONNECT_GRACE), None)
    return [] if gone is None else [_end(call, CallTrigger.END, "disconnected", context, by=SYSTEM, party=gone)]


def _connected(call: Call, command: internal.PartyConnected, context: Context) -> list[Event]:
    return [PartyReturned(command.identity)] if command.identity in call.absent else []


def _disconnected(call: Call, command: internal.PartyDisconnected, context: Context) -> list[Event]:
    if (
        call.status is not UTDCallStatus.ACTIVE
        or command.identity in call.absent
        or not call.is_party(command.identity)
    ):
        return []
    return [PartyAbsent(command.identity, context.now)]


def _banned(call: Call, command: internal.PartyBanned, context: Context) -> list[Event]:
    if not call.is_party(command.identity):
        return []
    if call.answered_at is not None:
        trigger = CallTrigger.END
    else:
        trigger = CallTrigger.CANCEL if command.identity == call.caller else CallTrigger.REJECT
    return [_end(call, trigger, "banned", context, party=command.identity)]


def _end(
    call: Call,
    trigger: CallTrigger,
    reason: str,
    context: Context,
    *,
    by: str | None = None,
    party: str | None = None,
) -> CallEnded:
    return CallEnded(CALL.next(call.status, trigger), reason, by or context.by, context.now, party)


def _demand_side(call: Call, context: Context, side: str, name: str) -> None:
    if not context.actor.is_trusted and context.by != side:
        raise Forbidden(f"only the {name} of this call does this; either side may end it")


_INTERNAL: Mapping[type, Callable[[Call, Any, Context], list[Event]]] = {
    internal.Tick: _tick,
    internal.PartyConnected: _connected,
    internal.PartyDisconnected: _disconnected,
    internal.PartyBanned: _banned,
}

_RULES: Mapping[type, Callable[[Call, Any, Context], list[Event]]] = {
    calls.RingCall: _ring,
    calls.AcceptCall: _accept,
    calls.RejectCall: _reject,
    calls.BusyCall: _busy,
    calls.CancelCall: _cancel,
    calls.EndCall: _hang_up,
}
