"""The stage of a live stream."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from ...errors import InvalidInput
from ..command import Aggregate, command
from ..identifiers import Identity, Reason
from ..results import Page
from ..roles import Capability
from ..stage import StageMember
from .fields import Cursor, Limit
from .rooms import RoomCommand

_STAGE = "/rooms/{room}/stage"


def _check_cursor(cursor: str) -> str:
    """When the last one of a page came, and who that was."""
    try:
        float(cursor.partition(" ")[0])
    except ValueError:
        raise InvalidInput("the cursor is none of this list; begin without one") from None
    return cursor


@command("GET", _STAGE, aggregate=Aggregate.ROOM, result=Page[StageMember])
class GetStage(RoomCommand):
    """Who is on stage, in the order of coming."""

    cursor: Annotated[Cursor, AfterValidator(_check_cursor)] | None = None
    limit: Limit = 20


@command(
    "POST",
    _STAGE + "/{identity}",
    aggregate=Aggregate.ROOM,
    result=StageMember,
    capability=Capability.MANAGE_STAGE,
    target="identity",
)
class PromoteToStage(RoomCommand):
    """Bring somebody who is in the room on stage; oneself too. Whoever is of the same or a higher rank is invited."""

    identity: Identity


@command(
    "DELETE", _STAGE + "/{identity}", aggregate=Aggregate.ROOM, capability=Capability.MANAGE_STAGE, target="identity"
)
class DemoteFromStage(RoomCommand):
    """Send a co-publisher back to the viewers."""

    identity: Identity
    reason: Reason = "removed"


@command("DELETE", _STAGE, aggregate=Aggregate.ROOM, presence=True)
class LeaveStage(RoomCommand):
    """Step down."""
