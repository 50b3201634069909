"""State that an application reads, awaits and listens to.

    seats.value                                   what it is now
    stop = seats.subscribe(print)                 each later value, in order; `stop()` ends it
    async for grid in seats: ...                  what it is now, then the latest whenever it has changed
    await seats.wait_for(lambda grid: grid.seat_of(me), timeout=5.0, what="my seat")
    names = seats.map(lambda grid: sorted(grid.occupants()))

- Equal values are not announced again.
- No callback runs where events are received. Each subscriber has a bounded queue with a named overflow policy, and a
  task that runs while something is in it; one that fails is logged and goes on with its next value.
- An iteration never lags behind: it may skip values that were replaced before it came round. A subscriber and
  `wait_for` see every value, as long as they keep up.
- When the owner closes, iterations end after the last value, `wait_for` raises `Closed`, and no callback is called.
"""

from __future__ import annotations

import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ...concurrency import BoundedQueue, Clock, Overflow, TaskScope, within
from ...errors import Closed
from .signal import Signal

log = logging.getLogger("utd_core.client")

T = TypeVar("T")
U = TypeVar("U")

CAPACITY = 256
"""Values held for one subscriber that is slower than the changes."""

_WORDS = 300
"""Characters of a value that an error shows."""

Callback = Callable[[T], object]
"""A function or a coroutine function of the new value; its result is ignored."""


@dataclass(frozen=True, slots=True)
class ObservableStatistics:
    """`subscribers`: callbacks registered now. The others count since the beginning, over all callbacks: values
    `delivered` to them, `dropped` because one was too slow, and calls that `failed` with an exception."""

    subscribers: int = 0
    delivered: int = 0
    dropped: int = 0
    failed: int = 0


class Observable(ABC, Generic[T]):
    """A value that changes, read-only for the application."""

    _clock: Clock

    @property
    @abstractmethod
    def value(self) -> T:
        """What it is now."""

    @abstractmethod
    def subscribe(
        self, callback: Callback[T], *, capacity: int = CAPACITY, overflow: Overflow = Overflow.DROP_OLDEST
    ) -> Callable[[], None]:
        """Call `callback` with each later value, in order. The function that is returned ends it (idempotent).

        `callback` may be a coroutine function: its next value waits until it has returned. `capacity` and `overflow`
        are those of its queue; with `Overflow.CLOSE` a subscriber that falls behind is ended.
        """

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[T]: ...

    async def wait_for(
        self, predicate: Callable[[T], object] = bool, timeout: float | None = None, *, what: str = ""
    ) -> T:
        """The first value for which `predicate` holds, the present one included.

        `timeout`: seconds of the owner's clock, None for no limit. Raises `DeadlineExceeded`, and `Closed` when the
        owner closes before; both name `what` was waited for ("a free seat", "the answer of bob") and the last value.
        """
        value = self.value
        if predicate(value):
            return value
        wanted = what or "what was waited for"
        return await within(
            self._clock,
            timeout,
            self._search(
                predicate, lambda: Closed(f"{wanted} cannot happen any more: its owner was closed; {_last(self)}")
            ),
            lambda: f"{wanted} did not happen within {timeout} s; {_last(self)}",
        )

    @abstractmethod
    async def _search(self, predicate: Callable[[T], object], gone: Callable[[], Closed]) -> T:
        """The first later value for which `predicate` holds. Raises `gone()` when none follows."""

    @abstractmethod
    def statistics(self) -> ObservableStatistics: ...

    def map(self, function: Callable[[T], U]) -> Observable[U]:
        """The values of `function`, which is called where they are read; equal results are not announced again."""
        return _Mapped(self, function)


class Variable(Observable[T]):
    """The owner's end: it is `set` here, and closed when the owner closes. Callbacks run in the owner's `scope`."""

    def __init__(self, value: T, scope: TaskScope, clock: Clock) -> None:
        self._value = value
        self._scope = scope
        self._clock = clock
        self._version = 0
        self._closed = False
        self._changed = Signal()
        self._subscribers: list[_Subscriber[T]] = []
        self._searches: list[BoundedQueue[T]] = []
        self._delivered = self._dropped = self._failed = 0

    @property
    def value(self) -> T:
        return self._value

    def set(self, value: T) -> bool:
        """Announce a new value; False when it equals the present one, or this was closed."""
        if self._closed or value is self._value or value == self._value:
            return False
        self._value = value
        self._version += 1
        self._changed.notify()
        for search in self._searches:
            search.put(value)
        for subscriber in self._subscribers:
            subscriber.queue.put(value)
            if len(subscriber.queue) and not subscriber.is_running and self._scope.is_open:
                subscriber.is_running = True
                self._scope.start(subscriber.deliver, name="observer")
        return True

    def close(self) -> None:
        """No value follows. Idempotent."""
        self._closed = True
        self._changed.notify()
        for search in self._searches:
            search.close()
        for subscriber in self._subscribers.copy():
            self._remove(subscriber)

    def subscribe(
        self, callback: Callback[T], *, capacity: int = CAPACITY, overflow: Overflow = Overflow.DROP_OLDEST
    ) -> Callable[[], None]:
        subscriber: _Subscriber[T] = _Subscriber(callback, BoundedQueue(capacity, overflow))
        if self._closed:
            subscriber.queue.close()
        else:
            self._subscribers.append(subscriber)
        return lambda: self._remove(subscriber)

    def _remove(self, subscriber: _Subscriber[T]) -> None:
        subscriber.is_ended = True
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)
            counted = subscriber.queue.statistics()
            self._delivered += subscriber.delivered
            self._dropped += counted.dropped
            self._failed += subscriber.failed

    def __aiter__(self) -> AsyncIterator[T]:
        return _Changes(self)

    async def _search(self, predicate: Callable[[T], object], gone: Callable[[], Closed]) -> T:
        values: BoundedQueue[T] = BoundedQueue(CAPACITY, Overflow.DROP_OLDEST)
        if self._closed:
            values.close()
        self._searches.append(values)
        try:
            async for value in values:
                if predicate(value):
                    return value
        finally:
            self._searches.remove(values)
        raise gone()

    def statistics(self) -> ObservableStatistics:
        return ObservableStatistics(
            len(self._subscribers),
            self._delivered + sum(subscriber.delivered for subscriber in self._subscribers),
            self._dropped + sum(subscriber.queue.statistics().dropped for subscriber in self._subscribers),
            self._failed + sum(subscriber.failed for subscriber in self._subscribers),
        )


class _Subscriber(Generic[T]):
    """A callback, and what waits for it."""

    __slots__ = ("_callback", "delivered", "failed", "is_ended", "is_running", "queue")

    def __init__(self, callback: Callback[T], queue: BoundedQueue[T]) -> None:
        self._callback = callback
        self.queue = queue
        self.is_running = self.is_ended = False
        self.delivered = self.failed = 0

    async def deliver(self) -> None:
        """Call back until nothing waits."""
        try:
            while len(self.queue) and not self.is_ended:
                value = await self.queue.get()
                self.delivered += 1
                try:
                    result = self._callback(value)
                    if inspect.isawaitable(result):
                        await result
                except Exception:
                    self.failed += 1
                    log.exception("a subscriber failed; it goes on with its next value")
        finally:
            self.is_running = False


class _Changes(AsyncIterator[T]):
    """The present value, then the latest after each change."""

    def __init__(self, variable: Variable[T]) -> None:
        self._variable = variable
        self._seen: int | None = None

    async def __anext__(self) -> T:
        variable = self._variable
        while variable._version == self._seen:
            if variable._closed:
                raise StopAsyncIteration
            await variable._changed.wait()
        self._seen = variable._version
        return variable._value


class _Mapped(Observable[U], Generic[T, U]):
    """A view: it holds nothing of its own and registers nowhere, so it needs no closing."""

    def __init__(self, source: Observable[T], function: Callable[[T], U]) -> None:
        self._source = source
        self._function = function
        self._clock = source._clock

    @property
    def value(self) -> U:
        return self._function(self._source.value)

    def subscribe(
        self, callback: Callback[U], *, capacity: int = CAPACITY, overflow: Overflow = Overflow.DROP_OLDEST
    ) -> Callable[[], None]:
        last = self.value

        def changed(value: T) -> object:
            nonlocal last
            mapped = self._function(value)
            if mapped == last:
                return None
            last = mapped
            return callback(mapped)

        return self._source.subscribe(changed, capacity=capacity, overflow=overflow)

    def __aiter__(self) -> AsyncIterator[U]:
        return _MappedChanges(aiter(self._source), self._function)

    async def _search(self, predicate: Callable[[U], object], gone: Callable[[], Closed]) -> U:
        function = self._function
        return function(await self._source._search(lambda value: predicate(function(value)), gone))

    def statistics(self) -> ObservableStatistics:
        return self._source.statistics()


class _MappedChanges(AsyncIterator[U], Generic[T, U]):
    def __init__(self, changes: AsyncIterator[T], function: Callable[[T], U]) -> None:
        self._changes = changes
        self._function = function
        self._last: list[U] = []

    async def __anext__(self) -> U:
        while True:
            mapped = self._function(await anext(self._changes))
            if self._last != [mapped]:
                self._last = [mapped]
                return mapped


def _last(observable: Observable[Any]) -> str:
    """The present value in words that fit into an error: a grid of a hundred seats does not."""
    words = repr(observable.value)
    return f"the last value is {words if len(words) <= _WORDS else words[:_WORDS] + ' ...'}"
