"""The named faults, produced for real: on the server, or by what the SDK offers for it.

`seconds` of an outage is for backends that can choose it: here it lasts as long as the SDK takes to repair it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import jwt
from livekit import rtc

from utd_core.errors import ErrorCode, InvalidInput, MediaError, NotFound, Unsupported
from utd_core.media.backend import JoinTicket
from utd_core.media.faults import NOTIFICATION_FAULTS, Fault, read_parameters

from .server.local import LocalServer

if TYPE_CHECKING:
    from .backend import LiveKitBackend

_INTRUDER_TTL = 60.0

_SCENARIOS: Mapping[Fault, rtc.SimulateScenarioKind.ValueType] = {
    Fault.SIGNAL_DROP: rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT,
    Fault.FULL_RECONNECT: rtc.SimulateScenarioKind.SIMULATE_DISCONNECT_SIGNAL_ON_RESUME,
    Fault.SERVER_LEAVE: rtc.SimulateScenarioKind.SIMULATE_SERVER_LEAVE,
}
_DEFAULTS: Mapping[Fault, Mapping[str, float]] = {
    Fault.SIGNAL_DROP: {"seconds": 0.0},
    Fault.FULL_RECONNECT: {"seconds": 0.0},
    Fault.NODE_FAILURE: {"seconds": 0.0},
    Fault.GRANT_DELAY: {"seconds": 1.0},
    Fault.GRANT_FAILURE: {"times": 1},
    Fault.NOTIFICATIONS_LOST: {"times": 1},
    Fault.NOTIFICATIONS_DOUBLED: {"times": 1},
    Fault.NOTIFICATIONS_DELAYED: {"times": 1, "seconds": 1.0},
    Fault.NOTIFICATIONS_REVERSED: {"times": 2},
}
"""The parameters of each fault that has any."""


class Silences:
    """Connects that will find a server which accepts and says nothing."""

    def __init__(self) -> None:
        self._due: Counter[tuple[str, str]] = Counter()

    def expect(self, room: str, identity: str) -> None:
        """The next connect of this identity finds one."""
        self._due[room, identity] += 1

    def take(self, ticket: JoinTicket, prefix: str) -> SilentServer | None:
        """The server for this ticket, if it is to find one."""
        if not self._due:
            return None
        try:
            claims = jwt.decode(ticket.token, options={"verify_signature": False})
            whose = claims["video"]["room"].removeprefix(prefix), claims["sub"]
        except (jwt.InvalidTokenError, KeyError, TypeError, AttributeError):
            return None
        if not self._due[whose]:
            del self._due[whose]
            return None
        self._due[whose] -= 1
        return SilentServer()


class SilentServer:
    """Accepts every connection on a port of loopback, and never answers."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._accepted: set[asyncio.StreamWriter] = set()
        self._is_closed = False

    async def open(self) -> str:
        """Its URL."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        if self._is_closed:
            self._server.close()
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """Hang up on everybody, and on whoever is about to come. Idempotent."""
        self._is_closed = True
        if self._server is not None:
            self._server.close()
        for writer in self._accepted:
            writer.transport.abort()
        self._accepted.clear()

    async def _accept(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_closed:
            writer.transport.abort()
        else:
            self._accepted.add(writer)


async def produce(
    backend: LiveKitBackend,
    server: LocalServer | None,
    fault: Fault,
    room: str,
    identity: str | None,
    parameters: Mapping[str, float],
) -> None:
    """Produce a fault. Raises `NotFound` for an unknown participant, `InvalidInput` for bad parameters."""
    wanted = read_parameters(fault, parameters, _DEFAULTS)
    if fault in NOTIFICATION_FAULTS:
        faults = backend.control.notification_faults
        faults.expect(room, fault, int(wanted["times"]), wanted.get("seconds", 0.0))
        return
    if identity is None:
        raise InvalidInput(f"fault {fault.value!r} happens to one participant; give its identity")
    match fault:
        case Fault.CONNECT_SILENCE:
            backend.silences.expect(room, identity)
        case Fault.GRANT_DELAY:
            backend.control.grant_troubles.delay(room, identity, wanted["seconds"])
        case Fault.GRANT_FAILURE:
            backend.control.grant_troubles.fail(room, identity, int(wanted["times"]))
        case _:
            await _strike(backend, server, fault, room, identity)


async def _strike(backend: LiveKitBackend, server: LocalServer | None, fault: Fault, room: str, identity: str) -> None:
    """A fault of a participant who is connected."""
    connection = backend.connection_of(room, identity)
    if connection is None:
        raise NotFound(
            f"{identity!r} is not connected to room {room!r} by this backend", code=ErrorCode.PARTICIPANT_NOT_FOUND
        )
    if fault is Fault.NODE_FAILURE:
        if server is None:
            raise Unsupported("backend 'livekit' produces node_failure only on a LocalServer: its setting 'server'")
        await asyncio.to_thread(server.kill)
    elif fault is Fault.DUPLICATE_IDENTITY:
        ticket = await backend.control.issue_join(room, identity, grant=connection.grant, ttl=_INTRUDER_TTL)
        await backend.connect(ticket)
    else:
        try:
            await connection.native.simulate_scenario(_SCENARIOS[fault])
        except RuntimeError as error:
            raise MediaError(f"LiveKit did not produce {fault.value!r}: {error}") from error
