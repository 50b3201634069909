"""A bounded queue whose overflow policy has a name and a counter.

No queue in this package grows without bound: a reader that is too slow loses items by a policy it chose,
and can see how many.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from ..errors import Closed

T = TypeVar("T")


class Overflow(StrEnum):
    """What a full queue does with one item more."""

    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    CLOSE = "close"
    """End the queue: the reader gets what is held, then an error. For streams that must have no holes."""


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """Counters of a queue since it was made; `waiting` is what it holds now."""

    accepted: int
    delivered: int
    dropped: int
    waiting: int


class BoundedQueue(Generic[T]):
    """A single-loop queue of at most `capacity` items; `put` never waits.

    Several readers share the items, each item goes to one of them. After `close()` readers still get
    what is held, then `StopAsyncIteration` (iteration) or `Closed` (`get`), or the error given to `close`.
    """

    __slots__ = (
        "_accepted",
        "_closed",
        "_delivered",
        "_dropped",
        "_error",
        "_items",
        "_waiters",
        "capacity",
        "overflow",
    )

    def __init__(self, capacity: int, overflow: Overflow = Overflow.DROP_OLDEST) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self.capacity = capacity
        self.overflow = overflow
        self._items: deque[T] = deque()
        # In the order they came; not a deque, which takes 0.6 KB even when it is empty.
        self._waiters: dict[asyncio.Future[None], None] = {}
        self._closed = False
        self._error: Exception | None = None
        self._accepted = self._delivered = self._dropped = 0

    def put(self, item: T) -> bool:
        """Add an item; False if it, or an older one in its place, was dropped, or the queue is closed."""
        if self._closed:
            return False
        kept = True
        if len(self._items) >= self.capacity:
            self._dropped += 1
            if self.overflow is Overflow.DROP_NEWEST:
                return False
            if self.overflow is Overflow.CLOSE:
                self.close(Closed(f"the reader fell {self.capacity} items behind; read faster or raise the capacity"))
                return False
            self._items.popleft()
            kept = False
        self._items.append(item)
        self._accepted += 1
        self._wake_one()
        return kept

    def supersede(self, item: T) -> bool:
        """Add an item in the place of the newest that waits, if that is of its class: for states, of which only the
        last one counts, so that who does not read is not overrun by them. Otherwise as `put`."""
        if not self._closed and self._items and type(self._items[-1]) is type(item):
            self._items[-1] = item
            return True
        return self.put(item)

    def get_nowait(self) -> T | None:
        """The oldest item, or None when there is none."""
        if not self._items:
            return None
        self._delivered += 1
        return self._items.popleft()

    async def get(self) -> T:
        """The oldest item, waiting for one. Raises `Closed`, or the error given to `close`, at the end."""
        while not self._items:
            if self._closed:
                raise self._error or Closed("the stream has ended")
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters[waiter] = None
            try:
                await waiter
            except BaseException:
                # A reader cancelled after it was woken hands the wake-up on, else an item would lie unread.
                if waiter.done() and not waiter.cancelled():
                    self._wake_one()
                elif waiter in self._waiters:
                    del self._waiters[waiter]
                raise
        self._delivered += 1
        return self._items.popleft()

    def close(self, error: Exception | None = None) -> None:
        """End the queue; `error` is what readers get after the items that are held. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._error = error
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def error(self) -> Exception | None:
        """What `close` was given, which readers get after what is held."""
        return self._error

    def __len__(self) -> int:
        return len(self._items)

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        if self._items:
            self._delivered += 1
            return self._items.popleft()
        if self._closed and self._error is None:
            raise StopAsyncIteration
        try:
            return await self.get()
        except Closed:
            if self._error is None:
                raise StopAsyncIteration from None
            raise

    def statistics(self) -> QueueStatistics:
        return QueueStatistics(self._accepted, self._delivered, self._dropped, len(self._items))

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = next(iter(self._waiters))
            del self._waiters[waiter]
            if not waiter.done():
                waiter.set_result(None)
                return
