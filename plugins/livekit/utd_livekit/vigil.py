"""Watches that the server still has the rooms that were made on it.

A LiveKit server that was started anew, or whose Redis was, has no rooms, and tells nobody. Until they are made again
nobody can come back: the SDK, which tries by itself for 20 s, is refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from utd_core.concurrency import Clock, Closeable, TaskScope
from utd_core.errors import UTDStreamException

INTERVAL = 2.0
"""Seconds between two looks at one room: a small request, whatever the number of rooms."""

ListRooms = Callable[[Collection[str] | None], Awaitable[Collection[str]]]
"""Those of these rooms that the server has; None: all of them. Raises what the API raises."""


class Vigil(Closeable):
    """Over the rooms between `begin` and `end`. `lost` is told each that the server has no more, once."""

    def __init__(self, clock: Clock, list_rooms: ListRooms, lost: Callable[[str], None]) -> None:
        self._clock = clock
        self._list_rooms = list_rooms
        self._lost = lost
        self._rooms: dict[str, None] = {}
        self._scope = TaskScope("livekit:vigil")
        self._is_awake = False

    async def begin(self, room: str) -> None:
        """The server has it now. Idempotent."""
        self._rooms[room] = None
        await self._scope.open()
        if not self._is_awake:
            self._is_awake = True
            self._scope.start(self._watch)

    def end(self, room: str) -> None:
        """It is closed, or about to be. Idempotent."""
        self._rooms.pop(room, None)

    async def aclose(self) -> None:
        await self._scope.aclose()

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(INTERVAL)
            if self._rooms:
                try:
                    await self._look()
                except UTDStreamException:
                    continue  # a server that cannot be reached is asked again

    async def _look(self) -> None:
        if await self._list_rooms([next(iter(self._rooms))]):
            return
        # Perhaps that one room only; those that are made from here on are not in the answer.
        known = list(self._rooms)
        there = set(await self._list_rooms(None))
        for room in known:
            if room not in there and room in self._rooms:
                self.end(room)
                self._lost(room)
