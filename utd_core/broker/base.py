"""Fan-out of events to subscribers, and the recent ones for those who come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..concurrency import BoundedQueue
from ..store.base import Envelope, Head


@dataclass(frozen=True, slots=True)
class Recover:
    """Where a subscriber was before it lost the channel."""

    epoch: str
    offset: int


@dataclass(slots=True, eq=False)
class Subscription:
    """A place in a channel from which on every event is queued, in the order of the offsets, each once.

    `recovered` tells whether the queue begins exactly after the place asked for; if not, it begins after `head`, and
    the subscriber fetches a snapshot. `head` is where the channel was when the subscription began. The queue closes
    with an error (`Closed`) when its reader is too slow, when events were lost on the way to this node (a hole would be
    worse), when the channel was discarded and begins anew in another epoch, and when the broker is closed. What is held
    then can still be read; after that, subscribe again with the last place that was read.
    """

    channel: str
    head: Head
    recovered: bool
    events: BoundedQueue[Envelope]


@dataclass(frozen=True, slots=True)
class BrokerStatistics:
    """Gauges of this moment, and counters since the broker was made.

    `recent`: events kept in memory for those who come back. `cut_off`: subscriptions that were ended because their
    reader was too slow. `mended`: events that did not come in order and were read from the history instead. `lost`:
    times that such events could not be had, so that all subscriptions to the channel were ended.
    """

    channels: int
    subscriptions: int
    recent: int
    published: int
    cut_off: int
    mended: int
    lost: int


class Broker(Protocol):
    """One per engine node."""

    async def open(self) -> None:
        """Raises `Closed` after `aclose`."""
        ...

    async def aclose(self) -> None:
        """End every subscription, with `Closed`. Idempotent."""
        ...

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Hand committed events to the subscribers of their channels; never waits.

        Called in the same step of the event loop in which the commit returned, so that whoever reads a channel's head
        from the store later finds the events up to it published.
        """
        ...

    async def subscribe(self, channel: str, *, recover: Recover | None = None, capacity: int = 1_000) -> Subscription:
        """Subscribe, without a gap between what is replayed and what comes live.

        `capacity`: how many events the reader may fall behind. More than that are not replayed either.
        Raises `StoreFailed` and `Closed`.
        """
        ...

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription and its queue. Idempotent."""
        ...

    def statistics(self) -> BrokerStatistics: ...
