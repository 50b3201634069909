"""Taking a remote track, refusing it, and taking it again.

LiveKit's server loses a track that is refused in the moment in which it was taken, and taken again at once: it answers
to neither, and the SDK, for which the track is gone, waits for ever. So there is some time between the two; and a track
that does not come is asked for anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

APART = 0.3
"""Seconds from refusing a track to taking it again; 0.04 lost 11 of 12, 0.2 none."""
_COMES_WITHIN = 2.0
"""Seconds; 0.2 is usual."""
_TRIES = 5


class Subscribing:
    """To one track. `ask(subscribed)` tells the server; `is_there` says whether the track is received."""

    def __init__(self, ask: Callable[[bool], None], is_there: Callable[[], bool]) -> None:
        self._ask = ask
        self._is_there = is_there
        self._next: asyncio.TimerHandle | None = None
        self._may_ask_at = 0.0
        self._tries = 0

    def want(self, wanted: bool) -> None:
        """Take the track, or refuse it, from now on."""
        self.stop()
        if not wanted:
            self._refuse()
            return
        self._tries = 0
        if (left := self._may_ask_at - asyncio.get_running_loop().time()) > 0:
            self._later(left, self._take)
        else:
            self._take()

    def stop(self) -> None:
        """Ask for nothing any more. Idempotent."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _take(self) -> None:
        self._tries += 1
        self._ask(True)
        self._later(_COMES_WITHIN, self._look)

    def _look(self) -> None:
        if not self._is_there() and self._tries < _TRIES:
            self._refuse()
            self._later(APART, self._take)

    def _refuse(self) -> None:
        self._may_ask_at = asyncio.get_running_loop().time() + APART
        self._ask(False)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._next = asyncio.get_running_loop().call_later(seconds, act)
