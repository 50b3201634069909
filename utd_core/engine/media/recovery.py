"""What an engine before this one left behind: people in rooms and calls, and rooms that it could not close any more."""

from __future__ import annotations

import logging
from contextlib import suppress

from ...errors import StoreFailed
from ...model.call import Call, UTDCallStatus
from ...model.channels import room_channel
from ...model.room import ParticipantRemoved, Room
from ..core import Core, States
from ..kinds import CALL, ROOM
from ..timing.alarms import within
from .media_rooms import MediaRooms, owner_of
from .presence import Presence
from .reconciler import Reconciler, is_many, is_over
from .surveys import Surveys

log = logging.getLogger("utd_core.engine")

_PAGE = 500


class Recovery:
    """Begins the presence of what was there before."""

    def __init__(
        self, core: Core, states: States, media_rooms: MediaRooms, reconciler: Reconciler, surveys: Surveys
    ) -> None:
        self._core = core
        self._states = states
        self._media_rooms = media_rooms
        self._reconciler = reconciler
        self._surveys = surveys

    async def recover(self, room: str, state: Room | Call) -> None:
        """Begin to keep the presence of a room or call, if that is not done yet. Raises `StoreFailed`.

        It is complete once the backend has answered. A backend that does not must not keep a room from its commands:
        it is asked again later.
        """
        if room in self._core.presences:
            return
        presence = Presence(many=is_many(state), was_before=True)
        if isinstance(state, Call):
            _place_parties(presence, state)
        else:
            presence.removed.update(await self._removed_lately(state))
        self._core.presences[room] = presence
        try:
            patience = self._core.settings.backend_timeout
            await within(self._core.agenda, patience, self._surveys.look, room, presence, state)
        except Exception:
            log.warning("who is in %r could not be asked; it is asked again", room, exc_info=True)
            self._surveys.ask(room)

    async def recover_all(self) -> None:
        """Load every room and call that has not ended, which recovers its presence; close what an engine before this
        one could not close any more. Raises `StoreFailed` or `MediaError`."""
        for kind in (ROOM, CALL):
            after = ""
            while rows := await self._core.store.states(kind.name, after=after, limit=_PAGE, ended=False):
                for row in rows:
                    # One that cannot be read must not keep the others; whoever uses it is told.
                    with suppress(StoreFailed):
                        await self._states.state(kind, row.key)
                after = rows[-1].key
        for room in await self._core.control.list_rooms():
            state = await self._states.state(*owner_of(room))
            if state is not None and is_over(state):
                self._media_rooms.condemn(room)
                self._reconciler.touch_room(room)

    async def _removed_lately(self, room: Room) -> set[str]:
        """Who was removed while tickets from before could still be used."""
        channel = room_channel(room.name)
        head = await self._core.store.head(channel)
        kept = self._core.settings.history_events
        after = max(0, head.offset - kept)
        envelopes = await self._core.store.history(channel, head.epoch, after, kept) or ()
        since = self._core.clock.now() - self._core.settings.ticket_ttl
        return {e.event.identity for e in envelopes if isinstance(e.event, ParticipantRemoved) and e.at >= since}


def _place_parties(presence: Presence, call: Call) -> None:
    """Both parties as missing; who is connected is found by asking."""
    parties = [(call.caller, call.caller_device, call.caller_name)]
    if call.status is UTDCallStatus.ACTIVE:
        parties.append((call.callee, call.callee_device, call.callee_name))
    for identity, device, name in parties:
        place = presence.enter(identity, device, name, 0.0, 0.0)
        presence.missing(identity, place, 0.0, 0.0)
