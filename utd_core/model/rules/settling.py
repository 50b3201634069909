"""How pending requests end when something else happened."""

from __future__ import annotations

from ..event import Event
from ..request import REQUEST, Request, RequestEnded, RequestKind, RequestTrigger
from ..room import Room

PLACE_KINDS = frozenset({RequestKind.SPEAK, RequestKind.SPEAK_INVITE, RequestKind.STAGE, RequestKind.STAGE_INVITE})


def end_request(request: Request, trigger: RequestTrigger, reason: str, by: str) -> RequestEnded:
    """The one end of a pending request."""
    state = REQUEST.next(request.state, trigger)
    return RequestEnded(request.id, state, reason, by, request.kind, request.sender, request.to)


def settled(room: Room, identity: str, by: str, *, but: int | None = None) -> list[Event]:
    """`identity` got a place: its other pending requests for one can no longer be fulfilled."""
    return [
        end_request(request, RequestTrigger.FAIL, "superseded", by)
        for request in room.requests.values()
        if request.subject == identity and request.kind in PLACE_KINDS and request.id != but
    ]


def abandoned(room: Room, identity: str, reason: str, by: str) -> list[Event]:
    """`identity` left: what it asked is cancelled, what it was asked has failed."""
    return [
        end_request(request, RequestTrigger.CANCEL if request.sender == identity else RequestTrigger.FAIL, reason, by)
        for request in room.pending(identity)
    ]
