"""Time that a test moves by hand.

Rules:

- time stands still until `advance` is called; `sleep` only notes a deadline;
- `advance` wakes sleepers in the order of their deadlines (equal deadlines: in the order they went to sleep),
  and shows each of them exactly its deadline as the present time;
- between two deadlines every task runs until all are blocked, so a woken task that sleeps again inside the
  window is woken again inside the window;
- a cancelled sleeper is forgotten at once.

Time moves in whole microseconds: `deadline - now()` of a Unix time has a float error of 0.24 us, and a sleeper
must not miss its instant because of it.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio.to_thread

from ..concurrency.outside import works_outside
from ..errors import DeadlineExceeded

_US = 1_000_000
_QUIET_TURNS = 2
"""Empty turns of the loop in a row that mean "all blocked": one that looks, one more that polls sockets and pipes."""
_BLIND_TURNS = 100
"""Turns given on an event loop that does not show its ready queue (uvloop)."""
_MOST_TURNS = 1_000_000
_REAL_POLL = 0.000_2
_REAL_PATIENCE = 30.0


@dataclass(order=True, slots=True)
class _Sleeper:
    deadline: int
    sequence: int
    wake: asyncio.Future[None] = field(compare=False)


def _ready_queue(loop: asyncio.AbstractEventLoop) -> Sized | None:
    """What the loop will run next; None where it does not show it."""
    return getattr(loop, "_ready", None)


class VirtualClock:
    """A `utd_core.concurrency.Clock` for tests: 30 s of ringing take milliseconds.

    `start` is the Unix time (seconds) at which it begins; `monotonic()` begins at zero.

    It belongs to one event loop. Work in threads that anyio, `asyncio.to_thread` or this package started (a store's)
    is waited for; for other work outside the loop use `hold()`.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start = start
        self._elapsed = 0
        self._sleepers: list[_Sleeper] = []
        self._forgotten = 0
        self._sequence = 0
        self._settling = 0
        self._holds = 0
        self._advancing = asyncio.Lock()

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self._start + self._elapsed / _US

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return self._elapsed / _US

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced by `seconds`; zero or less yields once."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sequence += 1
        deadline = self._elapsed + max(1, round(seconds * _US))
        heapq.heappush(self._sleepers, _Sleeper(deadline, self._sequence, wake))
        try:
            await wake
        except asyncio.CancelledError:
            if wake.cancelled():
                self._forget_one()
            raise

    async def advance(self, seconds: float) -> None:
        """Move time forward by `seconds`, running everything that falls due on the way.

        Calls from several tasks come one after the other; each moves the clock by its own `seconds`. Raises
        `ValueError` for a negative value and `RuntimeError` when a task never blocks.
        """
        if seconds < 0:
            raise ValueError(f"time does not go backwards: advance({seconds!r})")
        async with self._advancing:
            target = self._elapsed + round(seconds * _US)
            await self.settle()
            while (deadline := self._next_deadline()) is not None and deadline <= target:
                await self._move_to(deadline)
            self._elapsed = target

    async def advance_until(self, condition: Callable[[], bool], limit: float = 3_600.0) -> float:
        """Move from deadline to deadline until `condition()` holds; the seconds that took.

        Raises `DeadlineExceeded` when it does not hold within `limit` seconds, or when nobody sleeps any more.
        """
        async with self._advancing:
            begin = self._elapsed
            target = begin + round(limit * _US)
            await self.settle()
            while not condition():
                deadline = self._next_deadline()
                if deadline is None:
                    raise DeadlineExceeded(f"nobody sleeps at {self.monotonic()} s, so the condition cannot come true")
                if deadline > target:
                    self._elapsed = target
                    raise DeadlineExceeded(f"the condition did not hold within {limit} s of virtual time")
                await self._move_to(deadline)
            return (self._elapsed - begin) / _US

    async def settle(self) -> None:
        """Let every task run until all are blocked; time stands still.

        Raises `RuntimeError` when a task never blocks, or work outside the loop takes over 30 s of real time.
        """
        loop = asyncio.get_running_loop()
        ready = _ready_queue(loop)
        wanted = _QUIET_TURNS if ready is not None else _BLIND_TURNS
        give_up_at: float | None = None
        quiet = 0
        self._settling += 1
        try:
            for _ in range(_MOST_TURNS):
                await asyncio.sleep(0)
                if self._works_outside(loop):
                    give_up_at = give_up_at or time.monotonic() + _REAL_PATIENCE
                    if time.monotonic() > give_up_at:
                        raise RuntimeError(f"work outside the event loop has not ended after {_REAL_PATIENCE} s")
                    await asyncio.sleep(_REAL_POLL)
                    quiet = 0
                    continue
                # Two tasks that settle at once see each other's next turn, and only that.
                quiet = quiet + 1 if ready is None or len(ready) < self._settling else 0
                if quiet >= wanted:
                    return
        finally:
            self._settling -= 1
        raise RuntimeError(f"a task still runs after {_MOST_TURNS} turns of the loop; next is {ready}")

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Time stands still inside: for work outside the event loop (a thread, a process, a database)."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    @property
    def pending(self) -> tuple[float, ...]:
        """Deadlines of those who sleep now, earliest first, in `monotonic()` seconds."""
        return tuple(sorted(sleeper.deadline / _US for sleeper in self._sleepers if not sleeper.wake.done()))

    async def _move_to(self, deadline: int) -> None:
        self._elapsed = deadline
        while self._sleepers and self._sleepers[0].deadline <= deadline:
            sleeper = heapq.heappop(self._sleepers)
            if not sleeper.wake.done():
                sleeper.wake.set_result(None)
        await self.settle()

    def _next_deadline(self) -> int | None:
        while self._sleepers and self._sleepers[0].wake.done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0].deadline if self._sleepers else None

    def _forget_one(self) -> None:
        """Keep the heap as small as the number of those who really sleep."""
        self._forgotten += 1
        if self._forgotten * 2 > len(self._sleepers):
            self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper.wake.done()]
            heapq.heapify(self._sleepers)
            self._forgotten = 0

    def _works_outside(self, loop: asyncio.AbstractEventLoop) -> bool:
        if self._holds or works_outside(loop) or anyio.to_thread.current_default_thread_limiter().borrowed_tokens:
            return True
        executor = getattr(loop, "_default_executor", None)
        if executor is None:
            return False
        threads, idle = getattr(executor, "_threads", ()), getattr(executor, "_idle_semaphore", None)
        return idle is not None and len(threads) > idle._value
