"""Anything asked of somebody, which ends exactly once.

- A request is pending, then exactly one of accepted, rejected, cancelled, expired, failed; every end says why and
  by whom. *cancelled*: the asker took it back, or left. *expired*: nobody answered in time. *failed*: it can no
  longer be fulfilled (the room ended, the seat it names was removed, its subject got there another way).
- Kinds that ask the room (`speak`, `stage`) are answered by whoever may manage requests; kinds that ask one
  person (invitations, opening a device) are answered by that person alone.
- One person has at most one pending request of a kind towards the same addressee.
- Accepting one that cannot be fulfilled at this moment (no seat is free) is refused and leaves it pending.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..errors import ErrorCode
from .event import Event
from .machine import Machine


class RequestKind(StrEnum):
    SPEAK = "speak"
    """A listener asks for a seat."""
    SPEAK_INVITE = "speak_invite"
    """A listener is invited to a seat."""
    STAGE = "stage"
    """A viewer asks to come on stage."""
    STAGE_INVITE = "stage_invite"
    """A viewer is invited on stage."""
    OPEN_MICROPHONE = "open_microphone"
    """Somebody who may publish is asked to open the microphone; accepting lifts a host's mute."""
    OPEN_CAMERA = "open_camera"
    """The same for the camera."""

    @property
    def asks_the_room(self) -> bool:
        return self in (RequestKind.SPEAK, RequestKind.STAGE)


class RequestState(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"


class RequestTrigger(StrEnum):
    ACCEPT = "accept"
    REJECT = "reject"
    CANCEL = "cancel"
    EXPIRE = "expire"
    FAIL = "fail"


_ENDED = (ErrorCode.REQUEST_ENDED, "it has ended; make a new request")

REQUEST: Machine[RequestState, RequestTrigger] = Machine(
    name="request",
    states=RequestState,
    triggers=RequestTrigger,
    initial=RequestState.PENDING,
    table={
        (RequestState.PENDING, RequestTrigger.ACCEPT): RequestState.ACCEPTED,
        (RequestState.PENDING, RequestTrigger.REJECT): RequestState.REJECTED,
        (RequestState.PENDING, RequestTrigger.CANCEL): RequestState.CANCELLED,
        (RequestState.PENDING, RequestTrigger.EXPIRE): RequestState.EXPIRED,
        (RequestState.PENDING, RequestTrigger.FAIL): RequestState.FAILED,
    },
    refusals={(state, None): _ENDED for state in RequestState if state is not RequestState.PENDING},
)


@dataclass(frozen=True, slots=True)
class Request:
    """`sender` asks; `to` is the one asked, None for the room's managers. `subject` is who would get the place."""

    id: int
    kind: RequestKind
    sender: str
    to: str | None
    created_at: float
    expires_at: float
    seat_index: int | None = None
    state: RequestState = RequestState.PENDING
    reason: str = ""
    ended_by: str | None = None

    @property
    def subject(self) -> str:
        return self.to if self.to is not None else self.sender


@dataclass(frozen=True, slots=True)
class RequestMade(Event):
    request: Request


@dataclass(frozen=True, slots=True)
class RequestEnded(Event):
    """`state` is one of the five ends. `sender`, `to` and `kind` repeat the request's, for those who only listen."""

    id: int
    state: RequestState
    reason: str
    by: str
    kind: RequestKind
    sender: str
    to: str | None
