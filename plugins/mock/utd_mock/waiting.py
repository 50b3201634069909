"""Callers that wait for time or for news, and can all be woken at once."""

from __future__ import annotations

import asyncio

from .agenda import Agenda


class Waiters:
    """A woken caller looks for itself what has happened; nothing is passed through the wake-up."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._waiting: set[asyncio.Future[None]] = set()

    async def pause(self, seconds: float) -> None:
        """Wait `seconds` of the clock, or until woken. Zero yields once, so that no caller counts on atomic calls."""
        if seconds > 0:
            await self.wait(seconds)
        else:
            await asyncio.sleep(0)

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until woken, at most `seconds` of the clock."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(woken)
        timer = None if seconds is None else self._agenda.after(seconds, lambda: _wake(woken))
        try:
            await woken
        finally:
            self._waiting.discard(woken)
            if timer is not None:
                self._agenda.cancel(timer)

    def wake(self) -> None:
        """Wake everybody who waits now."""
        for woken in self._waiting:
            _wake(woken)


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
