"""One stream of events with any number of readers, each with a bounded queue of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Generic, TypeVar
from weakref import ref

from ...concurrency import BoundedQueue, Closeable, Overflow, QueueStatistics

T = TypeVar("T")

CAPACITY = 1_000


class EventReader(Closeable, AsyncIterator[T]):
    """Events from the moment it was made, oldest first, until the stream or the reader is closed.

    One that nobody holds any more is forgotten, so leaving an `async for` early needs no clean-up.
    """

    def __init__(self, capacity: int, overflow: Overflow) -> None:
        self._queue: BoundedQueue[T] = BoundedQueue(capacity, overflow)

    async def __anext__(self) -> T:
        return await anext(self._queue)

    def get_nowait(self) -> T | None:
        """The oldest event, or None when none is waiting."""
        return self._queue.get_nowait()

    def statistics(self) -> QueueStatistics:
        """Events delivered, waiting, and dropped because the reader was too slow."""
        return self._queue.statistics()

    async def aclose(self) -> None:
        """Stop reading. Idempotent."""
        self._queue.close()


class EventStream(Generic[T]):
    """What the application reads: `async for event in stream`, or `stream.reader(...)` to choose the queue."""

    def __init__(self) -> None:
        # Weak references in a plain list: a publish without readers, the usual case, must cost nothing.
        self._readers: list[ref[EventReader[T]]] = []
        self._closed = False

    def reader(self, *, capacity: int = CAPACITY, overflow: Overflow = Overflow.DROP_OLDEST) -> EventReader[T]:
        """A reader of every later event; one that is `capacity` behind loses events by its policy, and counts them."""
        reader: EventReader[T] = EventReader(capacity, overflow)
        if self._closed:
            reader._queue.close()
        else:
            self._readers.append(ref(reader, self._readers.remove))
        return reader

    def __aiter__(self) -> AsyncIterator[T]:
        return self.reader()


class EventSource(Generic[T]):
    """The owner's end of a `stream`."""

    def __init__(self) -> None:
        self.stream: EventStream[T] = EventStream()

    def publish(self, event: T) -> None:
        """Hand an event to every reader; never waits."""
        if self.stream._readers:
            for reader in self._alive():
                reader._queue.put(event)

    def close(self) -> None:
        """Readers get what is held, then the end. Idempotent."""
        self.stream._closed = True
        for reader in self._alive():
            reader._queue.close()

    def _alive(self) -> list[EventReader[T]]:
        return [reader for weak in self.stream._readers if (reader := weak()) is not None]
