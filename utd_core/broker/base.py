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


@dataclass(slots=True)
class Subscription:
    """A place in a channel from which on every event is queued.

    `recovered` tells whether the queue begins exactly after the place asked for; if not, the subscriber fetches a
    snapshot. `head` is where the channel was when the subscription began. The queue closes with an error when its
    reader is too slow (a hole would be worse).
    """

    channel: str
    head: Head
    recovered: bool
    events: BoundedQueue[Envelope]


class Broker(Protocol):
    """One per engine node. `publish` is called after the commit, in offset order."""

    async def open(self) -> None: ...

    async def aclose(self) -> None: ...

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Hand committed events to the subscribers of their channels; never waits."""
        ...

    async def subscribe(self, channel: str, *, recover: Recover | None = None, capacity: int = 1_000) -> Subscription:
        """Subscribe, without a gap between what is replayed and what comes live."""
        ...

    def unsubscribe(self, subscription: Subscription) -> None:
        """Idempotent."""
        ...
