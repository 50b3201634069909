"""A wake-up for whoever waits for "something changed"."""

from __future__ import annotations

import asyncio


class Signal:
    """Costs nothing while nobody waits.

    Whoever awaits something between looking and waiting notes `count` before looking, and waits for another one, so
    that no change is missed.
    """

    __slots__ = ("_event", "count")

    def __init__(self) -> None:
        self.count = 0
        self._event: asyncio.Event | None = None

    def notify(self) -> None:
        """Wake everybody who waits now."""
        self.count += 1
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self, seen: int | None = None) -> None:
        """Wait for the next `notify()`; with `seen`, only if there was none since the count was that."""
        if seen is not None and seen != self.count:
            return
        if self._event is None:
            self._event = asyncio.Event()
        await self._event.wait()
