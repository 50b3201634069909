"""A 1:1 call.

- initiating (the caller dialled), ringing (a device of the callee rings), active, and four ends: ended, rejected,
  busy, missed. A call ends once; the end says why and by whom.
- Only the two parties see a call. The callee rings, accepts, rejects or reports busy; the caller cancels; either side
  ends. `end` before the answer is the caller's cancel or the callee's rejection.
- Unanswered for `ring_timeout` seconds (5 to 180, default 30) it is missed. An answered call ends after `max_duration`
  seconds if that is set, or when a party is gone for 20 seconds.
- One device answers; the others learn from the event which one and stop ringing.
- Whoever is in a call that has not ended is busy for others. Nobody calls oneself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..errors import ErrorCode
from .event import Event
from .identifiers import CALL_PREFIX
from .machine import Machine
from .stream_type import UTDStreamType

DEFAULT_RING_TIMEOUT = 30.0
MIN_RING_TIMEOUT = 5.0
MAX_RING_TIMEOUT = 180.0
RECONNECT_GRACE = 20.0


class UTDCallStatus(StrEnum):
    INITIATING = "initiating"
    RINGING = "ringing"
    ACTIVE = "active"
    ENDED = "ended"
    REJECTED = "rejected"
    BUSY = "busy"
    MISSED = "missed"

    @property
    def is_terminal(self) -> bool:
        return self in CALL.final


class CallTrigger(StrEnum):
    RING = "ring"
    ACCEPT = "accept"
    REJECT = "reject"
    REPORT_BUSY = "report_busy"
    CANCEL = "cancel"
    TIME_OUT = "time_out"
    END = "end"


_S, _T = UTDCallStatus, CallTrigger
_ENDED = (ErrorCode.CALL_ENDED, "it is over; start a new call")

CALL = Machine(
    name="call",
    states=UTDCallStatus,
    triggers=CallTrigger,
    initial=_S.INITIATING,
    table={
        (_S.INITIATING, _T.RING): _S.RINGING,
        (_S.INITIATING, _T.ACCEPT): _S.ACTIVE,
        (_S.INITIATING, _T.REJECT): _S.REJECTED,
        (_S.INITIATING, _T.REPORT_BUSY): _S.BUSY,
        (_S.INITIATING, _T.CANCEL): _S.ENDED,
        (_S.INITIATING, _T.TIME_OUT): _S.MISSED,
        # A second device of the callee that begins to ring changes nothing.
        (_S.RINGING, _T.RING): _S.RINGING,
        (_S.RINGING, _T.ACCEPT): _S.ACTIVE,
        (_S.RINGING, _T.REJECT): _S.REJECTED,
        (_S.RINGING, _T.REPORT_BUSY): _S.BUSY,
        (_S.RINGING, _T.CANCEL): _S.ENDED,
        (_S.RINGING, _T.TIME_OUT): _S.MISSED,
        (_S.ACTIVE, _T.END): _S.ENDED,
    },
    refusals={
        (_S.INITIATING, _T.END): (ErrorCode.CALL_NOT_ACTIVE, "cancel or reject it"),
        (_S.RINGING, _T.END): (ErrorCode.CALL_NOT_ACTIVE, "cancel or reject it"),
        (_S.ACTIVE, None): (ErrorCode.CALL_NOT_RINGING, "it was answered; end it"),
        (_S.ENDED, None): _ENDED,
        (_S.REJECTED, None): _ENDED,
        (_S.BUSY, None): _ENDED,
        (_S.MISSED, None): _ENDED,
    },
)


@dataclass(slots=True)
class Call:
    """The whole state of a call. `absent` holds since when a party that was connected is gone."""

    id: str
    type: UTDStreamType
    caller: str
    callee: str
    created_at: float
    status: UTDCallStatus = UTDCallStatus.INITIATING
    caller_device: str = ""
    callee_device: str = ""
    caller_name: str = ""
    callee_name: str = ""
    ring_timeout: float = DEFAULT_RING_TIMEOUT
    max_duration: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    answered_at: float | None = None
    ended_at: float | None = None
    end_reason: str = ""
    ended_by: str | None = None
    ended_party: str | None = None
    absent: dict[str, float] = field(default_factory=dict)
    version: int = 0

    @property
    def room_name(self) -> str:
        """The media room that carries this call."""
        return media_room(self.id)

    def is_party(self, identity: str) -> bool:
        return identity in (self.caller, self.callee)

    def other(self, identity: str) -> str:
        return self.callee if identity == self.caller else self.caller


def media_room(call_id: str) -> str:
    return f"{CALL_PREFIX}{call_id}"


@dataclass(frozen=True, slots=True)
class CallStarted(Event):
    id: str
    call_type: UTDStreamType
    caller: str
    callee: str
    caller_device: str
    caller_name: str
    callee_name: str
    ring_timeout: float
    max_duration: float | None
    metadata: dict[str, Any]
    at: float


@dataclass(frozen=True, slots=True)
class CallRinging(Event):
    device: str


@dataclass(frozen=True, slots=True)
class CallAccepted(Event):
    """`device` of the callee answered; the callee's other devices stop ringing."""

    device: str
    at: float


@dataclass(frozen=True, slots=True)
class CallEnded(Event):
    """The last event of a call. `status` is one of the four ends. `reason`: hung_up, cancelled, rejected (or the words
    of whoever rejected it), busy, no_answer, duration_limit, disconnected, banned. `party`: whom it is about, where it
    is about one of them (disconnected, banned)."""

    status: UTDCallStatus
    reason: str
    by: str
    at: float
    party: str | None = None


@dataclass(frozen=True, slots=True)
class PartyAbsent(Event):
    """A connected party lost its media connection at `at`."""

    identity: str
    at: float


@dataclass(frozen=True, slots=True)
class PartyReturned(Event):
    identity: str


def apply(call: Call | None, event: Event) -> Call:
    """The call after `event`: the same object changed, or a new one for `CallStarted`. Never refuses."""
    if type(event) is CallStarted:
        return _started(event)
    assert call is not None, "the first event of a call is CallStarted"
    change = _APPLY.get(type(event))
    if change is not None:
        change(call, event)
    call.version += 1
    return call


def deadline(call: Call) -> float | None:
    """When time alone changes this call next (seconds since the Unix epoch), None when it never does."""
    if call.status.is_terminal:
        return None
    if call.answered_at is None:
        return call.created_at + call.ring_timeout
    due = [since + RECONNECT_GRACE for since in call.absent.values()]
    if call.max_duration is not None:
        due.append(call.answered_at + call.max_duration)
    return min(due, default=None)


def _started(event: CallStarted) -> Call:
    return Call(
        id=event.id,
        type=event.call_type,
        caller=event.caller,
        callee=event.callee,
        created_at=event.at,
        caller_device=event.caller_device,
        caller_name=event.caller_name,
        callee_name=event.callee_name,
        ring_timeout=event.ring_timeout,
        max_duration=event.max_duration,
        metadata=dict(event.metadata),
        version=1,
    )


def _ringing(call: Call, event: CallRinging) -> None:
    call.status = UTDCallStatus.RINGING


def _accepted(call: Call, event: CallAccepted) -> None:
    call.status = UTDCallStatus.ACTIVE
    call.callee_device = event.device
    call.answered_at = event.at


def _ended(call: Call, event: CallEnded) -> None:
    call.status = event.status
    call.end_reason = event.reason
    call.ended_by = event.by
    call.ended_party = event.party
    call.ended_at = event.at
    call.absent.clear()


def _absent(call: Call, event: PartyAbsent) -> None:
    call.absent[event.identity] = event.at


def _returned(call: Call, event: PartyReturned) -> None:
    call.absent.pop(event.identity, None)


_APPLY: Mapping[type[Event], Callable[[Call, Any], None]] = {
    CallRinging: _ringing,
    CallAccepted: _accepted,
    CallEnded: _ended,
    PartyAbsent: _absent,
    PartyReturned: _returned,
}
