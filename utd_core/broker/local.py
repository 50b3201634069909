"""The broker of an engine that is alone, in its process.

- An event costs a look-up and one append for each subscriber; nothing is copied, nothing waits.
- The newest events of the busiest channels are kept in memory, so those who come back after a moment do not burden the
  store. Both are bounded: each channel, and all together (the channel that was quiet longest goes first).
- Whatever was missed or came out of order is read from the store, which has every committed event; so an event that is
  published late, twice or not at all shifts nothing.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence

from ..concurrency import BoundedQueue, Overflow, TaskScope
from ..errors import Closed, UTDStreamException
from ..store.base import Envelope, Store
from .base import BrokerStatistics, Recover, Subscription
from .channel import Channel

log = logging.getLogger("utd_core.broker")

RECENT_PER_CHANNEL = 512
RECENT_IN_ALL = 65_536


class LocalBroker:
    """A `Broker` over the store that the events were committed to."""

    def __init__(self, store: Store, *, per_channel: int = RECENT_PER_CHANNEL, in_all: int = RECENT_IN_ALL) -> None:
        self._store = store
        self._per_channel = per_channel
        self._in_all = in_all
        self._channels: dict[str, Channel] = {}
        # The channels that have recent events, the one that was quiet longest first.
        self._recent: OrderedDict[str, Channel] = OrderedDict()
        self._held = 0
        self._scope = TaskScope("broker")
        self._hearers: list[Callable[[Sequence[Envelope]], None]] = []
        self._closed = False
        self._published = self._cut_off = self._mended = self._lost = 0

    async def open(self) -> None:
        if self._closed:
            raise Closed("the broker was closed; make a new one")
        await self._scope.open()

    async def aclose(self) -> None:
        self._closed = True
        await self._scope.aclose()
        for channel in self._channels.values():
            channel.close(Closed("the broker was closed"))
        self._channels.clear()
        self._recent.clear()
        self._hearers.clear()
        self._held = 0

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        if self._closed:
            return
        for hear in self._hearers:
            hear(envelopes)
        for envelope in envelopes:
            channel = self._channels.get(envelope.channel) or self._make(envelope.channel)
            if channel.last is None:
                channel.epoch, channel.last = envelope.epoch, envelope.offset - 1
            elif channel.epoch != envelope.epoch:
                self._begin_anew(channel, envelope)
            ahead = envelope.offset - channel.last
            if ahead == 1:
                self._deliver(channel, envelope)
                if channel.early:
                    self._deliver_early(channel)
            elif ahead > 1:
                self._hold_back(channel, envelope)
        self._shrink()

    def listen(self, hear: Callable[[Sequence[Envelope]], None]) -> None:
        """Have whatever is published told to `hear` too, in the step in which it is; it must not wait, nor raise."""
        self._hearers.append(hear)

    async def subscribe(self, channel: str, *, recover: Recover | None = None, capacity: int = 1_000) -> Subscription:
        self._check_open()
        place = self._channels.get(channel) or self._make(channel)
        place.joining += 1
        try:
            if place.last is None:
                # Events that are published meanwhile tell the place as well, and then they count.
                place.begin(await self._store.head(channel))
            missed = None if recover is None else await self._missed(place, recover, capacity)
            # No wait from here on: what was not missed comes live.
            self._check_open()
            queue: BoundedQueue[Envelope] = BoundedQueue(capacity, Overflow.CLOSE)
            for envelope in missed or ():
                queue.put(envelope)
            subscription = Subscription(channel, place.head, missed is not None, queue)
            place.subscribers[subscription] = None
            return subscription
        finally:
            place.joining -= 1
            self._forget_unused(place)

    def is_followed(self, channel: str) -> bool:
        """Whether somebody subscribes to it, or is about to."""
        place = self._channels.get(channel)
        return place is not None and place.is_used

    def unsubscribe(self, subscription: Subscription) -> None:
        subscription.events.close()
        channel = self._channels.get(subscription.channel)
        if channel is not None and subscription in channel.subscribers:
            del channel.subscribers[subscription]
            self._forget_unused(channel)

    def statistics(self) -> BrokerStatistics:
        return BrokerStatistics(
            channels=len(self._channels),
            subscriptions=sum(len(channel.subscribers) for channel in self._channels.values()),
            recent=self._held,
            published=self._published,
            cut_off=self._cut_off,
            mended=self._mended,
            lost=self._lost,
        )

    async def _missed(self, channel: Channel, recover: Recover, capacity: int) -> list[Envelope] | None:
        """Everything after the place, up to the newest event delivered; None when that cannot be had."""
        until = channel.head.offset
        if recover.epoch != channel.epoch or not 0 <= until - recover.offset <= capacity:
            return None
        missed = channel.since(recover.offset)
        if missed is None:
            held = await self._store.history(channel.name, channel.epoch, recover.offset, until - recover.offset)
            # What was delivered while the store was reading.
            later = channel.since(until)
            if held is None or len(held) != until - recover.offset or later is None or channel.epoch != recover.epoch:
                return None
            missed = [*held, *later]
        return missed if len(missed) <= capacity else None

    def _deliver(self, channel: Channel, envelope: Envelope) -> None:
        self._published += 1
        before = 0 if channel.recent is None else len(channel.recent)
        refused = channel.deliver(envelope, self._per_channel)
        if refused:
            self._cut_off += len(refused)
            log.info("%d readers of %s were too slow and are cut off", len(refused), channel.name)
        if before < self._per_channel:
            self._held += 1
        self._recent[channel.name] = channel
        self._recent.move_to_end(channel.name)

    def _deliver_early(self, channel: Channel) -> None:
        while (envelope := channel.take_early()) is not None:
            self._deliver(channel, envelope)

    def _hold_back(self, channel: Channel, envelope: Envelope) -> None:
        """An event before its turn: those before it are on their way, or must be read from the store."""
        if channel.early is None:
            channel.early = {}
        channel.early[envelope.offset] = envelope
        if len(channel.early) > self._per_channel:
            self._lose(channel)
        elif not channel.mending:
            channel.mending = True
            self._scope.start(self._mend, channel)

    async def _mend(self, channel: Channel) -> None:
        """Read what is missing before the early events; often it has arrived before this begins."""
        try:
            while channel.early:
                last = channel.head.offset
                missing = min(min(channel.early) - last - 1, self._per_channel)
                found = await self._find(channel, last, missing)
                for envelope in found:
                    # Some may have arrived by themselves meanwhile.
                    if envelope.offset == channel.head.offset + 1 and envelope.epoch == channel.epoch:
                        self._mended += 1
                        self._deliver(channel, envelope)
                        self._deliver_early(channel)
                if not found and channel.early and channel.head.offset == last:
                    self._lose(channel)
            self._shrink()
        finally:
            channel.mending = False
            self._forget_unused(channel)

    async def _find(self, channel: Channel, after: int, count: int) -> Sequence[Envelope]:
        try:
            return await self._store.history(channel.name, channel.epoch, after, count) or ()
        except UTDStreamException as error:
            log.warning("%d events of %s cannot be read: %s", count, channel.name, error)
            return ()

    def _lose(self, channel: Channel) -> None:
        self._lost += 1
        log.warning(
            "events of %s after %s are lost; its subscribers must look at a snapshot", channel.name, channel.last
        )
        self._drop_recent(channel)
        channel.lose()

    def _shrink(self) -> None:
        while self._held > self._in_all:
            quiet = next(iter(self._recent.values()))
            self._drop_recent(quiet)
            self._forget_unused(quiet)

    def _begin_anew(self, channel: Channel, first: Envelope) -> None:
        """The channel is in another epoch: the one that was followed so far is no more."""
        self._drop_recent(channel)
        channel.begin_anew(first)

    def _drop_recent(self, channel: Channel) -> None:
        if channel.recent is not None:
            self._held -= len(channel.recent)
            channel.recent = None
            self._recent.pop(channel.name, None)

    def _make(self, name: str) -> Channel:
        channel = self._channels[name] = Channel(name)
        return channel

    def _forget_unused(self, channel: Channel) -> None:
        """Its place can be looked up in the store again."""
        if not channel.is_used and channel.recent is None and self._channels.get(channel.name) is channel:
            del self._channels[channel.name]

    def _check_open(self) -> None:
        if self._closed or not self._scope.is_open:
            raise Closed("the broker is closed" if self._closed else "the broker is not open")
