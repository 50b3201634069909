"""The bus of a node that is alone, or of several nodes in one process."""

from __future__ import annotations

import asyncio

from ..concurrency import TaskScope
from ..errors import Closed
from .audience import Audience, Hear, Interrupted, Listener
from .base import BusStatistics, MessageBus


class LocalMessages(MessageBus):
    """Reaches whoever listens in this process: on this bus, and on those that were made `beside` it."""

    def __init__(self, *, beside: LocalMessages | None = None) -> None:
        self._scope = TaskScope("message bus")
        self._audience = Audience(self._scope)
        self._nodes: list[LocalMessages] = [] if beside is None else beside._nodes
        self._published = 0

    async def open(self) -> None:
        await self._scope.open()
        if self not in self._nodes:
            self._nodes.append(self)

    async def aclose(self) -> None:
        if self in self._nodes:
            self._nodes.remove(self)
        self._audience.clear()
        await self._scope.aclose()

    async def publish(self, topic: str, message: bytes) -> int:
        self._check_open()
        self._published += 1
        reached = sum(1 for node in self._nodes if node._audience.deliver(topic, message))
        # Whoever publishes without end lets the others hear, as it would where a message leaves the process.
        await asyncio.sleep(0)
        return reached

    async def subscribe(self, topic: str, hear: Hear, *, interrupted: Interrupted | None = None) -> Listener:
        self._check_open()
        return self._audience.add(topic, hear, interrupted)

    def unsubscribe(self, listener: Listener) -> None:
        self._audience.remove(listener)

    def statistics(self) -> BusStatistics:
        audience = self._audience
        return BusStatistics(
            connected=self._scope.is_open,
            topics=len(list(audience.topics)),
            listeners=len(audience),
            published=self._published,
            heard=audience.heard,
            dropped=audience.dropped,
            interruptions=0,
        )

    def _check_open(self) -> None:
        if not self._scope.is_open:
            raise Closed("the message bus is not open")
