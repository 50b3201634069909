"""Asking the backend who is connected, and believing it.

- A room is asked about when a notification is in doubt, when somebody's time is over, and from time to time.
- Who is connected and has no place is shown out, unless an engine before this one may have let him in.
- Whoever holds something in a room (a seat, the stage, a request, a host's role) and is not there has departed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from math import inf
from typing import Protocol

from ...concurrency.alarm import TICK
from ...media.events import ParticipantInfo
from ...model.call import Call
from ...model.commands.internal import Departed, PartyConnected, PartyDisconnected, Returned
from ...model.identifiers import SERVER, SYSTEM
from ...model.room import Room
from ..core import Core, States
from ..kinds import CALL, ROOM
from ..timing.upkeep import Upkeep
from .media_rooms import MediaRooms, owner_of
from .presence import Place, PlaceState, Presence
from .reconciler import NOBODY, Reconciler, grants_in, is_over

_AT_ONCE = 4
_CHUNK = 500
_SHARE = 20
"""At most one part in so many of the time is spent on asking about a room: it may hold a hundred thousand people."""


class Places(Protocol):
    """What is done with a place that turns out to have no connection."""

    def lose(self, room: str, presence: Presence, identity: str, place: Place, at: float) -> None: ...

    def give_up(self, room: str, identity: str, place: Place, reason: str = "disconnected") -> None: ...


class Surveys:
    """Compares presences with what the backend lists."""

    def __init__(
        self, core: Core, states: States, media_rooms: MediaRooms, reconciler: Reconciler, places: Places
    ) -> None:
        self._core = core
        self._states = states
        self._media_rooms = media_rooms
        self._reconciler = reconciler
        self._places = places
        self._adopt_until = core.clock.now() + core.settings.ticket_ttl
        self.upkeep: Upkeep[str] = core.upkeep("surveys", self._survey, _AT_ONCE)

    def ask(self, room: str) -> None:
        """Ask about a room soon."""
        presence = self._core.presences.get(room)
        wait = 0.0 if presence is None else presence.next_survey - self._core.clock.monotonic()
        if presence is None or wait <= 0:
            self.upkeep.ask(room)
        elif not presence.survey_planned:
            presence.survey_planned = True
            self._core.agenda.after(wait, lambda: self._ask_as_planned(room, presence))

    async def ask_all(self) -> None:
        """Ask about every room, and for the rooms themselves. Raises `MediaError`."""
        for room in list(self._core.presences):
            self.ask(room)
        for room in self._media_rooms.compare(await self._core.control.list_rooms()):
            self._reconciler.touch_room(room)

    def may_adopt(self, presence: Presence) -> bool:
        """Tickets of an engine before this one may still be in use."""
        return presence.was_before and self._core.clock.now() < self._adopt_until

    def _ask_as_planned(self, room: str, presence: Presence) -> None:
        presence.survey_planned = False
        self.upkeep.ask(room)

    async def _survey(self, room: str) -> None:
        state = await self._states.state(*owner_of(room))
        presence = self._core.presences.get(room)
        if state is not None and is_over(state):
            if await self._core.control.list_participants(room):
                self._media_rooms.condemn(room)
                self._reconciler.touch_room(room)
        elif presence is not None and state is not None:
            await self.look(room, presence, state)

    async def look(self, room: str, presence: Presence, state: Room | Call) -> None:
        """Ask about a room now. Raises `MediaError`."""
        clock = self._core.clock
        began = clock.monotonic()
        # What is said from here on is for the next time, and who comes from here on may not be in the answer.
        doubted, presence.doubted = presence.doubted, {}
        presence.arrived = set()
        first = not presence.surveyed
        try:
            infos = await self._core.control.list_participants(room)
            if self._core.presences.get(room) is not presence or is_over(state):
                return
            presence.surveyed = True
            there = await self._compare(room, presence, state, infos, first)
            await self._miss(room, presence, state, there, doubted)
        except BaseException:
            presence.doubted = {**doubted, **presence.doubted}
            raise
        finally:
            presence.arrived = None
        presence.next_survey = clock.monotonic() + _SHARE * (clock.monotonic() - began)
        if isinstance(state, Room):
            self._heed_holders(room, presence, state, first)
        if presence.was_before and not self.may_adopt(presence):
            presence.was_before = False
            presence.removed.clear()

    async def _compare(
        self, room: str, presence: Presence, state: Room | Call, infos: Iterable[ParticipantInfo], first: bool
    ) -> set[str]:
        """Look at everybody who is connected; their media identities."""
        wanted = grants_in(state)
        there = set()
        for number, info in enumerate(infos):
            there.add(info.identity)
            found = presence.find(info.identity)
            if found is None and (first or self.may_adopt(presence)) and isinstance(state, Room):
                found = self._adopt(presence, state, info)
            if found is None:
                self._reconciler.touch(room, info.identity)
                continue
            identity, place = found
            if self._is_older_connection(place, info):
                continue
            if place.state is not PlaceState.CONNECTED:
                presence.connected(place, max(place.seen_at, info.joined_at))
            if isinstance(state, Call) and identity in state.absent:
                self._states.tell(CALL, state.id, PartyConnected(identity))
            place.granted = info.grant
            if info.grant != wanted(identity):
                self._reconciler.touch(room, info.identity)
            if number % _CHUNK == _CHUNK - 1:
                await asyncio.sleep(0)
        return there

    def _is_older_connection(self, place: Place, info: ParticipantInfo) -> bool:
        """Whether a ticket was given since that connection was made; its own is still awaited."""
        waits = place.state is PlaceState.PENDING and place.until > self._core.clock.now() + TICK
        return waits and info.joined_at < place.seen_at

    async def _miss(
        self,
        room: str,
        presence: Presence,
        state: Room | Call,
        there: set[str],
        doubted: dict[Place, str],
    ) -> None:
        """Look at everybody who has a place and is not connected."""
        now = self._core.clock.now() + TICK
        for number, (identity, place) in enumerate(list(presence.places())):
            if number % _CHUNK == _CHUNK - 1:
                await asyncio.sleep(0)
            came = presence.arrived is not None and place in presence.arrived
            if came or presence.media_identity(identity, place.device) in there:
                continue
            if place in doubted and isinstance(state, Room):
                self._places.give_up(room, identity, place, doubted[place])
            elif place.state is PlaceState.CONNECTED:
                self._places.lose(room, presence, identity, place, now)
            elif isinstance(state, Call):
                if place.until <= now:
                    presence.missing(identity, place, now, inf)
                if place.state is PlaceState.MISSING and identity not in state.absent:
                    self._states.tell(CALL, state.id, PartyDisconnected(identity))
            elif place.until <= now:
                self._places.give_up(room, identity, place)

    def _adopt(self, presence: Presence, room: Room, info: ParticipantInfo) -> tuple[str, Place] | None:
        """Take over somebody who was there before a restart, if he may be."""
        identity, device = presence.split(info.identity)
        now = self._core.clock.now()
        bans = [bans[identity] for bans in (room.bans, self._core.bans) if identity in bans]
        if identity in presence.removed or any(ban.holds(now) for ban in bans):
            return None
        place = presence.enter(identity, device, info.name, info.joined_at, inf)
        presence.connected(place, info.joined_at)
        is_host = room.role(identity).is_host
        if room.empty_since is not None or (is_host and (room.hostless_since is not None or room.has_stage)):
            self._states.tell(ROOM, room.name, Returned(identity))
        return identity, place

    def _heed_holders(self, name: str, presence: Presence, room: Room, first: bool) -> None:
        """Those who hold something and are not there: after a restart they have a grace, else they have departed."""
        absent = [identity for identity in holders(room, presence) if identity not in presence]
        if not presence and room.empty_since is None:
            absent.append(NOBODY)
        if first and absent:
            presence.forgiving_until = self._core.clock.now() + self._core.settings.return_grace
            self._core.agenda.after(self._core.settings.return_grace, lambda: self.ask(name))
        elif self._core.clock.now() + TICK >= presence.forgiving_until:
            for identity in absent:
                self._states.tell(ROOM, name, Departed(identity))


def holders(room: Room, presence: Presence) -> set[str]:
    """Identities whose absence the room must know of."""
    found = set(room.grid.occupants()) | set(room.stage)
    for request in room.requests.values():
        found.update(name for name in (request.sender, request.to) if name is not None)
    if room.hostless_since is None and not any(host in presence for host in room.hosts):
        found.update(room.hosts)
    return found - {SERVER, SYSTEM}
