"""Everything that the server does later, in the order of its time, served by one task.

A frame under way, a signal that is held, a grant that takes effect late: each is a `Timer` here, so none of
them needs a task of its own, and all of them end together with the server.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from utd_core.concurrency import Clock, TaskScope

log = logging.getLogger("utd_mock")

_TICK = 0.5e-6
"""Seconds of float error by which a timer may be early; waiting for them would move it to the next microsecond."""


@dataclass(order=True, slots=True)
class Timer:
    """`order` decides between timers of the same time: first asked, first served."""

    due: float
    order: int
    fire: Callable[[], object] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)


class Agenda:
    """Runs plain functions at their time of `clock`, never two at once."""

    def __init__(self, clock: Clock, name: str) -> None:
        self.clock = clock
        self._scope = TaskScope(name)
        self._timers: list[Timer] = []
        self._orders = itertools.count()
        self._changed = asyncio.Event()
        self._nap: anyio.CancelScope | None = None
        self._serving = False

    async def open(self) -> None:
        """Start to serve. Idempotent; raises `Closed` after `aclose`."""
        await self._scope.open()
        if self._scope.is_open and not self._serving:
            self._serving = True
            self._scope.start(self._serve)

    def ticket(self) -> int:
        """A place in the order of timers of equal time, to be used later in `at`."""
        return next(self._orders)

    def after(self, seconds: float, fire: Callable[[], object]) -> Timer:
        """Call `fire` in `seconds`."""
        return self.at(self.clock.monotonic() + seconds, fire)

    def at(self, due: float, fire: Callable[[], object], order: int | None = None) -> Timer:
        """Call `fire` when the clock's `monotonic()` reaches `due`."""
        timer = Timer(due, self.ticket() if order is None else order, fire)
        heapq.heappush(self._timers, timer)
        if self._timers[0] is timer:
            self._look_again()
        return timer

    def cancel(self, timer: Timer) -> None:
        """The timer will not fire. Idempotent."""
        timer.cancelled = True
        if self._timers and self._timers[0] is timer:
            self._look_again()

    async def aclose(self) -> None:
        """Nothing fires any more. Idempotent."""
        self._timers.clear()
        await self._scope.aclose()

    def _look_again(self) -> None:
        self._changed.set()
        if self._nap is not None:
            self._nap.cancel()

    async def _serve(self) -> None:
        while True:
            self._changed.clear()
            self._fire_all_due()
            if not self._timers:
                await self._changed.wait()
                continue
            with anyio.CancelScope() as self._nap:
                await self.clock.sleep(self._timers[0].due - self.clock.monotonic())
            self._nap = None

    def _fire_all_due(self) -> None:
        while self._timers and (self._timers[0].cancelled or self._timers[0].due - self.clock.monotonic() <= _TICK):
            timer = heapq.heappop(self._timers)
            if timer.cancelled:
                continue
            try:
                timer.fire()
            except Exception:
                log.exception("a timer of the mock server failed")
