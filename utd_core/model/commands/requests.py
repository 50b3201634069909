"""Requests and invitations: one resource for every kind."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..command import Aggregate, command
from ..identifiers import Identity, Reason
from ..request import Request, RequestKind
from ..results import Page
from .fields import Cursor, Limit, SeatIndex
from .rooms import RoomCommand

_REQUESTS = "/rooms/{room}/requests"


class RequestCommand(RoomCommand):
    """Anything about one request."""

    id: Annotated[int, Field(ge=1, le=2**53)]


@command("POST", _REQUESTS, aggregate=Aggregate.ROOM, result=Request, presence=True)
class MakeRequest(RoomCommand):
    """Ask the room (`speak`, `stage`: needs `ask`) or one person (`to`; needs `manage_requests`)."""

    kind: Annotated[RequestKind, Field(strict=False)]
    to: Identity | None = None
    seat_index: SeatIndex | None = None


@command("GET", _REQUESTS, aggregate=Aggregate.ROOM, result=Page[Request])
class ListRequests(RoomCommand):
    """Pending requests, oldest first: the own ones, or with `manage_requests` all."""

    cursor: Cursor | None = None
    limit: Limit = 20


@command("POST", _REQUESTS + "/{id}/accept", aggregate=Aggregate.ROOM, result=Request, presence=True)
class AcceptRequest(RequestCommand):
    """Say yes; the place is given in the same step. `seat_index` overrides the seat that was asked for."""

    seat_index: SeatIndex | None = None


@command("POST", _REQUESTS + "/{id}/reject", aggregate=Aggregate.ROOM, result=Request, presence=True)
class RejectRequest(RequestCommand):
    """Say no."""

    reason: Reason = "rejected"


@command("POST", _REQUESTS + "/{id}/cancel", aggregate=Aggregate.ROOM, result=Request, presence=True)
class CancelRequest(RequestCommand):
    """Take the own request back."""

    reason: Reason = "cancelled"
