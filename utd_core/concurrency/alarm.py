"""Waiting on the injected clock for a time that may still move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

import anyio

from .clock import Clock

TICK = 1e-6
"""Seconds by which two times that are meant to be the same may differ: sums of Unix times are no more exact."""


class Alarm:
    """One task sleeps on it until the time that was set; anybody may set an earlier one meanwhile.

    `time` is what the due times are counted in: the clock's `now` or its `monotonic`.
    """

    def __init__(self, clock: Clock, time: Callable[[], float]) -> None:
        self._clock = clock
        self._time = time
        self._due = inf
        self._changed = asyncio.Event()
        self._sleep: anyio.CancelScope | None = None

    def set(self, due: float) -> None:
        """Ring at `due`, or before if that was asked for already."""
        if due >= self._due:
            return
        self._due = due
        self._changed.set()
        if self._sleep is not None:
            self._sleep.cancel()

    async def wait(self) -> None:
        """Return once the earliest due time has come; the alarm is then unset."""
        while (left := self._due - self._time()) > TICK:
            if left == inf:
                self._changed.clear()
                await self._changed.wait()
                continue
            with anyio.CancelScope() as self._sleep:
                await self._clock.sleep(left)
            self._sleep = None
        self._due = inf
