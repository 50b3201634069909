"""The faults that this backend can really produce."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from utd_core.errors import ErrorCode, InvalidInput, NotFound
from utd_core.media.events import DisconnectReason
from utd_core.media.faults import PARAMETERS, Fault, read_parameters
from utd_core.media.signalling import Interruptible

if TYPE_CHECKING:
    from .backend import P2PBackend
    from .connection import P2PConnection

DEFAULTS: Mapping[Fault, Mapping[str, float]] = {
    **PARAMETERS,
    Fault.SIGNAL_DROP: {"seconds": 2.0},
    Fault.FULL_RECONNECT: {"seconds": 2.0},
}
"""The parameters of each fault that has any."""

_ENDINGS = {
    Fault.SERVER_LEAVE: DisconnectReason.SERVER_SHUTDOWN,
    Fault.TOKEN_EXPIRY: DisconnectReason.TOKEN_EXPIRED,
}
_INTRUDER_TTL = 60.0


async def produce(
    backend: P2PBackend, fault: Fault, room: str, identity: str | None, parameters: Mapping[str, Any]
) -> None:
    """Produce a fault. Raises `NotFound` for an unknown room or participant, `InvalidInput` for bad parameters."""
    wanted = read_parameters(fault, parameters, DEFAULTS)
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
        stay.grant_delay = wanted["seconds"]
    elif fault is Fault.GRANT_FAILURE:
        stay.grant_failures += int(wanted["times"])
    else:
        for connection in backend.connections(room, identity):
            interrupt(backend, connection, wanted["seconds"], whole=fault is Fault.FULL_RECONNECT)


def interrupt(backend: P2PBackend, connection: P2PConnection, seconds: float, *, whole: bool) -> None:
    """Break a connection's signalling for some time; `whole`: its media as well. Raises `InvalidInput`."""
    signalling = connection.signalling
    if not isinstance(signalling, Interruptible):
        raise InvalidInput(f"{type(signalling).__name__} cannot be interrupted from here")
    signalling.interrupt()
    if whole:
        connection.native.break_off(seconds)
    backend.board.later(seconds, signalling.restore)
