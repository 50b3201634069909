"""The world of the client's tests on webrtc_p2p: real media on loopback, and time that goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from tests.client.world import Way, WorldOf
from utd_core.concurrency import SystemClock
from utd_webrtc_p2p.backend import P2PBackend

_QUIET_TURNS = 3
_POLL = 0.005


class LeapingClock(SystemClock):
    """Real time, which a test can have leap ahead. `arrived` waits until what follows from a leap has happened."""

    def __init__(self, arrived: Callable[[], Awaitable[None]]) -> None:
        self._ahead = 0.0
        self._leap = asyncio.Event()
        self._arrived = arrived

    def now(self) -> float:
        return super().now() + self._ahead

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead

    async def sleep(self, seconds: float) -> None:
        until = self.monotonic() + seconds
        await asyncio.sleep(0)
        while (left := until - self.monotonic()) > 0:
            with suppress(TimeoutError):
                # In this task, not in one of its own: who looks for tasks that were left behind would find that.
                async with asyncio.timeout(left):
                    await self._leap.wait()

    async def advance(self, seconds: float) -> None:
        self._ahead += seconds
        leap, self._leap = self._leap, asyncio.Event()
        leap.set()
        await self._arrived()


class P2PWorld(WorldOf[LeapingClock, P2PBackend]):
    """One engine on webrtc_p2p. Clients on the network share the backend too, but not the way to it: they signal over
    their event sockets."""

    def __init__(self, way: Way, **settings: Any) -> None:
        super().__init__(way, LeapingClock(self.settle), P2PBackend({"loopback": "always", **settings}))

    async def settle(self) -> None:
        """Until the loop has nothing to run but what the network brings, and no connection is about to end."""
        ready: Any = getattr(asyncio.get_running_loop(), "_ready", ())
        quiet = 0
        while quiet < _QUIET_TURNS:
            await asyncio.sleep(0)
            quiet = 0 if ready else quiet + 1
            if self.backend.is_busy:
                quiet = 0
                await asyncio.sleep(_POLL)
