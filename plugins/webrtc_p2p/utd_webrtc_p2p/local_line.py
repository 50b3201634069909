"""Signalling inside one process: the switchboard's line is called as if it were near."""

from __future__ import annotations

from utd_core.concurrency import BoundedQueue, Overflow
from utd_core.errors import Closed
from utd_core.media.signalling import (
    Signal,
    Signalling,
    SignallingDesk,
    SignallingLine,
    SignallingLost,
    SignallingRestored,
)

_CAPACITY = 1_000


class LocalSignalling(Signalling):
    """Raises `Closed` where the desk is closed."""

    def __init__(self, desk: SignallingDesk) -> None:
        self._desk = desk
        self._incoming: BoundedQueue[Signal] = BoundedQueue(_CAPACITY, Overflow.CLOSE)
        self._line: SignallingLine | None = self._open()

    @property
    def incoming(self) -> BoundedQueue[Signal]:
        return self._incoming

    async def send(self, message: bytes) -> None:
        if self._incoming.closed:
            raise Closed("this signalling has ended")
        if self._line is not None:
            self._line.receive(message)

    async def aclose(self) -> None:
        self._incoming.close()
        if self._line is not None:
            self._line.lose()
            self._line = None

    def interrupt(self) -> None:
        """Break the way, as a network does."""
        if self._line is not None:
            self._line.lose()
            self._line = None
            self._incoming.put(SignallingLost())

    def restore(self) -> None:
        """Let the way be there again, over a new line."""
        if self._line is None and not self._incoming.closed:
            self._line = self._open()
            self._incoming.put(SignallingRestored())

    def _open(self) -> SignallingLine:
        return self._desk.open_line(self._deliver, self._incoming.close)

    def _deliver(self, message: bytes) -> None:
        self._incoming.put(message)
