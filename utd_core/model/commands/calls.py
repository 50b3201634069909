"""1:1 calls. Who may give which command is a rule of the call (`rules/call.py`), not of a role."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..call import DEFAULT_RING_TIMEOUT, MAX_RING_TIMEOUT, MIN_RING_TIMEOUT
from ..command import Aggregate, Command, command
from ..identifiers import DisplayName, Identity, Reason
from ..results import Page, UTDCall
from ..stream_type import UTDStreamType
from .fields import Cursor, EntityId, Limit, Metadata, Seconds


class CallCommand(Command):
    """Anything about one call."""

    id: EntityId


@command("POST", "/calls", aggregate=Aggregate.CALL, result=UTDCall)
class StartCall(Command):
    """Call somebody: the callee's devices hear of it, the caller may connect at once. Times in seconds."""

    type: Annotated[UTDStreamType, Field(strict=False)]
    callee: Identity
    callee_name: DisplayName = ""
    ring_timeout: Annotated[float, Field(ge=MIN_RING_TIMEOUT, le=MAX_RING_TIMEOUT)] = DEFAULT_RING_TIMEOUT
    max_duration: Seconds | None = None
    metadata: Metadata = Field(default_factory=dict)


@command("GET", "/calls/{id}", aggregate=Aggregate.CALL, result=UTDCall)
class GetCall(CallCommand):
    """A call of one's own."""


@command("GET", "/calls", aggregate=Aggregate.PROJECT, result=Page[UTDCall])
class ListCalls(Command):
    """One's own calls, newest first."""

    cursor: Cursor | None = None
    limit: Limit = 20


@command("POST", "/calls/{id}/ringing", aggregate=Aggregate.CALL, result=UTDCall)
class RingCall(CallCommand):
    """Callee: a device rings."""


@command("POST", "/calls/{id}/accept", aggregate=Aggregate.CALL, result=UTDCall)
class AcceptCall(CallCommand):
    """Callee: answer on this device."""


@command("POST", "/calls/{id}/reject", aggregate=Aggregate.CALL, result=UTDCall)
class RejectCall(CallCommand):
    """Callee: say no."""

    reason: Reason = "rejected"


@command("POST", "/calls/{id}/busy", aggregate=Aggregate.CALL, result=UTDCall)
class BusyCall(CallCommand):
    """Callee: busy elsewhere."""


@command("POST", "/calls/{id}/cancel", aggregate=Aggregate.CALL, result=UTDCall)
class CancelCall(CallCommand):
    """Caller: give up before the answer."""


@command("POST", "/calls/{id}/end", aggregate=Aggregate.CALL, result=UTDCall)
class EndCall(CallCommand):
    """Either side: hang up. Before the answer it is the caller's cancel or the callee's rejection."""
