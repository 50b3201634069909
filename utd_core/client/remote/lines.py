"""Signalling over one connection of the event socket: lines to the media backend's control half, named here.

Nothing here knows a socket or a time: what is to be said goes to `say`, what was heard comes by the other methods.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from ...errors import Closed
from ...media.signalling import SignallingDesk, SignallingLine
from . import protocol


class Lines:
    """All lines of the connection, on whichever channel."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._lines: dict[str, _Line] = {}
        self._ids = count(1)
        self._closed = False

    def desk(self, channel: str) -> SignallingDesk:
        """Where lines for the media connection of a channel's room or call are opened, while that is followed."""
        return _Desk(self, channel)

    def open_line(
        self, channel: str, deliver: Callable[[bytes], None], hang_up: Callable[[], None], lost: Callable[[], None]
    ) -> SignallingLine:
        """Raises `Closed` once the connection is over."""
        if self._closed:
            raise Closed("the socket was lost")
        id = str(next(self._ids))
        line = self._lines[id] = _Line(self, channel, id, deliver, hang_up, lost)
        return line

    def say(self, channel: str, id: str, message: bytes | None) -> None:
        """Have something heard on a line; None: it is over."""
        if id in self._lines:
            if message is None:
                del self._lines[id]
            self._say(protocol.signal(channel, id, message))

    def hear(self, said: protocol.Signalled | protocol.LineOver) -> None:
        """What the server says of a line."""
        if isinstance(said, protocol.Signalled):
            line = self._lines.get(said.line)
            if line is not None:
                line.deliver(said.message)
            return
        line = self._lines.pop(said.line, None)
        if line is not None:
            (line.lost if said.lost else line.hang_up)()

    def close(self) -> None:
        """The connection is over, and every line lost. Idempotent."""
        self._closed = True
        while self._lines:
            self._lines.popitem()[1].lost()


class _Desk(SignallingDesk):
    def __init__(self, lines: Lines, channel: str) -> None:
        self._lines = lines
        self._channel = channel

    def open_line(
        self, deliver: Callable[[bytes], None], hang_up: Callable[[], None], lost: Callable[[], None]
    ) -> SignallingLine:
        return self._lines.open_line(self._channel, deliver, hang_up, lost)


class _Line(SignallingLine):
    def __init__(
        self,
        lines: Lines,
        channel: str,
        id: str,
        deliver: Callable[[bytes], None],
        hang_up: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self.deliver = deliver
        self.hang_up = hang_up
        self.lost = lost
        self._lines = lines
        self._channel = channel
        self._id = id

    def receive(self, message: bytes) -> None:
        self._lines.say(self._channel, self._id, message)

    def lose(self) -> None:
        self._lines.say(self._channel, self._id, None)
