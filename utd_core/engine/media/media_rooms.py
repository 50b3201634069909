"""The media backend's rooms: made when somebody is to join, closed when the room or call has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from ...media.backend import MediaControl
from ...model.identifiers import CALL_PREFIX
from ..kinds import CALL, ROOM, Kind


def owner_of(room: str) -> tuple[Kind, str]:
    """The aggregate that a media room belongs to."""
    if room.startswith(CALL_PREFIX):
        return CALL, room[len(CALL_PREFIX) :]
    return ROOM, room


class MediaRooms:
    """Which media rooms exist, as far as this engine knows.

    Making and closing one room never overlap. A room that ended is closed before it can be made again: whoever was
    connected to the old one does not find himself in the new one.
    """

    def __init__(self, control: MediaControl) -> None:
        self._control = control
        self._made: set[str] = set()
        self._condemned: set[str] = set()
        self._busy: dict[str, asyncio.Future[None]] = {}

    async def ensure(self, room: str, max_participants: int | None) -> None:
        """Have the room. Raises `MediaError`."""
        if room in self._made and room not in self._condemned:
            return
        async with self._alone(room):
            await self._close(room)
            if room not in self._made:
                await self._control.create_room(room, max_participants=max_participants)
                self._made.add(room)

    def condemn(self, room: str) -> None:
        """The room has ended: it must be closed before anything else happens with it."""
        self._condemned.add(room)

    def is_condemned(self, room: str) -> bool:
        """Whether it is still to be closed."""
        return room in self._condemned

    async def close_condemned(self, room: str) -> None:
        """Close the room if it must be. Raises `MediaError`, and then it still must be."""
        if room in self._condemned:
            async with self._alone(room):
                await self._close(room)

    def lost(self, room: str) -> None:
        """The backend has it no more."""
        self._made.discard(room)

    def compare(self, existing: Collection[str]) -> list[str]:
        """Rooms that were made and are not among the `existing` ones; they count as lost."""
        lost = [room for room in self._made if room not in existing]
        self._made.difference_update(lost)
        return lost

    async def _close(self, room: str) -> None:
        if room in self._condemned:
            await self._control.close_room(room)
            self._made.discard(room)
            self._condemned.discard(room)

    @asynccontextmanager
    async def _alone(self, room: str) -> AsyncIterator[None]:
        while (other := self._busy.get(room)) is not None:
            await asyncio.wait([other])
        mine = self._busy[room] = asyncio.get_running_loop().create_future()
        try:
            yield
        finally:
            del self._busy[room]
            mine.set_result(None)
