"""The faults that this backend can really produce."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from utd_core.errors import ErrorCode, InvalidInput, NotFound
from utd_core.media.events import DisconnectReason
from utd_core.media.faults import Fault
from utd_core.media.signalling import Interruptible

if TYPE_CHECKING:
    from .backend import P2PBackend
    from .connection import P2PConnection

_PARAMETER: Mapping[Fault, tuple[str, float]] = {
    Fault.SIGNAL_DROP: ("seconds", 2.0),
    Fault.FULL_RECONNECT: ("seconds", 2.0),
    Fault.GRANT_DELAY: ("seconds", 1.0),
    Fault.GRANT_FAILURE: ("times", 1),
}
"""The one parameter of those that have one, with its default."""

_ENDINGS = {
    Fault.SERVER_LEAVE: DisconnectReason.SERVER_SHUTDOWN,
    Fault.TOKEN_EXPIRY: DisconnectReason.TOKEN_EXPIRED,
}
_INTRUDER_TTL = 60.0


async def produce(
    backend: P2PBackend, fault: Fault, room: str, identity: str | None, parameters: Mapping[str, Any]
) -> None:
    """Produce a fault. Raises `NotFound` for an unknown room or participant, `InvalidInput` for bad parameters."""
    amount = read_amount(fault, parameters)
    if identity is None:
        raise InvalidInput(f"fault {fault.value!r} happens to one participant; give its identity")
    if fault is Fault.CONNECT_SILENCE:
        place = backend.board.rooms.get(room)
        if place is None:
            raise NotFound(f"there is no room {room!r}; create it first", code=ErrorCode.ROOM_NOT_FOUND)
        place.silences[identity] = place.silences.get(identity, 0) + 1
        return
    place, stay = backend.board.find(room, identity)
    if fault in _ENDINGS:
        place.end(stay, _ENDINGS[fault])
    elif fault is Fault.DUPLICATE_IDENTITY:
        await backend.connect(backend.board.issue(room, identity, stay.grant, stay.profile, _INTRUDER_TTL))
    elif fault is Fault.GRANT_DELAY:
        stay.grant_delay = amount
    elif fault is Fault.GRANT_FAILURE:
        stay.grant_failures += int(amount)
    else:
        for connection in backend.connections(room, identity):
            interrupt(backend, connection, amount, whole=fault is Fault.FULL_RECONNECT)


def interrupt(backend: P2PBackend, connection: P2PConnection, seconds: float, *, whole: bool) -> None:
    """Break a connection's signalling for some time; `whole`: its media as well. Raises `InvalidInput`."""
    signalling = connection.signalling
    if not isinstance(signalling, Interruptible):
        raise InvalidInput(f"{type(signalling).__name__} cannot be interrupted from here")
    signalling.interrupt()
    if whole:
        connection.native.break_off(seconds)
    backend.board.later(seconds, signalling.restore)


def read_amount(fault: Fault, given: Mapping[str, Any]) -> float:
    """The one parameter of a fault, or its default. Raises `InvalidInput`."""
    takes, default = _PARAMETER.get(fault, ("", 0.0))
    if unknown := sorted(set(given) - {takes}):
        takes = takes or "no parameters"
        raise InvalidInput(f"fault {fault.value!r} has no parameter {unknown[0]!r}; it takes {takes}")
    amount = given.get(takes, default)
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < float("inf"):
        raise InvalidInput(f"fault {fault.value!r}: {takes} must not be {amount!r}")
    if takes == "times" and (amount < 1 or amount != int(amount)):
        raise InvalidInput(f"fault {fault.value!r}: times must be a whole number of at least 1, got {amount!r}")
    return float(amount)
