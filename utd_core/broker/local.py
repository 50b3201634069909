"""The broker of one engine in one process.

A subscriber must see each event once, though it subscribes while events are committed, published and replayed at
the same time. So it is entered *before* anything is looked up; what is published meanwhile waits in its backlog, and
an event at or before the place that the look-up reached is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..concurrency import BoundedQueue, Overflow
from ..errors import Closed
from ..store.base import Envelope, Head, Store
from .base import Recover, Subscription
from .ring import Rings


NOWHERE = Head("", 0)
"""A channel where nothing was published yet."""


class _Feed:
    """One subscription on its way: `backlog` is what was published before its place was known."""

    __slots__ = ("backlog", "epoch", "offset", "queue")

    def __init__(self, capacity: int) -> None:
        self.queue: BoundedQueue[Envelope] = BoundedQueue(capacity, Overflow.CLOSE)
        self.backlog: list[Envelope] | None = []
        self.epoch = ""
        self.offset = 0

    def offer(self, envelope: Envelope) -> None:
        if self.backlog is not None:
            if len(self.backlog) > self.queue.capacity:
                self.queue.close(
                    Closed("more was published during the subscribe than the queue holds; subscribe again")
                )
            else:
                self.backlog.append(envelope)
        elif envelope.offset > self.offset or envelope.epoch != self.epoch:
            self.queue.put(envelope)

    def begin(self, place: Head, replay: Sequence[Envelope]) -> None:
        """Queue what is replayed from `place` on, then what came meanwhile, and go live."""
        self.epoch, self.offset = place.epoch, place.offset
        for envelope in replay:
            self.queue.put(envelope)
            self.offset = envelope.offset
        backlog, self.backlog = self.backlog or [], None
        for envelope in backlog:
            self.offer(envelope)


class LocalBroker:
    """Fan-out by reference to the subscribers in this process; history from memory, else from the store."""

    def __init__(self, store: Store, rings: Rings | None = None) -> None:
        self._store = store
        self._rings = rings or Rings()
        self._feeds: dict[str, dict[int, _Feed]] = {}
        self._closed = False

    async def open(self) -> None:
        if self._closed:
            raise Closed("this broker was closed; make a new one")

    async def aclose(self) -> None:
        """End every subscription. Idempotent."""
        self._closed = True
        for feeds in self._feeds.values():
            for feed in feeds.values():
                feed.queue.close()
        self._feeds.clear()
        self._rings.clear()

    @property
    def subscriptions(self) -> int:
        """How many there are now."""
        return sum(map(len, self._feeds.values()))

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Hand committed events to the subscribers of their channels; never waits."""
        for envelope in envelopes:
            self._rings.add(envelope)
            feeds = self._feeds.get(envelope.channel)
            if feeds:
                for feed in feeds.values():
                    feed.offer(envelope)

    async def subscribe(self, channel: str, *, recover: Recover | None = None, capacity: int = 1_000) -> Subscription:
        """Subscribe, without a gap between what is replayed and what comes live.

        Raises `Closed` after `aclose`, `StoreFailed` when the history cannot be read.
        """
        if self._closed:
            raise Closed("the engine was closed")
        feed = _Feed(capacity)
        self._feeds.setdefault(channel, {})[id(feed.queue)] = feed
        try:
            head = self._rings.head(channel)
            if head is None:
                head = await self._store.head(channel) or NOWHERE
            missed = None if recover is None else await self._missed(channel, recover, head, capacity)
        except BaseException:
            self._remove(channel, feed.queue)
            raise
        if missed is None or recover is None:
            feed.begin(head, ())
        else:
            feed.begin(Head(recover.epoch, recover.offset), missed)
        return Subscription(channel, head, missed is not None, feed.queue)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Idempotent."""
        self._remove(subscription.channel, subscription.events)

    async def _missed(self, channel: str, recover: Recover, head: Head, capacity: int) -> Sequence[Envelope] | None:
        """All events between `recover` and `head`, None when they cannot all be had (or are more than a queue holds)."""
        missing = head.offset - recover.offset
        if recover.epoch != head.epoch or not 0 <= missing <= capacity:
            return None
        held = self._rings.after(channel, recover.epoch, recover.offset)
        if held is None:
            held = await self._store.history(channel, recover.epoch, recover.offset, capacity)
        return None if held is None or len(held) < missing or len(held) > capacity else held

    def _remove(self, channel: str, queue: BoundedQueue[Envelope]) -> None:
        queue.close()
        feeds = self._feeds.get(channel)
        if feeds is not None:
            feeds.pop(id(queue), None)
            if not feeds:
                del self._feeds[channel]
