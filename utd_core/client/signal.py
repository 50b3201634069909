"""A wake-up for whoever waits for "something changed"."""

from __future__ import annotations

import asyncio


class Signal:
    """Costs nothing while nobody waits. A waiter looks at its condition again after each `wait()`.

    There is no await between looking and waiting, so no change is missed.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: asyncio.Event | None = None

    def notify(self) -> None:
        """Wake everybody who waits now."""
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Wait for the next `notify()`."""
        if self._event is None:
            self._event = asyncio.Event()
        await self._event.wait()
