"""The webrtc_p2p backend: one object with both halves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import anyio

from utd_core.concurrency import Clock, SystemClock, TaskScope
from utd_core.errors import Closed
from utd_core.media import arguments
from utd_core.media.backend import ConnectOptions, JoinTicket, MediaBackend
from utd_core.media.capabilities import Capabilities
from utd_core.media.faults import Fault, check_fault
from utd_core.media.signalling import LocalSignalling, Signalling

from . import registry
from .capabilities import CAPABILITIES, FAULTS
from .connection import P2PConnection
from .control import P2PControl
from .faults import produce
from .participation import Participation
from .settings import read_settings
from .switchboard import Switchboard


class P2PBackend(MediaBackend):
    """Calls of two over WebRTC, without a media server. Settings: `Settings`. Raises `InvalidInput` for any other."""

    name: ClassVar[str] = "webrtc_p2p"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    faults: ClassVar[frozenset[Fault]] = FAULTS

    def __init__(self, settings: Mapping[str, Any] | None = None, clock: Clock | None = None) -> None:
        self.settings = read_settings(settings)
        self.clock = clock or SystemClock()
        self.scope = TaskScope("utd_webrtc_p2p:backend")
        self.board = Switchboard(self.settings, self.clock, self.scope)
        self._control = P2PControl(self.board, lambda: self._closed)
        self._connections: set[P2PConnection] = set()
        self._closed = False

    @property
    def control(self) -> P2PControl:
        return self._control

    async def connect(self, ticket: JoinTicket, options: ConnectOptions | None = None) -> P2PConnection:
        options = ConnectOptions() if options is None else options
        try:
            self.check_open()
            arguments.check_connect(options, self.name, self.capabilities)
            await self.scope.open()
            self.check_open()
        except BaseException:
            if options.signalling is not None:
                with anyio.CancelScope(shield=True):
                    await options.signalling.aclose()
            raise
        signalling = _signalling(ticket, options)
        life = Participation(signalling, ticket.token, options, self.settings, self.clock, self.scope)
        connection = P2PConnection(life)
        self._connections = {one for one in self._connections if not one.is_released}
        self._connections.add(connection)
        await connection.open()
        return connection

    async def inject(self, fault: Fault, room: str, identity: str | None = None, **parameters: float) -> None:
        self.check_open()
        fault = check_fault(fault)
        if fault not in self.faults:
            await super().inject(fault, room, identity, **parameters)
        await produce(self, fault, room, identity, parameters)

    @property
    def is_busy(self) -> bool:
        """Some connection has ended and not let go of everything yet."""
        return any(one.is_ending for one in self._connections)

    def connections(self, room: str, identity: str) -> list[P2PConnection]:
        """The connections of this backend to a room with an identity that have not ended."""
        return [
            one for one in self._connections if (one.room, one.identity) == (room, identity) and not one.is_released
        ]

    async def aclose(self) -> None:
        # All that is decided here happens before the first await; the scope lets everything end that this has begun.
        self._closed = True
        for connection in self._connections:
            connection.give_up()
        self.board.close()
        await self.scope.aclose()

    def check_open(self) -> None:
        """Raise `Closed` after `aclose`."""
        if self._closed:
            raise Closed("this webrtc_p2p backend was closed; make a new one")


def _signalling(ticket: JoinTicket, options: ConnectOptions) -> Signalling:
    return LocalSignalling(registry.reach(ticket.url)) if options.signalling is None else options.signalling
