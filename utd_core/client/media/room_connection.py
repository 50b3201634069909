"""The media connection of a room: at most one at a time, received from until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import anyio

from ...concurrency import TaskScope
from ...errors import Closed, Conflict, ConnectionLost, ErrorCode
from ...media.backend import ConnectOptions
from ...media.events import ConnectionState, DisconnectReason, MediaEvent, StateChanged
from ...model.results import UTDTokenResponse
from ..link import MediaLink
from .media_plane import MediaPlane, own_errors
from .room_state import RoomState


class Part(Protocol):
    """What of a room lives on its connection. It is told where events are received, so it never waits."""

    def attach(self, connection: MediaPlane) -> None:
        """There is a connection."""

    def take(self, event: MediaEvent) -> None:
        """Take over an event of the connection."""

    def detach(self) -> None:
        """There is none. Idempotent."""


class RoomConnection:
    """Makes and ends connections, and tells the room's `state` and its `parts` of each, event by event.

    `report` is told each event when all have taken it over; `gone`: a connection has ended, whoever ended it.
    """

    def __init__(
        self,
        link: MediaLink,
        scope: TaskScope,
        state: RoomState,
        parts: tuple[Part, ...],
        *,
        report: Callable[[MediaEvent], None],
        gone: Callable[[], None],
    ) -> None:
        self.present: MediaPlane | None = None
        self._link = link
        self._scope = scope
        self._state = state
        self._parts = (state, *parts)
        self._report = report
        self._on_gone = gone
        self._connecting = self._closed = False
        self._reason = DisconnectReason.UNKNOWN
        self._ended = asyncio.Event()
        self._ended.set()

    def get(self) -> MediaPlane:
        """The connection. Raises `ConnectionLost` while there is none."""
        if self.present is None:
            raise ConnectionLost("there is no media connection now; connect, or wait until it is back")
        return self.present

    async def connect(self, ticket: UTDTokenResponse, options: ConnectOptions) -> None:
        """Connect, and receive from then on. Raises as `UTDRoom.connect`."""
        if self._closed:
            raise Closed("this room was closed; make a new one")
        if self._connecting or self.present is not None:
            raise Conflict("this room is connected, or about to be; disconnect first", code=ErrorCode.ALREADY_JOINED)
        self._connecting = True
        try:
            await self._scope.open()
            with own_errors(ticket.backend, "connect"):
                made = await self._link.connect_media(ticket, options)
        finally:
            self._connecting = False
        connection = MediaPlane(made, ticket.backend, many_devices=ticket.many_devices)
        if not self._is_usable:
            await connection.aclose()
            raise Closed("the room was closed while it connected")
        self._adopt(connection)

    async def disconnect(self) -> None:
        """End the connection, if there is one."""
        connection = self.present
        if connection is not None:
            await connection.aclose()
            self._reason = DisconnectReason.CLIENT_LEFT
            self._drop(connection)

    async def wait_disconnected(self) -> DisconnectReason:
        """Wait until there is no connection; why the last one ended."""
        await self._ended.wait()
        return self._reason

    def close(self) -> None:
        """No connection follows."""
        self._closed = True

    @property
    def _is_usable(self) -> bool:
        return not self._closed and self._scope.is_open

    def _adopt(self, connection: MediaPlane) -> None:
        self.present = connection
        self._reason = DisconnectReason.UNKNOWN
        self._ended.clear()
        for part in self._parts:
            part.attach(connection)
        self._scope.start(self._receive, connection, name="receive")

    async def _receive(self, connection: MediaPlane) -> None:
        """Take events over in order; what has come meanwhile is taken as a whole."""
        try:
            while (burst := await connection.burst()) is not None:
                if connection is self.present:
                    for event in burst:
                        self._take(event)
                    self._state.refresh_roster()
                for event in burst:
                    self._report(event)
        finally:
            with anyio.CancelScope(shield=True):
                await connection.aclose()
            self._drop(connection)

    def _take(self, event: MediaEvent) -> None:
        if isinstance(event, StateChanged) and event.state is ConnectionState.DISCONNECTED:
            self._reason = event.reason or DisconnectReason.UNKNOWN
        for part in self._parts:
            part.take(event)

    def _drop(self, connection: MediaPlane) -> None:
        """The connection has ended. Idempotent."""
        if connection is not self.present:
            return
        self.present = None
        for part in self._parts:
            part.detach()
        self._on_gone()
        self._ended.set()
