"""What is kept, and for how long.

- Events and answers go by their age (`Store.prune`).
- A room or call that is over for `ended_retention` seconds is discarded, its channel with it; and so is the line of
  somebody who was in no call for as long, as all calls that it remembers are gone.
- What goes on, or began anew under an old name at that very moment, is not touched: a state is only discarded at the
  version at which it was found to have ended. Whoever decided on it meanwhile has a conflict, and is decided anew.
- A media room that is still to be closed keeps its room or call, or nobody would know any more that it must be.
"""

from __future__ import annotations

import asyncio

from ...model.call import media_room
from ...store.base import Remains
from ..core import Core
from ..deciding.aggregates import Residents
from ..kinds import CALL, KINDS, ROOM
from ..media.media_rooms import MediaRooms

_AT_ONCE = 20
"""States in one transaction: each may have some hundred events, and commits must not wait long."""


class Retention:
    """Cleans up when it is asked to.

    `is_recovered`: what an engine before this one left behind was looked at; until then nobody knows which media rooms
    are still to be closed.
    """

    def __init__(self, core: Core, residents: Residents, media_rooms: MediaRooms) -> None:
        self.is_recovered = False
        self._core = core
        self._residents = residents
        self._media_rooms = media_rooms

    async def prune(self) -> None:
        """Delete everything whose time is over, in small transactions. Raises `StoreFailed` or `Closed`."""
        settings, now = self._core.settings, self._core.clock.now()
        await self._core.store.prune(
            now - settings.history_seconds, settings.history_events, answers_before=now - settings.answer_seconds
        )
        if settings.ended_retention is not None and self.is_recovered:
            # Whoever still has a ticket may connect with it, and is shown out because the room is known to be over.
            await self._discard_ended(now - max(settings.ended_retention, settings.ticket_ttl))

    async def _discard_ended(self, before: float) -> None:
        stay: set[tuple[str, str]] = set()
        while True:
            found = await self._core.store.ended(before, _AT_ONCE + len(stay))
            remains = [_remains(*each) for each in found if each[:2] not in stay]
            if not remains:
                return
            going = [each for each in remains if not self._is_to_be_closed(each)]
            discarded = await self._core.store.discard(going)
            gone = {(each.kind, each.key) for each, is_gone in zip(going, discarded, strict=True) if is_gone}
            stay.update({(each.kind, each.key) for each in remains} - gone)
            for kind, key in gone:
                self._forget(kind, key)
            # A store in memory never waits; others want to go on.
            await asyncio.sleep(0)

    def _is_to_be_closed(self, remains: Remains) -> bool:
        if remains.kind == CALL.name:
            return self._media_rooms.is_condemned(media_room(remains.key))
        return remains.kind == ROOM.name and self._media_rooms.is_condemned(remains.key)

    def _forget(self, kind: str, key: str) -> None:
        """Let nobody be answered from memory. One that has work finds out by itself, from the conflict."""
        known = KINDS.get(kind)
        aggregate = None if known is None else self._residents.peek(known, key)
        if aggregate is not None and aggregate.is_idle:
            aggregate.forget()


def _remains(kind: str, key: str, version: int) -> Remains:
    known = KINDS.get(kind)
    return Remains(kind, key, version, None if known is None else known.home(key))
