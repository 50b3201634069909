"""Messages from node to node of a server.

Unlike the engine's events these are in no store, and nobody recovers them: whoever listens at the moment hears them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Self

from ..concurrency import Closeable
from .audience import Hear, Interrupted, Listener


@dataclass(frozen=True, slots=True)
class BusStatistics:
    """Gauges of this moment, and counters since the bus was made.

    `connected`: whether the other nodes can be reached. `topics`, `listeners`: on this node. `published`: messages that
    this node handed over; `heard`: messages that listeners on this node were handed; `dropped`: those that they were
    too slow for. `interruptions`: times that messages may have been lost on the way to this node. `lasting`: seconds
    for which it has been connected, or, where it is not, since anything was heard; infinite where that never changes.
    """

    connected: bool
    topics: int
    listeners: int
    published: int
    heard: int
    dropped: int
    interruptions: int
    lasting: float = inf


class MessageBus(Closeable):
    """One per node. A message reaches every listener of its topic on every node, the sender's own too, at most once.

    - Messages that one node publishes on one topic, one after the other, are heard in that order by everybody.
    - A listener hears one message after the other. One that is slow keeps nobody else waiting: what it does not keep up
      with is dropped, counted, and it is told of the gap.
    - Where messages may have been lost, each listener is told so (`interrupted`), once the other nodes can be reached
      again and in its turn: it has heard what came before the gap, and hears what comes after it.

    `async with` opens and closes it.
    """

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    @abstractmethod
    async def open(self) -> None:
        """Raises `Closed` after `aclose`, and `Unavailable` where the other nodes cannot be reached."""

    @abstractmethod
    async def publish(self, topic: str, message: bytes) -> int:
        """Hand a message over, and answer how many nodes it reached: those on which somebody listens, this one too.

        0: nobody listens anywhere. Raises `Closed`, and, after a bounded wait, `Unavailable` where the other nodes
        cannot be reached; whether the message was heard is then not known. It is never sent twice.
        """

    @abstractmethod
    async def subscribe(self, topic: str, hear: Hear, *, interrupted: Interrupted | None = None) -> Listener:
        """Listen: what is published after this has returned, on any node, is heard. Raises as `publish` does.

        `interrupted`: called when messages to this listener may be missing; ask anew for whatever they would have told.
        """

    @abstractmethod
    def unsubscribe(self, listener: Listener) -> None:
        """Listen no more: nothing is heard after this, but for what is being heard now. Idempotent; never waits."""

    @abstractmethod
    def statistics(self) -> BusStatistics: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BusSpec:
    """A kind of bus, as a plugin registers it (`utd_message_buses`).

    `name`: what it is called in settings: lower case letters, digits, `_` and `-`. `summary`: one line for people.
    `create`: makes one, not opened, of a URL (empty where only the name was given) and settings; it imports what it
    needs, and refuses what it cannot work with by `InvalidInput`. `schemes`: of the URLs that mean this bus.
    `requires`: modules that must be importable, `distribution`: what to install where they are not.
    """

    name: str
    summary: str
    create: Callable[[str, Mapping[str, Any]], MessageBus]
    schemes: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    distribution: str = ""
