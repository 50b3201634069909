"""Sockets come and go a few at a time, however many do so at once.

To open a socket takes a server a third of a millisecond, and to hear what its client says first twice that again. When
thousands are lost and come back together, all that would be done in a few turns of the event loop, and whoever asks for
anything else would wait for seconds. So they stand in line, and each turn lets as many through as a little time allows:
fewer, where the turn before was long, because those who were let in keep the server busy themselves.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from time import perf_counter

log = logging.getLogger("utd_core.server")

BUDGET = 0.003
"""Seconds of a turn for those who stand in line."""
LONG = 0.03
"""Seconds; after a turn that took longer, only one is let through."""


class Turnstile:
    """Of one event loop. `clock` tells in seconds what time work takes: real time, as it is the processor's."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._line: deque[Callable[[], None]] = deque()
        self._turned_at = 0.0

    def __len__(self) -> int:
        """How many stand in line."""
        return len(self._line)

    def pass_through(self, step: Callable[[], None]) -> None:
        """Have it called in a turn of the loop that is to come, after those who were here before."""
        self._line.append(step)
        if len(self._line) == 1:
            self._turned_at = self._clock()
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        began = self._clock()
        until = began + (BUDGET if began - self._turned_at <= LONG else 0)
        while self._line:
            try:
                self._line[0]()
            except Exception:
                log.exception("a socket could not be let through")
            # Only now: whoever comes meanwhile begins no second turn beside this one.
            self._line.popleft()
            if self._clock() >= until:
                break
        if self._line:
            self._turned_at = began
            asyncio.get_running_loop().call_soon(self._turn)
