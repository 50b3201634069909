"""The mock backend: one object with both halves, on a server of its own or on one that is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from utd_core.concurrency import Clock, SystemClock
from utd_core.errors import Closed, DeadlineExceeded, InvalidInput
from utd_core.media import arguments
from utd_core.media.backend import ConnectOptions, JoinTicket, MediaBackend
from utd_core.media.capabilities import Capabilities
from utd_core.media.faults import Fault, check_fault, read_parameters
from utd_core.media.tokens import Claims

from . import registry
from .capabilities import CAPABILITIES, FAULTS
from .connection import MockConnection
from .control import MockControl
from .faults import DEFAULTS, produce
from .network import Network
from .server import MockServer
from .waiting import Waiters

_SETTINGS = frozenset({"server", "server_id", "latency_ms", "jitter_ms", "loss", "seed"})
_INTRUDER_TTL = 60.0
_INSTANT = 1e-6
"""Seconds that are only float error; on a clock that stands still, waiting for them would never end."""


class MockBackend(MediaBackend):
    """In memory, in this process, in virtual time if the clock is virtual.

    Settings: `latency_ms` and `jitter_ms` (one way), `loss` (0 to 1), `seed`, `server_id`; or `server`, a
    `MockServer` that several backends share and that outlives them. Raises `InvalidInput` for any other.
    """

    name: ClassVar[str] = "mock"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    faults: ClassVar[frozenset[Fault]] = FAULTS

    def __init__(self, settings: Mapping[str, Any] | None = None, clock: Clock | None = None) -> None:
        settings = settings or {}
        _check_settings(settings)
        given: MockServer | None = settings.get("server")
        self._owns_server = given is None
        self.server: MockServer = given or MockServer(
            clock or SystemClock(), Network.from_settings(settings), settings.get("server_id")
        )
        self._control = MockControl(self.server, lambda: self._closed)
        self._connections: set[MockConnection] = set()
        self._lobbies: list[Waiters] = []
        self._closed = False

    @property
    def control(self) -> MockControl:
        return self._control

    async def connect(self, ticket: JoinTicket, options: ConnectOptions | None = None) -> MockConnection:
        options = ConnectOptions() if options is None else options
        self._check_open()
        arguments.check_connect(options, self.name, self.capabilities)
        server = registry.reach(ticket.url)
        await server.open()
        self._lobbies.append(server.lobby)
        try:
            await self._knock(server, ticket.token, options.deadline)
        finally:
            self._lobbies.remove(server.lobby)
        connection = MockConnection(server, ticket.token, options, self._connections.discard)
        self._connections.add(connection)
        return connection

    async def inject(self, fault: Fault, room: str, identity: str | None = None, **parameters: float) -> None:
        self._check_open()
        fault = check_fault(fault)
        await self.server.open()
        if fault is not Fault.DUPLICATE_IDENTITY:
            produce(self.server, fault, room, identity, parameters)
            return
        read_parameters(fault, parameters, DEFAULTS)
        if identity is None:
            raise InvalidInput(f"fault {fault.value!r} happens to one participant; give its identity")
        held = self.server.participant(room, identity)
        expires_at = self.server.clock.now() + _INTRUDER_TTL
        claims = Claims(room, identity, held.profile, held.grant, expires_at)
        await self.connect(self.server.issue_join(claims))

    async def aclose(self) -> None:
        self._closed = True
        for lobby in self._lobbies:
            lobby.wake()
        for connection in list(self._connections):
            await connection.aclose()
        if self._owns_server:
            await self.server.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("this mock backend was closed; make a new one")

    async def _knock(self, server: MockServer, token: str, deadline: float) -> None:
        """The round trip before the server lets a client in, which a fault can make endless."""
        round_trip = 2 * server.network.latency
        await self._wait_in_lobby(server, min(round_trip, deadline))
        if round_trip <= deadline and not server.is_silent_to(*server.admit(token)):
            return
        await self._wait_in_lobby(server, deadline - round_trip)
        raise DeadlineExceeded(f"the mock server {server.url} did not answer within {deadline} s")

    async def _wait_in_lobby(self, server: MockServer, seconds: float) -> None:
        until = server.clock.monotonic() + seconds
        await server.lobby.pause(seconds)
        while not (self._closed or server.is_closed) and (left := until - server.clock.monotonic()) > _INSTANT:
            await server.lobby.wait(left)
        self._check_open()
        server.check_open()


def _check_settings(settings: Mapping[str, Any]) -> None:
    if unknown := sorted(set(settings) - _SETTINGS):
        raise InvalidInput(f"the mock has no setting {unknown[0]!r}; it takes {', '.join(sorted(_SETTINGS))}")
    server, server_id = settings.get("server"), settings.get("server_id")
    if server is not None and not isinstance(server, MockServer):
        raise InvalidInput(f"the mock's setting 'server' must be a MockServer, got {type(server).__name__}")
    if server is not None and len(settings) > 1:
        raise InvalidInput("the mock's setting 'server' comes alone: a server has its own network and id")
    if server_id is not None and (not isinstance(server_id, str) or not server_id):
        raise InvalidInput(f"the mock's setting 'server_id' must be a string that is not empty, got {server_id!r}")
