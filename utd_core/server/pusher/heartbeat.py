"""Signs of life.

Whoever has said nothing for a while is asked, whoever does not answer is closed, and whoever does not close is cut.
Each stage takes the same time for every socket, so the sockets of a stage stand in the order of their deadlines, and a
beat looks only at those that are due.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from ...concurrency import Clock
from .codes import CloseCode
from .frames import PING
from .settings import PusherSettings
from .socket import Socket


class Heartbeat:
    """Of all sockets of one project on one node. `beat()` is called about once in a second."""

    def __init__(self, clock: Clock, settings: PusherSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._heard: OrderedDict[Socket, float] = OrderedDict()
        self._asked: OrderedDict[Socket, float] = OrderedDict()
        self._closing: OrderedDict[Socket, float] = OrderedDict()

    def heard(self, socket: Socket) -> None:
        """It has said something, or has just connected."""
        if socket not in self._closing:
            self._asked.pop(socket, None)
            self._heard[socket] = self._clock.monotonic()
            self._heard.move_to_end(socket)

    def closing(self, socket: Socket) -> None:
        """It was told to close."""
        self._heard.pop(socket, None)
        self._asked.pop(socket, None)
        self._closing.setdefault(socket, self._clock.monotonic())

    def gone(self, socket: Socket) -> None:
        """It is not there any more. Idempotent."""
        for stage in (self._heard, self._asked, self._closing):
            stage.pop(socket, None)

    def beat(self) -> None:
        """Do what is due."""
        now = self._clock.monotonic()
        for socket in _before(self._heard, now - self._settings.activity_timeout):
            self._asked[socket] = now
            socket.send(PING)
        for socket in _before(self._asked, now - self._settings.pong_timeout):
            socket.close(CloseCode.NO_PONG, "you did not answer a pusher:ping in time")
        for socket in _before(self._closing, now - self._settings.close_timeout):
            socket.abort()


def _before(stage: OrderedDict[Socket, float], time: float) -> Iterator[Socket]:
    """Take out the sockets that came into the stage before a time."""
    while stage:
        socket, since = next(iter(stage.items()))
        if since > time:
            return
        del stage[socket]
        yield socket
