"""Functions that are called later, waits that grow, and waits with an end."""

from __future__ import annotations

import heapq
import itertools
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from ...concurrency import Clock
from ...concurrency.alarm import TICK, Alarm
from ...errors import DeadlineExceeded

T = TypeVar("T")

log = logging.getLogger("utd_core.engine")


class Agenda:
    """Plain functions to be called later, in memory only; times are the clock's `monotonic` seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._alarm = Alarm(clock, clock.monotonic)
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def after(self, seconds: float, function: Callable[[], None]) -> None:
        """Call `function` in `seconds`; it must look whether there is still something to do."""
        due = self._clock.monotonic() + seconds
        heapq.heappush(self._heap, (due, next(self._numbers), function))
        self._alarm.set(due)

    async def run(self) -> None:
        """Call what falls due, for ever."""
        while True:
            await self._alarm.wait()
            now = self._clock.monotonic() + TICK
            while self._heap and self._heap[0][0] <= now:
                _, _, function = heapq.heappop(self._heap)
                try:
                    function()
                except Exception:
                    log.exception("a function on the agenda failed")
            if self._heap:
                self._alarm.set(self._heap[0][0])

    def __len__(self) -> int:
        return len(self._heap)


class Backoff:
    """Doubling waits, from `first` to `limit` seconds."""

    __slots__ = ("_limit", "_next")

    def __init__(self, first: float, limit: float) -> None:
        self._next = first
        self._limit = limit

    def step(self) -> float:
        """The wait before the next try."""
        wait = min(self._next, self._limit)
        self._next = wait * 2
        return wait


async def within(agenda: Agenda, seconds: float, function: Callable[..., Awaitable[T]], *args: object) -> T:
    """The result of `function(*args)`, or `DeadlineExceeded` after `seconds` of the agenda's clock.

    For what happens at every join: `concurrency.within` needs no agenda but a task, and takes eight times as long.
    """
    with anyio.CancelScope() as limit:
        # Calling it off is not needed: a scope that was left does not mind.
        agenda.after(seconds, limit.cancel)
        return await function(*args)
    raise DeadlineExceeded(f"there was no answer within {seconds} s; try again")
