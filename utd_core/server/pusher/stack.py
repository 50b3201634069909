"""uvicorn's WebSocket protocol, with a second door for those who know it.

Through ASGI alone a server frames each message anew for each socket, and nobody can cut a connection whose buffer is
full. So a socket of this class puts itself into its scope as an extension (`EXTENSION`): whoever finds a `Wire` there
writes frames that were prepared once, and can cut. On any other server the extension is missing and everything works
through ASGI. `benchmarks/fanout.py` has the figures.
"""

from __future__ import annotations

from asyncio import BaseTransport
from functools import partial
from typing import Any, Protocol

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import State

from ..connections import HttpConnection
from ..turnstile import Turnstile

EXTENSION = "utd.wire"


class Wire(Protocol):
    """The connection below a socket's `send`."""

    def write(self, frame: bytes) -> bool:
        """Send whole WebSocket frames now; False, and nothing is sent, where that is not possible at the moment."""
        ...

    def unblock(self) -> None:
        """Let a `send` that waits for a full buffer go on."""
        ...

    def abort(self) -> None:
        """Cut the connection; what its buffer holds is lost. Idempotent."""
        ...


class WireProtocol(WebSocketsSansIOProtocol):
    """For `uvicorn.Config(ws=...)`. A `Wire`."""

    _turnstile: Turnstile | None = None

    def handle_connect(self, event: Request) -> None:
        # The task that runs the application has not begun yet when this returns.
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: dict[str, Any] = self.scope.setdefault("extensions", {})
            extensions[EXTENSION] = self

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        before = self.transport.get_protocol()
        if isinstance(before, HttpConnection):
            self._turnstile = before.turnstile
            before.parser = None  # type: ignore[assignment]  # it has read its last request

    def connection_lost(self, exc: Exception | None) -> None:
        # Nothing is written any more. The rest has time, and thousands may be lost in one turn of the event loop.
        self.disconnected = True
        self.writable.set()
        if self._turnstile is None:
            self._leave(exc)
        else:
            self._turnstile.pass_through(partial(self._leave, exc))

    def _leave(self, exc: Exception | None) -> None:
        """Let go of whatever holds this one: a connection of kilobytes is not left to the garbage collector."""
        super().connection_lost(exc)
        self.conn.parser.close()
        if hasattr(self, "scope"):
            self.scope["extensions"].pop(EXTENSION, None)

    def write(self, frame: bytes) -> bool:
        if self.conn.state is not State.OPEN or self.disconnected or not self.writable.is_set():
            return False
        self.transport.write(frame)
        return True

    def unblock(self) -> None:
        self.writable.set()

    def abort(self) -> None:
        self.transport.abort()


UVICORN_OPTIONS: dict[str, Any] = {
    "http": HttpConnection,
    "ws": WireProtocol,
    # One message of a client; `PusherSettings.message_bytes` is not above it.
    "ws_max_size": 65_536,
    # The protocol has its own signs of life.
    "ws_ping_interval": None,
    # Deflating costs more for each socket than all the rest of a delivery, and small events do not get smaller.
    "ws_per_message_deflate": False,
}
"""What a server that carries these sockets is started with: `uvicorn.Config(app, **UVICORN_OPTIONS)`."""
