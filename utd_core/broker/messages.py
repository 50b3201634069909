"""Messages from node to node of a server: the application's own channels, and what is said on a call's.

Unlike the engine's events these are in no store, and nobody recovers them: whoever listens at the moment hears them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from ..errors import Closed

Hear = Callable[[bytes], Awaitable[None]]
"""Takes one message. The next one of the topic waits until it returns."""


class Listener:
    """Somebody's ear on a topic."""

    __slots__ = ("_hear", "_turn", "topic")

    def __init__(self, topic: str, hear: Hear) -> None:
        self.topic = topic
        self._hear = hear
        self._turn = asyncio.Lock()

    async def tell(self, message: bytes) -> None:
        """Have it hear one message after the other, whoever says them."""
        async with self._turn:
            await self._hear(message)


class MessageBus(Protocol):
    """One per node. A message reaches every listener of its topic on every node, the sender's own too, at most once.

    Messages that one node publishes on one topic, one after the other, are heard in that order by everybody.
    """

    async def open(self) -> None:
        """Raises `Closed` after `aclose`, and `StoreFailed` where the other nodes cannot be reached."""
        ...

    async def aclose(self) -> None:
        """Idempotent."""
        ...

    async def publish(self, topic: str, message: bytes) -> None:
        """Hand a message over. Raises `Closed`, and `StoreFailed` where the other nodes cannot be reached."""
        ...

    async def subscribe(self, topic: str, hear: Hear) -> Listener:
        """Listen: what is published after this has returned is heard. Raises as `publish` does."""
        ...

    def unsubscribe(self, listener: Listener) -> None:
        """Listen no more. Idempotent; never waits."""
        ...


class LocalMessages:
    """The bus of a node that is alone. Who publishes waits until everybody has heard it."""

    def __init__(self) -> None:
        self._listeners: dict[str, dict[Listener, None]] = {}
        self._closed = False

    async def open(self) -> None:
        self._check_open()

    async def aclose(self) -> None:
        self._closed = True
        self._listeners.clear()

    async def publish(self, topic: str, message: bytes) -> None:
        self._check_open()
        for listener in list(self._listeners.get(topic, ())):
            await listener.tell(message)

    async def subscribe(self, topic: str, hear: Hear) -> Listener:
        self._check_open()
        listener = Listener(topic, hear)
        self._listeners.setdefault(topic, {})[listener] = None
        return listener

    def unsubscribe(self, listener: Listener) -> None:
        listeners = self._listeners.get(listener.topic, {})
        listeners.pop(listener, None)
        if not listeners:
            self._listeners.pop(listener.topic, None)

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the message bus was closed")
