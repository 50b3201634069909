"""The way between the two halves of a backend that has no media server: small messages, in order, both ways.

A peer-to-peer backend sends its SDP, its ICE candidates and its roster over whatever connects a client with the engine
already. The connection half holds a `Signalling`, the control half a `SignallingLine` for each participant; who carries
the messages between them (a call in one process, a socket, the events of a channel) is nobody's business but the
carrier's. What the messages say is the backend's.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..concurrency import BoundedQueue, Closeable

MAX_SIGNAL_BYTES = 65_536
"""The largest message that a carrier takes."""


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
    """What a control half offers to a carrier."""

    def open_line(self, deliver: Callable[[bytes], None], hang_up: Callable[[], None]) -> SignallingLine:
        """A line for somebody who wants to talk. `deliver(message)` takes what the control half says, without waiting;
        `hang_up()` is called once when it has said its last word."""
