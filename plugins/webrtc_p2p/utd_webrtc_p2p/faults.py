"""The faults that this backend can really produce."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from utd_core.errors import ErrorCode, InvalidInput, NotFound
from utd_core.media.events import DisconnectReason
from utd_core.media.faults import Fault

from .local_line import LocalSignalling

if TYPE_CHECKING:
    from .backend import P2PBackend
    from .connection import P2PConnection

_SECONDS: Mapping[Fault, float] = {Fault.SIGNAL_DROP: 2.0, Fault.FULL_RECONNECT: 2.0}
"""The one parameter, `seconds`, of those that have it, with its default."""

_ENDINGS = {
    Fault.SERVER_LEAVE: DisconnectReason.SERVER_SHUTDOWN,
    Fault.TOKEN_EXPIRY: DisconnectReason.TOKEN_EXPIRED,
}
_INTRUDER_TTL = 60.0


async def produce(
    backend: P2PBackend, fault: Fault, room: str, identity: str | None, parameters: Mapping[str, Any]
) -> None:
    """Produce a fault. Raises `NotFound` for an unknown room or participant, `InvalidInput` for bad parameters."""
    seconds = _seconds(fault, parameters)
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
        await backend.connect(backend.board.issue(room, identity, stay.grant, stay.name, _INTRUDER_TTL))
    else:
        for connection in backend.connections(room, identity):
            _interrupt(backend, connection, seconds, whole=fault is Fault.FULL_RECONNECT)


def _interrupt(backend: P2PBackend, connection: P2PConnection, seconds: float, *, whole: bool) -> None:
    signalling = connection.signalling
    if not isinstance(signalling, LocalSignalling):
        raise InvalidInput("only signalling inside one process can be interrupted from here")
    signalling.interrupt()
    if whole:
        connection.native.break_off(seconds)

    async def restore() -> None:
        await backend.clock.sleep(seconds)
        signalling.restore()

    backend.scope.start(restore)


def _seconds(fault: Fault, parameters: Mapping[str, Any]) -> float:
    takes = {"seconds"} if fault in _SECONDS else set()
    if unknown := sorted(set(parameters) - takes):
        raise InvalidInput(
            f"fault {fault.value!r} has no parameter {unknown[0]!r}; it takes {', '.join(takes) or 'no parameters'}"
        )
    seconds = parameters.get("seconds", _SECONDS.get(fault, 0.0))
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        raise InvalidInput(f"fault {fault.value!r}: seconds must not be {seconds!r}")
    return float(seconds)
