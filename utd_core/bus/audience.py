"""Who listens on one node, and having each hear in its turn.

Every bus hands what has arrived to its `Audience`, so all of them treat slow and failing listeners alike.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic

from ..concurrency import BoundedQueue, Overflow, TaskScope

log = logging.getLogger("utd_core.bus")

Hear = Callable[[bytes], Awaitable[None]]
"""Takes one message. The next one of the same listener waits until it returns."""
Interrupted = Callable[[], Awaitable[None]]
"""Is told that messages may be missing; called in turn, after those before the gap and before those after it."""

MOST_WAITING = 4_096
"""Messages that may wait for one listener."""
MOST_BYTES = 16 * 2**20
"""Bytes that may wait for one listener."""

TURN = 0.005
"""Seconds that a listener may keep the event loop from everybody else, but for what a single message takes."""

_GAP = None


class Listener:
    """Somebody's ear on a topic. Made by `MessageBus.subscribe`.

    What it has not heard yet waits in a queue of its own, at most `MOST_WAITING` messages and `MOST_BYTES`. Messages
    that find it full are dropped (`Overflow.DROP_NEWEST`) and counted, and then it is told of the gap.
    """

    __slots__ = ("_bytes", "_gap", "_hear", "_interrupted", "_queue", "dropped", "is_hearing", "topic")

    def __init__(self, topic: str, hear: Hear, interrupted: Interrupted | None = None) -> None:
        self.topic = topic
        self.dropped = 0
        self.is_hearing = False
        self._hear = hear
        self._interrupted = interrupted
        # One place more than there may be messages, which a gap can always have.
        self._queue: BoundedQueue[bytes | None] = BoundedQueue(MOST_WAITING + 1, Overflow.DROP_NEWEST)
        self._bytes = 0
        # Messages are missing after those that wait.
        self._gap = False

    def put(self, message: bytes) -> None:
        """Keep a message until its turn comes, unless there is no room."""
        needed = 2 if self._gap else 1
        if len(self._queue) + needed > self._queue.capacity or self._bytes + len(message) > MOST_BYTES:
            self._gap = True
            self.dropped += 1
            if not self.dropped & (self.dropped - 1):
                # Told less and less often.
                log.warning("a listener on %r is too slow; it has missed %d messages", self.topic, self.dropped)
            return
        if self._gap:
            self._gap = False
            self._queue.put(_GAP)
        self._bytes += len(message)
        self._queue.put(message)

    def miss(self) -> None:
        """Messages may be missing from here on."""
        self._gap = True

    def close(self) -> None:
        """Hear nothing any more. Idempotent."""
        self._queue.close()
        while self._queue.get_nowait() is not None or self._queue:
            continue
        self._gap = False

    async def hear_all(self) -> None:
        """Hear what waits, one after the other, until nothing does."""
        turn_ends = monotonic() + TURN
        try:
            while True:
                if self._queue:
                    message = self._queue.get_nowait()
                elif self._gap:
                    self._gap, message = False, _GAP
                else:
                    return
                await self._hear_one(message)
                if self._queue and monotonic() > turn_ends:
                    # A listener that never waits must not keep everybody else from the event loop.
                    await asyncio.sleep(0)
                    turn_ends = monotonic() + TURN
        finally:
            self.is_hearing = False

    async def _hear_one(self, message: bytes | None) -> None:
        try:
            if message is not None:
                self._bytes -= len(message)
                await self._hear(message)
            elif self._interrupted is not None:
                await self._interrupted()
        except Exception:
            log.exception("a listener on %r failed", self.topic)


class Audience:
    """The listeners of one node, by topic. Each hears in a task of its own, which lasts while something waits for it.

    A listener that is slow, or fails, keeps nobody else waiting.
    """

    def __init__(self, scope: TaskScope) -> None:
        self._scope = scope
        self._listeners: dict[str, dict[Listener, None]] = {}
        self._dropped = 0
        self.heard = 0

    @property
    def topics(self) -> Iterable[str]:
        """Those that somebody listens to."""
        return self._listeners.keys()

    @property
    def dropped(self) -> int:
        """Messages that listeners were too slow for, those that are gone included."""
        return self._dropped + sum(listener.dropped for each in self._listeners.values() for listener in each)

    def __contains__(self, topic: object) -> bool:
        return topic in self._listeners

    def __len__(self) -> int:
        return sum(map(len, self._listeners.values()))

    def add(self, topic: str, hear: Hear, interrupted: Interrupted | None = None) -> Listener:
        """Somebody more who listens."""
        listener = Listener(topic, hear, interrupted)
        self._listeners.setdefault(topic, {})[listener] = None
        return listener

    def remove(self, listener: Listener) -> bool:
        """Have it hear nothing any more; whether it was the last one of its topic. Idempotent."""
        listeners = self._listeners.get(listener.topic, {})
        if listener not in listeners:
            return False
        listener.close()
        self._dropped += listener.dropped
        del listeners[listener]
        if listeners:
            return False
        del self._listeners[listener.topic]
        return True

    def deliver(self, topic: str, message: bytes) -> int:
        """Hand a message to everybody on the topic, which never waits; how many there are. Raises `Closed`."""
        listeners = self._listeners.get(topic, ())
        self.heard += len(listeners)
        for listener in listeners:
            listener.put(message)
            self._wake(listener)
        return len(listeners)

    def interrupt(self) -> None:
        """Tell everybody, in turn, that messages may be missing. Raises `Closed`."""
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.miss()
                self._wake(listener)

    def clear(self) -> None:
        """Nobody listens any more."""
        for listeners in list(self._listeners.values()):
            for listener in list(listeners):
                self.remove(listener)

    def _wake(self, listener: Listener) -> None:
        if not listener.is_hearing:
            self._scope.start(listener.hear_all, name=listener.topic)
            listener.is_hearing = True
