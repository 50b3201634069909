"""The way between the two halves of a backend that has no media server: small messages, in order, both ways.

A peer-to-peer backend sends its SDP, its ICE candidates and its roster over whatever connects a client with the engine
already. The connection half holds a `Signalling`, the control half a `SignallingLine` for each participant; who carries
the messages between them (a call in one process, a socket, a bus) is nobody's business but the carriers'. What the
messages say is the backend's; each is one JSON object in UTF-8.

Carriers are put one behind the other: each opens its lines at the `SignallingDesk` of the one before, which is in the
end that of the control half.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..concurrency import BoundedQueue, Closeable, Overflow
from ..errors import Closed

MAX_SIGNAL_BYTES = 60_000
"""The largest message that a carrier takes: with what carries it, it fits into one of a socket."""
_CAPACITY = 1_000


@dataclass(frozen=True, slots=True)
class SignallingLost:
    """The way broke: what is sent now is lost, and so may be what was sent a moment ago."""


@dataclass(frozen=True, slots=True)
class SignallingRestored:
    """The way is there again. Messages of both directions may be missing; the halves compare what they know."""


Signal = bytes | SignallingLost | SignallingRestored


class Signalling(Closeable):
    """The connection half's end of the way."""

    @property
    @abstractmethod
    def incoming(self) -> BoundedQueue[Signal]:
        """What the control half says, and what becomes of the way itself, in order. It ends when the way is gone for
        good."""

    @abstractmethod
    async def send(self, message: bytes) -> None:
        """Say something of up to `MAX_SIGNAL_BYTES`; lost without an error where the way is broken, which `incoming`
        tells. Raises `TooLarge`, `Closed`."""

    @abstractmethod
    async def aclose(self) -> None:
        """Hang up. Idempotent."""


class SignallingLine(Protocol):
    """The control half's end of one participant's way. Plain calls: a carrier makes them as messages come in."""

    def receive(self, message: bytes) -> None:
        """The participant says something. Nothing is raised: what makes no sense is refused to the sender."""

    def lose(self) -> None:
        """The way broke, or was hung up. Idempotent; a participant who comes back does so over a new line."""


class SignallingDesk(Protocol):
    """Where a carrier opens lines."""

    def open_line(
        self, deliver: Callable[[bytes], None], hang_up: Callable[[], None], lost: Callable[[], None]
    ) -> SignallingLine:
        """A line for somebody who wants to talk. `deliver(message)` takes what the control half says, without waiting.

        One of the others is called once at the end, unless the line was lost from here: `hang_up()` when the control
        half has said its last word, `lost()` when the way to it broke, and another line may be tried. Raises `Closed`.
        """


@runtime_checkable
class Interruptible(Protocol):
    """Signalling that faults can be tried on."""

    def interrupt(self) -> None:
        """Break the way, as a network does."""

    def restore(self) -> None:
        """Let the way be there again, over a new line."""


class LocalSignalling(Signalling):
    """The way to a desk in this process, which breaks only when it is told to. Raises `Closed`, as the desk does."""

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
        """Let the way be there again, over a new line. Nothing happens where the desk is closed."""
        if self._line is None and not self._incoming.closed:
            with suppress(Closed):
                self._line = self._open()
                self._incoming.put(SignallingRestored())

    def _open(self) -> SignallingLine:
        # Who is in this process loses its desk only when that is closed for good.
        return self._desk.open_line(self._deliver, self._incoming.close, self._incoming.close)

    def _deliver(self, message: bytes) -> None:
        self._incoming.put(message)
