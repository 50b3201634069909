"""Nobody talks in the rooms of a project that is suspended or deleted, whatever tickets are still about."""

from __future__ import annotations

from math import inf

from ...concurrency import Clock
from ...engine.media.media_scope import app_id_of
from ...media.backend import MediaControl

INTERVAL = 30.0
"""Seconds between two looks for people who came in with a ticket from before."""
OF_DELETED = 3_600.0
"""Seconds after which nobody has a ticket for a deleted project any more."""


class Silence:
    """Closes the media rooms of some projects, now and again and again. What the projects have is not touched: to their
    engines it is as if everybody had lost the connection."""

    def __init__(self, control: MediaControl, clock: Clock) -> None:
        self._control = control
        self._clock = clock
        self._until: dict[str, float] = {}
        self._due_at = 0.0

    def begin(self, app_id: str, *, seconds: float = inf) -> None:
        """Keep the rooms of this project empty for so long; in any case, empty them once."""
        now = self._clock.monotonic()
        self._until[app_id] = now + seconds
        self._due_at = now

    def end(self, app_id: str) -> None:
        """Let people in again. Idempotent."""
        self._until.pop(app_id, None)

    async def keep(self) -> None:
        """Do what is due. Raises what the media backend raises; it is then due still."""
        now, began = self._clock.monotonic(), dict(self._until)
        if now < self._due_at or not began:
            return
        self._due_at = now + INTERVAL
        try:
            for room in await self._control.list_rooms():
                if app_id_of(room) in began:
                    await self._control.close_room(room)
        except BaseException:
            self._due_at = now
            raise
        for app_id, until in began.items():
            # Unless it began anew meanwhile.
            if until <= now and self._until.get(app_id) == until:
                del self._until[app_id]
