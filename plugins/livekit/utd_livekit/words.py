"""What the server is told of one thing more than once, so that the last word counts.

The native library sends every wish in a task of its own, and two that are told at once reach the server in either
order: of 600 microphones that were muted and unmuted at once 21 stayed muted, of 600 pictures that were refused and
wished at once 40 did not come (eight threads on two processors). So words that contradict each other are some time
apart, and of those that were said meanwhile only the last one is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

APART = 0.3
"""Seconds. Of 12 tracks refused as they came and taken again 11 were lost after 0.04 s, and none after 0.2."""
REPEATED_AFTER = 0.5
"""Seconds, of a machine on which a word took longer on its way than the next one."""


class LastWord(Generic[T]):
    """About one thing. `tell` tells the server; `repeat`, where there is one, says once more what was told."""

    def __init__(self, tell: Callable[[T], None], repeat: Callable[[T], None] | None = None) -> None:
        self._tell = tell
        self._repeat = repeat
        self._told: T | None = None
        self._may_change_at = 0.0
        self._next: asyncio.TimerHandle | None = None

    def stands(self, word: T) -> None:
        """It counts from this moment, and the server knows."""
        self.stop()
        self._told = word
        self._may_change_at = asyncio.get_running_loop().time() + APART

    def say(self, word: T) -> None:
        """At once, or as soon as the last one has been told long enough."""
        left = self._may_change_at - asyncio.get_running_loop().time()
        if left > 0 and word != self._told:
            self._later(left, self._say, word)
        else:
            self._say(word)

    def stop(self) -> None:
        """Say nothing any more of what was to be said. Idempotent."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _say(self, word: T) -> None:
        self.stands(word)
        self._tell(word)
        if self._repeat is not None:
            self._later(REPEATED_AFTER, self._say_again, word)

    def _say_again(self, word: T) -> None:
        assert self._repeat is not None
        self.stands(word)
        self._repeat(word)

    def _later(self, seconds: float, say: Callable[[T], None], word: T) -> None:
        self.stop()
        self._next = asyncio.get_running_loop().call_later(seconds, say, word)
