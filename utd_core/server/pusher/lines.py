"""Signalling of a socket on a channel of the engine: lines between a client and the media backend's control half.

A line is named by the client, begins with its first message, and is over when either side says so or the place is
given up. Nobody else follows it: what the control half says on a line goes to this socket alone.
"""

from __future__ import annotations

from ...errors import Closed, Conflict, RateLimited, StoreFailed, Unavailable, UTDStreamException
from ...media.signalling import SignallingLine
from ...model.command import Actor
from ..projects import HostedEngine
from . import frames
from .socket import Socket

MOST_LINES = 4
"""Lines of one socket on one channel: one for each connection, and those that are about to end."""

_AGAIN = (Closed, RateLimited, StoreFailed, Unavailable)
"""What stands in the way of a line for a moment only."""


class Lines:
    """Those of one place."""

    def __init__(self, channel: str, socket: Socket, engine: HostedEngine, actor: Actor) -> None:
        self._channel = channel
        self._socket = socket
        self._engine = engine
        self._actor = actor
        self._lines: dict[str, SignallingLine] = {}
        self._closed = False

    async def take(self, id: str, message: bytes | None) -> None:
        """The client says something on a line; None: it is over. Raises what the engine has against the line, and
        `Conflict` where there are too many."""
        line = self._lines.get(id)
        if message is None:
            if line is not None:
                del self._lines[id]
                line.lose()
            return
        if line is None:
            line = await self._open(id)
        line.receive(message)

    def refuse(self, id: str, error: UTDStreamException) -> None:
        """Tell the client that a line is over because of an error."""
        line = self._lines.pop(id, None)
        if line is not None:
            line.lose()
        self._socket.send(frames.line_over(self._channel, id, lost=isinstance(error, _AGAIN), error=error))

    def close(self) -> None:
        """The place is given up. Idempotent."""
        self._closed = True
        while self._lines:
            self._lines.popitem()[1].lose()

    async def _open(self, id: str) -> SignallingLine:
        if len(self._lines) >= MOST_LINES:
            raise Conflict(f"you have {len(self._lines)} lines on this channel, as many as there may be; end one")
        desk = await self._engine.signalling(self._channel, actor=self._actor)
        if self._closed:
            raise Closed("you do not follow this channel any more")

        def deliver(message: bytes) -> None:
            self._socket.send(frames.signal(self._channel, id, message))

        def over(*, lost: bool) -> None:
            if self._lines.pop(id, None) is not None:
                self._socket.send(frames.line_over(self._channel, id, lost=lost))

        line = desk.open_line(deliver, lambda: over(lost=False), lambda: over(lost=True))
        self._lines[id] = line
        return line
