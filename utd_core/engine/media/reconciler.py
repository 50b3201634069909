"""The media backend is made to match what the model grants (law 2).

Desired: the grant of those who hold a place, nothing for anybody else. Observed: what the backend was told, or said,
last. Nobody else sets a grant, so a lost notification, a crash between two steps or a failing backend heals by
looking again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from ...errors import NotFound
from ...model.call import Call
from ...model.grants import call_grant_of, grant_of, grants
from ...model.permission import Grant
from ...model.room import DuplicateIdentity, Phase, Room
from ..core import Core, States
from ..timing.upkeep import Upkeep
from .media_rooms import MediaRooms, owner_of
from .presence import PlaceState

_CHUNK = 500
NOBODY = ""
"""Not an identity: its grant is that of everybody who is nothing more than audience."""


class Reconciler:
    """Compares and mends, per media room and media identity."""

    def __init__(self, core: Core, states: States, media_rooms: MediaRooms) -> None:
        self._core = core
        self._states = states
        self._media_rooms = media_rooms
        self._lingering: set[tuple[str, str]] = set()
        concurrency = core.settings.reconcile_concurrency
        self.people: Upkeep[tuple[str, str]] = core.upkeep("grants", self._mend_participant, concurrency)
        self.rooms: Upkeep[str] = core.upkeep("media rooms", self._mend_room, concurrency)

    def touch(self, room: str, media_identity: str) -> None:
        """What this participant may do may differ from what it should."""
        self.people.ask((room, media_identity))

    def touch_identity(self, room: str, identity: str) -> None:
        """The same, on every device of an identity that is in the room."""
        presence = self._core.presences.get(room)
        if presence is not None:
            for media_identity in presence.media_identities(identity):
                self.people.ask((room, media_identity))

    def touch_room(self, room: str) -> None:
        """Everybody's grant may differ, or the room itself must be made or closed."""
        self.rooms.ask(room)

    def linger(self, room: str, media_identity: str) -> None:
        """Somebody left and is about to disconnect; if that does not come soon, it is done for him."""
        key = (room, media_identity)
        self._lingering.add(key)
        self._core.agenda.after(self._core.settings.leave_linger, lambda: self._end_lingering(key))

    def gone(self, room: str, media_identity: str) -> None:
        """The participant has disconnected."""
        self._lingering.discard((room, media_identity))

    async def quiet(self, room: str, media_identity: str) -> None:
        """Return when no call about this participant is under way.

        A removal that was decided before somebody joined anew must not hit the new connection.
        """
        await self.people.quiet((room, media_identity))

    def _end_lingering(self, key: tuple[str, str]) -> None:
        if key in self._lingering:
            self._lingering.discard(key)
            self.people.ask(key)

    async def _mend_participant(self, key: tuple[str, str]) -> None:
        room, media_identity = key
        state = await self._states.state(*owner_of(room))
        presence = self._core.presences.get(room)
        # A room that has ended is closed as a whole, and one that was never there is not ours.
        if state is None or is_over(state):
            return
        found = None if presence is None else presence.find(media_identity)
        if found is None:
            with suppress(NotFound):
                await self._core.control.remove_participant(room, media_identity)
            return
        identity, place = found
        wanted = grant_in(state, identity)
        # Without a ticket there is nothing to differ; the ticket carries the grant of its moment.
        if place.granted is None or place.granted == wanted:
            return
        try:
            await self._core.control.apply_grant(room, media_identity, wanted)
        except NotFound:
            return
        # Before the place's own connection came, this was an older one; the ticket's grant is still what it brings.
        if place.state is PlaceState.CONNECTED:
            place.granted = wanted

    async def _mend_room(self, room: str) -> None:
        await self._media_rooms.close_condemned(room)
        presence = self._core.presences.get(room)
        if not presence:
            return
        state = await self._states.state(*owner_of(room))
        if state is None or is_over(state):
            return
        await self._media_rooms.ensure(room, max_participants(state))
        wanted = grants_in(state)
        for number, (identity, place) in enumerate(list(presence.places())):
            if place.granted is not None and place.granted != wanted(identity):
                self.touch(room, presence.media_identity(identity, place.device))
            if number % _CHUNK == _CHUNK - 1:
                await asyncio.sleep(0)


def is_over(state: Room | Call) -> bool:
    return state.status.is_terminal if isinstance(state, Call) else state.phase is Phase.ENDED


def grant_in(state: Room | Call, identity: str) -> Grant:
    """What somebody who holds a place may do."""
    return call_grant_of(state, identity) if isinstance(state, Call) else grant_of(state, identity)


def grants_in(state: Room | Call) -> Callable[[str], Grant]:
    """The same for many identities at once."""
    if isinstance(state, Call):
        return lambda identity: call_grant_of(state, identity)
    special, audience = grants(state), grant_of(state, NOBODY)
    return lambda identity: special.get(identity, audience)


def max_participants(state: Room | Call) -> int | None:
    """How many connections the media room may have at once.

    A room's own limit is one of places, which the rules keep: the connection of somebody who has just left must not
    bar the one who got the place.
    """
    return len((state.caller, state.callee)) if isinstance(state, Call) else None


def is_many(state: Room | Call) -> bool:
    """Whether one identity may be there on several devices."""
    return isinstance(state, Room) and state.settings.duplicate_identity is DuplicateIdentity.MANY
