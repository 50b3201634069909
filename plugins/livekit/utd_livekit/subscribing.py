"""Taking a remote track, refusing it, and taking it again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .words import LastWord

_COMES_WITHIN = 2.0
"""Seconds; 0.2 is usual."""
_TRIES = 5


class Subscribing:
    """To one track, which is asked for anew when it does not come.

    `ask(subscribed)` tells the server; `is_there` says whether the track is received.
    """

    def __init__(self, ask: Callable[[bool], None], is_there: Callable[[], bool]) -> None:
        self._ask = ask
        self._is_there = is_there
        self._word = LastWord(self._tell)
        self._look_at: asyncio.TimerHandle | None = None
        self._tries = 0

    def want(self, wanted: bool) -> None:
        """Take the track, or refuse it, from now on."""
        self.stop()
        self._tries = 0
        self._word.say(wanted)

    def stop(self) -> None:
        """Ask for nothing any more. Idempotent."""
        self._word.stop()
        if self._look_at is not None:
            self._look_at.cancel()
            self._look_at = None

    def _tell(self, wanted: bool) -> None:
        self._ask(wanted)
        if wanted:
            self._tries += 1
            self._look_at = asyncio.get_running_loop().call_later(_COMES_WITHIN, self._look)

    def _look(self) -> None:
        if not self._is_there() and self._tries < _TRIES:
            self._word.say(False)
            self._word.say(True)
