"""The named faults, produced for real: on the server, or by what the SDK offers for it.

An outage of some `seconds` and a ticket that runs out are produced on the way to the server (setting `faults`): the
SDK asks again and again, and hears nothing, is hung up on, or is refused by the server itself. So is what happens to
media, on the way to a `LocalServer`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import jwt
from livekit import api, rtc

from utd_core.errors import ErrorCode, InvalidInput, MediaError, NotFound, Unsupported
from utd_core.media.backend import JoinTicket
from utd_core.media.faults import NOTIFICATION_FAULTS, PARAMETERS, Fault, read_parameters

from .server.line import Line
from .server.wire import Wire
from .settings import LiveKitSettings

if TYPE_CHECKING:
    from .backend import LiveKitBackend
    from .connection import LiveKitConnection

LENIENT = 120.0
"""Seconds; LiveKit takes a token up to a minute after its end, because clocks differ."""
_INTRUDER_TTL = 60.0

MEDIA_FAULTS = frozenset({Fault.SLOW_SUBSCRIBER, Fault.PACKET_LOSS, Fault.JITTER})
"""What happens on the way of the media, which goes by a `Line` to a `LocalServer`."""
_SCENARIOS: Mapping[Fault, rtc.SimulateScenarioKind.ValueType] = {
    Fault.SIGNAL_DROP: rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT,
    Fault.FULL_RECONNECT: rtc.SimulateScenarioKind.SIMULATE_DISCONNECT_SIGNAL_ON_RESUME,
    Fault.SERVER_LEAVE: rtc.SimulateScenarioKind.SIMULATE_SERVER_LEAVE,
}
_DEFAULTS: Mapping[Fault, Mapping[str, float]] = {
    **PARAMETERS,
    Fault.SIGNAL_DROP: {"seconds": 0.0},
    Fault.FULL_RECONNECT: {"seconds": 0.0},
    Fault.NODE_FAILURE: {"seconds": 0.0},
}
"""The parameters of each fault that has any."""


class Silences:
    """Connects that will find a server which accepts and says nothing."""

    def __init__(self) -> None:
        self._due: Counter[tuple[str, str]] = Counter()

    def expect(self, room: str, identity: str) -> None:
        """The next connect of this identity finds one."""
        self._due[room, identity] += 1

    def take(self, ticket: JoinTicket, prefix: str) -> bool:
        """Whether this ticket is to find one."""
        if not self._due:
            return False
        try:
            claims = jwt.decode(ticket.token, options={"verify_signature": False})
            whose = claims["video"]["room"].removeprefix(prefix), claims["sub"]
        except (jwt.InvalidTokenError, KeyError, TypeError, AttributeError):
            return False
        if not self._due[whose]:
            del self._due[whose]
            return False
        self._due[whose] -= 1
        return True


def expired_ticket(settings: LiveKitSettings, room: str, identity: str) -> str:
    """One of the server's that has run out longer ago than the server is lenient."""
    grants = api.VideoGrants(room_join=True, room=f"{settings.prefix}{room}")
    ticket = api.AccessToken(settings.api_key, settings.api_secret).with_identity(identity).with_grants(grants)
    return ticket.with_ttl(timedelta(seconds=-LENIENT)).to_jwt()


async def produce(
    backend: LiveKitBackend,
    settings: LiveKitSettings,
    fault: Fault,
    room: str,
    identity: str | None,
    parameters: Mapping[str, float],
) -> None:
    """Produce a fault. Raises `NotFound` for an unknown participant, `InvalidInput` for bad parameters, `Unsupported`
    for what the backend's settings do not allow for."""
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
            await _strike(backend, settings, fault, room, identity, wanted)


async def _strike(
    backend: LiveKitBackend,
    settings: LiveKitSettings,
    fault: Fault,
    room: str,
    identity: str,
    wanted: Mapping[str, float],
) -> None:
    """A fault of a participant who is connected."""
    seconds = wanted.get("seconds", 0.0)
    connection = backend.connection_of(room, identity)
    if connection is None:
        raise NotFound(
            f"{identity!r} is not connected to room {room!r} by this backend", code=ErrorCode.PARTICIPANT_NOT_FOUND
        )
    match fault:
        case Fault.NODE_FAILURE:
            if settings.server is None:
                raise Unsupported("backend 'livekit' produces node_failure only on a LocalServer: its setting 'server'")
            await asyncio.to_thread(settings.server.kill)
        case Fault.DUPLICATE_IDENTITY:
            ticket = await backend.control.issue_join(room, identity, grant=connection.grant, ttl=_INTRUDER_TTL)
            await backend.connect(ticket)
        case Fault.TOKEN_EXPIRY:
            _wire(backend, connection, fault).exchange(expired_ticket(settings, room, identity))
        case Fault.PACKET_LOSS:
            _line(backend, connection, fault).loss = wanted["rate"]
        case Fault.JITTER:
            _line(backend, connection, fault).jitter = seconds
        case Fault.SLOW_SUBSCRIBER:
            _line(backend, connection, fault).burst = seconds
        case Fault.SIGNAL_DROP if seconds > 0:
            _wire(backend, connection, fault).hold(seconds)
        case Fault.FULL_RECONNECT if seconds > 0:
            _wire(backend, connection, fault).refuse(seconds)
        case _:
            await _simulate(connection, fault)


async def _simulate(connection: LiveKitConnection, fault: Fault) -> None:
    """What the SDK offers for it."""
    try:
        await connection.native.simulate_scenario(_SCENARIOS[fault])
    except RuntimeError as error:
        raise MediaError(f"LiveKit did not produce {fault.value!r}: {error}") from error


def _wire(backend: LiveKitBackend, connection: LiveKitConnection, fault: Fault) -> Wire:
    """What a participant's signalling goes through."""
    wire = backend.wire_of(connection)
    if wire is None:
        raise Unsupported(f"backend 'livekit' produces such a {fault.value} only with its setting 'faults'")
    return wire


def _line(backend: LiveKitBackend, connection: LiveKitConnection, fault: Fault) -> Line:
    """What a participant's media go through."""
    wire = backend.wire_of(connection)
    if wire is None or wire.line is None:
        raise Unsupported(
            f"backend 'livekit' produces {fault.value} only on a LocalServer: its settings 'server' and 'faults'"
        )
    return wire.line
