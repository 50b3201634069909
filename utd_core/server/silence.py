"""Nobody talks in the rooms of a project that is suspended or deleted, whatever tickets are still about."""

from __future__ import annotations

from math import inf

from ..concurrency import Clock
from ..engine.media_scope import app_id_of
from ..media.backend import MediaControl

INTERVAL = 30.0
"""Seconds between two looks for people who came in with a ticket from before."""
_OF_DELETED = 3_600.0
"""Seconds after which nobody has a ticket for a deleted project any more."""


class Silence:
    """Closes the media rooms of some projects, now and again and again. What the projects have is not touched: to their
    engines it is as if everybody had lost the connection."""

    def __init__(self, control: MediaControl, clock: Clock) -> None:
        self._control = control
        self._clock = clock
        self._until: dict[str, float] = {}
        self._due_at = inf

    def begin(self, app_id: str, *, deleted: bool = False) -> None:
        """Keep the rooms of this project empty from now on."""
        now = self._clock.monotonic()
        self._until[app_id] = now + _OF_DELETED if deleted else inf
        self._due_at = now

    def end(self, app_id: str) -> None:
        """Let people in again. Idempotent."""
        self._until.pop(app_id, None)

    async def keep(self) -> None:
        """Do what is due. Raises what the media backend raises; it is then due still."""
        now = self._clock.monotonic()
        if now < self._due_at:
            return
        self._until = {app_id: until for app_id, until in self._until.items() if until > now}
        if self._until:
            for room in await self._control.list_rooms():
                if app_id_of(room) in self._until:
                    await self._control.close_room(room)
        self._due_at = now + INTERVAL if self._until else inf
