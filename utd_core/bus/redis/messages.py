"""A message bus over Redis pub/sub.

Two connections, as one that subscribes can do nothing else. A topic is one channel of Redis, `PREFIX:TOPIC`, which a
node follows as long as somebody on it listens. How many nodes a message reached is what PUBLISH answers, so all nodes
use the same server: a replica or another node of a Redis Cluster counts its own listeners only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

from ...concurrency import TaskScope
from ...errors import Closed, InvalidInput, Unavailable
from ..audience import Audience, Hear, Interrupted, Listener
from ..base import BusStatistics, MessageBus
from .address import DEFAULT, Address

if TYPE_CHECKING:
    from .link import Link

PREFIX = "utd"
PATIENCE = 3.0
"""Seconds."""


class RedisMessages(MessageBus):
    """The bus of nodes that share the Redis at `url`.

    `url`: redis://USER:PASSWORD@HOST:PORT/DB, rediss:// for TLS, or unix:///PATH. `prefix`: names this system among
    those that use the same Redis. `patience`: seconds that Redis may take to answer, and that an operation waits while
    it is away; once it was away for so long, operations fail at once. Raises `InvalidInput`, and `UTDStreamException`
    (missing_extra).
    """

    def __init__(self, url: str = DEFAULT, *, prefix: str = PREFIX, patience: float = PATIENCE) -> None:
        if not prefix or not prefix.isprintable():
            raise InvalidInput("the prefix of a bus's topics must be printable text")
        if not 0 < patience < 3_600:
            raise InvalidInput(f"the patience of a bus must be a number of seconds above zero, got {patience!r}")
        self._address = Address(url)
        self._prefix = f"{prefix}:".encode()
        self._patience = patience
        self._scope = TaskScope(f"message bus {self._address.name}")
        self._audience = Audience(self._scope)
        # For each topic that somebody listens to: done when Redis has confirmed that this node follows it.
        self._followed: dict[str, asyncio.Future[None]] = {}
        self._links: tuple[Link, Link] | None = None
        self._opening = asyncio.Lock()
        self._was_up = False
        self._published = self._interruptions = 0

    async def open(self) -> None:
        async with self._opening:
            await self._scope.open()
            if self._links is None:
                from .link import Link

                publishing = Link(self._address, self._patience)
                following = Link(self._address, self._patience, up=self._connected, push=self._arrived)
                self._links = publishing, following
                for link in self._links:
                    self._scope.start(link.run)
            for link in self._links:
                await link.wait()

    async def aclose(self) -> None:
        self._audience.clear()
        for link in self._links or ():
            link.end()
        for followed in self._followed.values():
            if not followed.done():
                followed.set_exception(Closed(f"the message bus {self._address.name} was closed"))
                followed.exception()
        self._followed.clear()
        await self._scope.aclose()

    async def publish(self, topic: str, message: bytes) -> int:
        publishing, _ = self._open_links()
        reached: int = await publishing.ask("PUBLISH", self._channel(topic), message)
        self._published += 1
        return reached

    async def subscribe(self, topic: str, hear: Hear, *, interrupted: Interrupted | None = None) -> Listener:
        _, following = self._open_links()
        listener = self._audience.add(topic, hear, interrupted)
        try:
            await following.wait()
            followed = self._followed.get(topic)
            if followed is None:
                followed = self._follow([topic])[topic]
            async with asyncio.timeout(self._patience):
                await asyncio.shield(followed)
        except TimeoutError:
            self.unsubscribe(listener)
            raise Unavailable(f"the message bus {self._address.name} does not answer; try again in a moment") from None
        except BaseException:
            self.unsubscribe(listener)
            raise
        return listener

    def unsubscribe(self, listener: Listener) -> None:
        if self._audience.remove(listener):
            self._followed.pop(listener.topic, None)
            if self._links is not None and self._links[1].is_up:
                self._links[1].send("UNSUBSCRIBE", self._channel(listener.topic))

    def statistics(self) -> BusStatistics:
        audience, links = self._audience, self._links or ()
        down = [link.lasting for link in links if not link.is_up]
        return BusStatistics(
            connected=bool(links) and not down,
            topics=len(list(audience.topics)),
            listeners=len(audience),
            published=self._published,
            heard=audience.heard,
            dropped=audience.dropped,
            interruptions=self._interruptions,
            lasting=max(down) if down else min((link.lasting for link in links), default=inf),
        )

    def _connected(self) -> None:
        """Follow again what was followed, and then tell everybody what they may have missed."""
        again, self._was_up = self._was_up, True
        self._interruptions += again
        if topics := list(self._audience.topics):
            self._follow(topics, self._audience.interrupt if again else None)

    def _follow(
        self, topics: Sequence[str], then: Callable[[], None] | None = None
    ) -> Mapping[str, asyncio.Future[None]]:
        """Ask for all of the topics with one command, so that none of their messages comes before it is done."""
        loop = asyncio.get_running_loop()
        waiting: dict[str, asyncio.Future[None]] = {}
        for topic in topics:
            before = self._followed.get(topic)
            waiting[topic] = loop.create_future() if before is None or before.done() else before
        self._followed |= waiting

        def answered() -> None:
            for followed in waiting.values():
                if not followed.done():
                    followed.set_result(None)
            if then is not None:
                then()

        assert self._links is not None
        self._links[1].send("SUBSCRIBE", *map(self._channel, topics), answers=len(topics), answered=answered)
        return waiting

    def _arrived(self, answer: Sequence[bytes]) -> None:
        _, channel, message = answer
        self._audience.deliver(channel[len(self._prefix) :].decode(), message)

    def _channel(self, topic: str) -> bytes:
        return self._prefix + topic.encode()

    def _open_links(self) -> tuple[Link, Link]:
        if self._links is None or not self._scope.is_open:
            raise Closed(f"the message bus {self._address.name} is not open")
        return self._links
