"""The LiveKit backend: one object with both halves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, ClassVar

from livekit import rtc

from utd_core.concurrency import Clock, SystemClock
from utd_core.concurrency.deadline import within
from utd_core.errors import Closed, Unsupported
from utd_core.media.arguments import check_connect
from utd_core.media.backend import ConnectOptions, JoinTicket, MediaBackend
from utd_core.media.capabilities import Capabilities
from utd_core.media.faults import Fault, check_fault

from .capabilities import CAPABILITIES, FAULTS
from .connection import LiveKitConnection
from .control import LiveKitControl
from .encryption import encryption_of
from .errands import Errands, Once
from .faults import Silences, produce
from .refusals import refusal
from .sdk import warm_up
from .server.line import Line
from .server.local import LocalServer
from .server.wire import Wire
from .settings import LiveKitSettings

_LATECOMERS = 2.0
"""Seconds for which the end of the backend waits for connects that nobody waits for any more."""


class LiveKitBackend(MediaBackend):
    """On a LiveKit server that somebody else runs, or on a `LocalServer`. Settings: `LiveKitSettings`."""

    name: ClassVar[str] = "livekit"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    faults: ClassVar[frozenset[Fault]] = FAULTS
    _make_control: ClassVar[type[LiveKitControl]] = LiveKitControl

    def __init__(self, settings: Mapping[str, Any] | None = None, clock: Clock | None = None) -> None:
        self._settings = LiveKitSettings.read(settings or {})
        self._own: LocalServer | None = None
        if self._settings.local:
            self._own = LocalServer()
            self._settings = replace(self._settings, server=self._own, **self._own.settings)
        self._clock = clock or SystemClock()
        control = self._make_control(self._settings, self._clock, self._start) if self._settings.has_control else None
        self._control = control
        self._errands = Errands("the livekit backend")
        self._starting = Once(self._errands, self._start_server)
        self._joins = Errands("a connect to livekit")
        self._connections: set[LiveKitConnection] = set()
        self._wires: dict[LiveKitConnection, Wire] = {}
        self._closed = False
        self.silences = Silences()
        self._closing: asyncio.Future[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def control(self) -> LiveKitControl:
        if self._control is None:
            raise Unsupported(
                "backend 'livekit' has no control half without the server's credentials; set LIVEKIT_URL, "
                "LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or its settings url, api_key and api_secret"
            )
        return self._control

    async def connect(self, ticket: JoinTicket, options: ConnectOptions | None = None) -> LiveKitConnection:
        options = ConnectOptions() if options is None else options
        self._check_open()
        check_connect(options, self.name, self.capabilities)
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_future()
        wire = self._wire_to(ticket)
        joining = self._joins.start(self._join(ticket, options, wire))
        try:
            return await within(
                self._clock,
                options.deadline,
                self._unless_closed(joining, self._closing),
                f"the LiveKit server at {ticket.url} let nobody in within {options.deadline} s; "
                "is it up, is this its address, and do its UDP ports reach this machine?",
            )
        except BaseException:
            joining.add_done_callback(self._abandon)
            if wire is not None and wire.is_silent:
                wire.hang_up()
            raise

    async def inject(self, fault: Fault, room: str, identity: str | None = None, **parameters: float) -> None:
        self._check_open()
        fault = check_fault(fault)
        if fault not in self.faults:
            await super().inject(fault, room, identity, **parameters)
        await produce(self, self._settings, fault, room, identity, parameters)

    @property
    def is_busy(self) -> bool:
        """Something is under way, here or at the server."""
        control = self._control is not None and self._control.is_busy
        return (
            control or self._errands.is_busy or self._joins.is_busy or any(each.is_busy for each in self._connections)
        )

    def connection_of(self, room: str, identity: str) -> LiveKitConnection | None:
        """The connection of a participant that was made here."""
        return next((each for each in self._connections if (each.room, each.identity) == (room, identity)), None)

    def wire_of(self, connection: LiveKitConnection) -> Wire | None:
        """What its signalling goes through, where faults are wanted."""
        return self._wires.get(connection)

    async def aclose(self) -> None:
        self._closed = True
        if self._closing is not None and not self._closing.done():
            self._closing.set_result(None)
        if self._ending is None:
            self._ending = self._errands.start(self._close())
        await asyncio.shield(self._ending)

    async def _start(self) -> None:
        """The server of our own runs. Raises `UTDStreamException` when it cannot be started."""
        self._check_open()
        if self._own is not None:
            await self._starting.done()

    async def _start_server(self) -> None:
        if self._own is not None:
            await asyncio.to_thread(self._own.start)

    async def _stop(self, server: LocalServer) -> None:
        # A thread cannot be ended, and a server that begins after its end would stay.
        await self._starting.over()
        await asyncio.to_thread(server.stop)

    async def _close(self) -> None:
        async with AsyncExitStack() as parts:
            if self._own is not None:
                parts.push_async_callback(self._stop, self._own)
            if self._control is not None:
                parts.push_async_callback(self._control.aclose)
            for connection in list(self._connections):
                parts.push_async_callback(connection.aclose)
        # A server that says nothing holds the SDK's connect for as long as it likes, and that may not be cancelled:
        # who comes in after all is let go of by `_abandon`.
        await self._joins.wait_for_all(_LATECOMERS)
        await self._errands.finish()

    def _wire_to(self, ticket: JoinTicket) -> Wire | None:
        """What the signalling of this ticket's connection is to go through; None for straight to the server."""
        is_silent = self.silences.take(ticket, self._settings.prefix)
        if not (is_silent or self._settings.faults):
            return None
        server = self._settings.server
        line = Line(server.media_port) if server is not None and ticket.url == server.url else None
        wire = Wire(ticket.url, line=line)
        if is_silent:
            wire.hold()
        return wire

    async def _join(self, ticket: JoinTicket, options: ConnectOptions, wire: Wire | None) -> LiveKitConnection:
        """Connect, however long that takes. Raises `ConnectFailed`."""
        await asyncio.to_thread(warm_up)
        url = ticket.url if wire is None else await wire.open()
        room = rtc.Room()
        connection = LiveKitConnection(room, options, self._ended, url=url, prefix=self._settings.prefix)
        if wire is not None:
            self._wires[connection] = wire
        wanted = rtc.RoomOptions(
            auto_subscribe=options.auto_subscribe,
            dynacast=options.dynacast,
            encryption=None if options.e2ee is None else encryption_of(options.e2ee),
            connect_timeout=options.deadline,
        )
        try:
            await room.connect(url, ticket.token, wanted)
        except rtc.ConnectError as error:
            await connection.aclose()
            # Without its cause, whose words may hold the ticket.
            raise refusal(ticket.url, error.message) from None
        except BaseException:
            await connection.aclose()
            raise
        self._connections.add(connection)
        connection.begin()
        return connection

    def _ended(self, connection: LiveKitConnection) -> None:
        self._connections.discard(connection)
        if (wire := self._wires.pop(connection, None)) is not None:
            self._errands.start(wire.finish())

    async def _unless_closed(
        self, joining: asyncio.Task[LiveKitConnection], closing: asyncio.Future[None]
    ) -> LiveKitConnection:
        """What comes of it; raises `Closed` when the backend is closed before."""
        await asyncio.wait((joining, closing), return_when=asyncio.FIRST_COMPLETED)
        self._check_open()
        return joining.result()

    def _abandon(self, joining: asyncio.Task[LiveKitConnection]) -> None:
        """Nobody waits for the connection any more."""
        if not joining.cancelled() and joining.exception() is None:
            self._errands.start(joining.result().aclose())

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("this livekit backend was closed; make a new one")
