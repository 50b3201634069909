"""One channel on one node: where it is, what was published of late, and who listens."""

from __future__ import annotations

from collections import deque
from itertools import islice

from ..errors import Closed
from ..store.base import Envelope, Head
from .base import Subscription


class Channel:
    """Hands each event to every subscriber, by reference, in the order of the offsets.

    `last` is the newest offset that was delivered, None as long as nobody knows. `recent` holds the newest events up to
    `last` without a hole; `early` those that came before their turn, by offset. `joining` counts the subscribers that
    are on their way in.
    """

    __slots__ = ("early", "epoch", "joining", "last", "mending", "name", "recent", "subscribers")

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = ""
        self.last: int | None = None
        self.recent: deque[Envelope] | None = None
        self.early: dict[int, Envelope] | None = None
        self.mending = False
        self.joining = 0
        self.subscribers: dict[Subscription, None] = {}

    @property
    def head(self) -> Head:
        assert self.last is not None, "the head was looked up"
        return Head(self.epoch, self.last)

    @property
    def is_used(self) -> bool:
        return bool(self.subscribers or self.joining or self.mending)

    def begin(self, head: Head) -> None:
        """What comes next follows `head`, unless that is known already."""
        if self.last is None:
            self.epoch, self.last = head.epoch, head.offset

    def begin_anew(self, first: Envelope) -> None:
        """What comes next is `first`, of another epoch. Whoever has seen something of the old one cannot just go on."""
        if self.last:
            self.close(Closed(f"{self.name!r} was discarded and has begun anew; subscribe again"))
        self.epoch, self.last, self.early = first.epoch, first.offset - 1, None

    def deliver(self, envelope: Envelope, keep: int) -> list[Subscription]:
        """The next event, for everybody; answers (and lets go of) those whose queue did not take it.

        `keep`: how many events `recent` holds at most.
        """
        self.last = envelope.offset
        if self.recent is None:
            self.recent = deque(maxlen=keep)
        self.recent.append(envelope)
        refused = [subscription for subscription in self.subscribers if not subscription.events.put(envelope)]
        for subscription in refused:
            del self.subscribers[subscription]
        return refused

    def since(self, offset: int) -> list[Envelope] | None:
        """The events after `offset`, which is not in the future; None when not all of them are recent."""
        assert self.last is not None
        missing = self.last - offset
        if missing == 0:
            return []
        held = 0 if self.recent is None else len(self.recent)
        if missing > held or self.recent is None:
            return None
        return list(islice(self.recent, held - missing, None))

    def take_early(self) -> Envelope | None:
        """The next event, if it came before its turn."""
        assert self.last is not None
        return None if self.early is None else self.early.pop(self.last + 1, None)

    def lose(self) -> None:
        """Events before the early ones cannot be had: end every subscription, go on after the newest."""
        assert self.early
        first, newest = min(self.early), max(self.early)
        error = Closed(f"events before {first} of {self.name!r} were lost on their way; subscribe again")
        self.close(error)
        self.last, self.early, self.recent = newest, None, None

    def close(self, error: Exception | None = None) -> None:
        """End every subscription."""
        for subscription in self.subscribers:
            subscription.events.close(error)
        self.subscribers.clear()
