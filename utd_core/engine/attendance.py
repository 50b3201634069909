"""Who is in which media room: fed by tickets and by the backend's notifications, healed by asking the backend.

Rules:

- A ticket gives a place; a notification says that its connection came or went. Notifications may be lost, doubled,
  late or reversed, so one that is older than the last that counted is no news but a reason to ask.
- Who lost the connection has `return_grace` to come back; who closed it is gone at once. Nobody is given up because
  time ran out before the backend was asked whether the connection is there after all.
- A connection without a place is removed; except after a restart, when those who may be in the room are taken over.
- Whoever holds something in a room (a seat, the stage, a request, a host's role) and is not there has departed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from math import inf

from ..media.events import DisconnectReason, Notification, NotificationKind, ParticipantInfo
from ..model.bans import Ban
from ..model.call import Call, UTDCallStatus, media_room
from ..model.channels import room_channel
from ..model.commands.internal import Departed, PartyConnected, PartyDisconnected, Returned
from ..model.identifiers import SERVER, SYSTEM
from ..model.project import Project
from ..model.room import DuplicateIdentity, ParticipantRemoved, Room
from .alarms import TICK
from .core import Core, States
from .kinds import CALL, PROJECT, ROOM
from .media_rooms import MediaRooms, owner_of
from .presence import Place, PlaceState, Presence
from .reconciler import NOBODY, Reconciler, desired, desired_by_identity, is_over
from .upkeep import Upkeep

log = logging.getLogger("utd_core.engine")

_SURVEYS = 4
_CHUNK = 500
_SHARE = 20
"""At most one part in so many of the time is spent on asking about a room: it may hold a hundred thousand people."""
_PAGE = 500
_GONE_AT_ONCE = {DisconnectReason.CLIENT_LEFT: "left", DisconnectReason.REMOVED: "disconnected"}


class Attendance:
    """Keeps the presences of all media rooms, and tells rooms and calls what follows from them.

    `on_gone(room, identity)` is called when somebody is on no device of a room any more, without having left it.
    """

    def __init__(
        self,
        core: Core,
        states: States,
        media_rooms: MediaRooms,
        reconciler: Reconciler,
        on_gone: Callable[[str, str], None],
    ) -> None:
        self._core = core
        self._states = states
        self._media_rooms = media_rooms
        self._reconciler = reconciler
        self._on_gone = on_gone
        self._adopt_until = core.clock.now() + core.settings.ticket_ttl
        self.surveys: Upkeep[str] = core.upkeep("surveys", self._survey, _SURVEYS)

    def notice(self, notification: Notification) -> None:
        """Take a notification of the backend as a hint."""
        room, media_identity = notification.room, notification.identity
        if notification.kind is NotificationKind.ROOM_CLOSED:
            self._media_rooms.lost(room)
            self._reconciler.touch_room(room)
            self.survey(room)
        elif media_identity is None:
            return
        elif notification.kind is NotificationKind.PARTICIPANT_JOINED:
            self._joined(room, media_identity, notification.at)
        elif notification.kind is NotificationKind.PARTICIPANT_LEFT:
            self._left(room, media_identity, notification.at, notification.reason)

    def survey(self, room: str) -> None:
        """Ask the backend who is there, soon."""
        presence = self._core.presences.get(room)
        wait = 0.0 if presence is None else presence.next_survey - self._core.clock.monotonic()
        if presence is None or wait <= 0:
            self.surveys.ask(room)
        elif not presence.survey_planned:
            presence.survey_planned = True
            self._core.agenda.after(wait, lambda: self._survey_as_planned(room, presence))

    def expect(self, room: str, identity: str, place: Place, seconds: float) -> None:
        """A place waits `seconds` for its connection."""
        presence = self._core.presences.get(room)
        if presence is not None:
            until = self._core.clock.now() + seconds
            presence.expect(identity, place, until)
            self._plan_sweep(room, presence, until)

    def give_up(self, room: str, identity: str, place: Place, reason: str = "disconnected") -> None:
        """A place ends; the room hears of it if that was the identity's last."""
        presence = self._core.presences.get(room)
        if presence is None:
            return
        if presence.drop(identity, place):
            self._on_gone(room, identity)
            state = self._states.peek(ROOM, room)
            if state is None or not presence or state.concerns(identity):
                self._states.tell(ROOM, room, Departed(identity, reason))

    async def recover(self, room: str, state: Room | Call) -> None:
        """Begin to keep the presence of a room or call that an engine before this one left behind.

        It is complete once the backend has answered; where that fails, it is asked again later.
        """
        if room in self._core.presences:
            return
        presence = Presence(many=is_many(state), was_before=True)
        self._core.presences[room] = presence
        if isinstance(state, Call):
            self._place_parties(presence, state)
        else:
            presence.removed.update(await self._removed_lately(state))
        try:
            await self._look(room, presence, state)
        except Exception:
            log.warning("who is in %r could not be asked; it is asked again", room, exc_info=True)
            self.survey(room)

    def answered(self, call: Call) -> None:
        """From now on both parties are awaited."""
        room = media_room(call.id)
        presence = self._core.presences.get(room)
        for identity, place in [] if presence is None else list(presence.places()):
            if place.state is not PlaceState.CONNECTED:
                self.expect(room, identity, place, self._core.settings.ticket_ttl)

    async def survey_all(self) -> None:
        """Ask about every room, and for the rooms themselves. Raises `MediaError`."""
        for room in list(self._core.presences):
            self.survey(room)
        for room in self._media_rooms.compare(await self._core.control.list_rooms()):
            self._reconciler.touch_room(room)

    async def recover_all(self) -> None:
        """Load every room and call that has not ended, which recovers its presence; close what an engine before this
        one could not close any more. Raises `StoreFailed` or `MediaError`."""
        for kind in (ROOM, CALL):
            after = ""
            while rows := await self._core.store.states(kind.name, after=after, limit=_PAGE, ended=False):
                for row in rows:
                    await self._states.state(kind, row.key)
                after = rows[-1].key
        for room in await self._core.control.list_rooms():
            state = await self._states.state(*owner_of(room))
            if state is not None and is_over(state):
                self._media_rooms.condemn(room)
                self._reconciler.touch_room(room)

    # What the backend says

    def _joined(self, room: str, media_identity: str, at: float) -> None:
        presence = self._core.presences.get(room)
        if presence is None:
            self.survey(room)
            return
        found = presence.find(media_identity)
        if found is None:
            if self._may_adopt(presence):
                self.survey(room)
            else:
                self._reconciler.touch(room, media_identity)
            return
        identity, place = found
        if at < place.seen_at:
            self.survey(room)
            return
        presence.connected(place, at)
        kind, key = owner_of(room)
        if kind is CALL:
            self._states.tell(kind, key, PartyConnected(identity))
        state = self._states.peek(kind, key)
        if state is None or place.granted != desired(state, identity):
            self._reconciler.touch(room, media_identity)

    def _left(self, room: str, media_identity: str, at: float, reason: DisconnectReason | None) -> None:
        self._reconciler.gone(room, media_identity)
        presence = self._core.presences.get(room)
        found = None if presence is None else presence.find(media_identity)
        # A pending place waits for a connection to come, so this was an older one; after a duplicate one is there.
        if presence is None or found is None or reason is DisconnectReason.DUPLICATE_IDENTITY:
            return
        identity, place = found
        if place.state is PlaceState.PENDING:
            return
        if at <= place.seen_at:
            if reason in _GONE_AT_ONCE:
                presence.doubted[place] = _GONE_AT_ONCE[reason]
            self.survey(room)
        elif reason in _GONE_AT_ONCE and owner_of(room)[0] is ROOM:
            self.give_up(room, identity, place, _GONE_AT_ONCE[reason])
        elif place.state is PlaceState.CONNECTED:
            self._lost(room, presence, identity, place, at)

    def _lost(self, room: str, presence: Presence, identity: str, place: Place, at: float) -> None:
        """A connection is gone; a call has a grace of its own in its rules."""
        kind, key = owner_of(room)
        if kind is CALL:
            presence.missing(identity, place, at, inf)
            self._states.tell(kind, key, PartyDisconnected(identity))
        else:
            until = self._core.clock.now() + self._core.settings.return_grace
            presence.missing(identity, place, at, until)
            self._plan_sweep(room, presence, until)

    # Asking the backend

    async def _survey(self, room: str) -> None:
        state = await self._states.state(*owner_of(room))
        presence = self._core.presences.get(room)
        if state is not None and is_over(state):
            if await self._core.control.list_participants(room):
                self._media_rooms.condemn(room)
                self._reconciler.touch_room(room)
        elif presence is not None and state is not None:
            await self._look(room, presence, state)

    def _survey_as_planned(self, room: str, presence: Presence) -> None:
        presence.survey_planned = False
        self.surveys.ask(room)

    async def _look(self, room: str, presence: Presence, state: Room | Call) -> None:
        clock = self._core.clock
        began = clock.monotonic()
        # What is said while the backend answers is for the next time.
        doubted, presence.doubted = presence.doubted, {}
        arrived: set[Place] = set()
        presence.arrived = arrived
        try:
            infos = await self._core.control.list_participants(room)
        except BaseException:
            presence.doubted = {**doubted, **presence.doubted}
            raise
        finally:
            presence.arrived = None
        if self._core.presences.get(room) is not presence or is_over(state):
            return
        first, presence.surveyed = not presence.surveyed, True
        there = await self._compare(room, presence, state, infos, first)
        # Who came while the backend was answering is not in the answer.
        await self._miss(room, presence, state, there, arrived, doubted)
        presence.next_survey = clock.monotonic() + _SHARE * (clock.monotonic() - began)
        if isinstance(state, Room):
            self._heed_holders(room, presence, state, first)

    async def _compare(
        self, room: str, presence: Presence, state: Room | Call, infos: Iterable[ParticipantInfo], first: bool
    ) -> set[str]:
        """Look at everybody who is connected; their media identities."""
        wanted = desired_by_identity(state)
        there = set()
        for number, info in enumerate(infos):
            there.add(info.identity)
            found = presence.find(info.identity)
            if found is None and (first or self._may_adopt(presence)) and isinstance(state, Room):
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
        arrived: set[Place],
        doubted: dict[Place, str],
    ) -> None:
        """Look at everybody who has a place and is not connected."""
        now = self._core.clock.now() + TICK
        for number, (identity, place) in enumerate(list(presence.places())):
            if number % _CHUNK == _CHUNK - 1:
                await asyncio.sleep(0)
            if place in arrived or presence.media_identity(identity, place.device) in there:
                continue
            if place in doubted and isinstance(state, Room):
                self.give_up(room, identity, place, doubted[place])
            elif place.state is PlaceState.CONNECTED:
                self._lost(room, presence, identity, place, now)
            elif isinstance(state, Call):
                if place.until <= now:
                    presence.missing(identity, place, now, inf)
                if place.state is PlaceState.MISSING and identity not in state.absent:
                    self._states.tell(CALL, state.id, PartyDisconnected(identity))
            elif place.until <= now:
                self.give_up(room, identity, place)

    def _adopt(self, presence: Presence, room: Room, info: ParticipantInfo) -> tuple[str, Place] | None:
        """Take over somebody who was there before a restart, if he may be."""
        identity, device = presence.split(info.identity)
        project = self._states.peek(PROJECT, self._core.app_id)
        bans = (room.bans, project.bans if isinstance(project, Project) else {})
        now = self._core.clock.now()
        if identity in presence.removed or any(_is_banned(banned, identity, now) for banned in bans):
            return None
        place = presence.enter(identity, device, info.name, info.joined_at, inf)
        presence.connected(place, info.joined_at)
        is_host = room.role(identity).is_host
        if room.empty_since is not None or (is_host and (room.hostless_since is not None or room.has_stage)):
            self._states.tell(ROOM, room.name, Returned(identity))
        return identity, place

    def _may_adopt(self, presence: Presence) -> bool:
        """Tickets of an engine before this one may still be in use."""
        return presence.was_before and self._core.clock.now() < self._adopt_until

    def _heed_holders(self, name: str, presence: Presence, room: Room, first: bool) -> None:
        """Those who hold something and are not there: after a restart they have a grace, else they have departed."""
        absent = [identity for identity in holders(room, presence) if identity not in presence]
        if not presence and room.empty_since is None:
            absent.append(NOBODY)
        if first and absent:
            presence.forgiving_until = self._core.clock.now() + self._core.settings.return_grace
            self._core.agenda.after(self._core.settings.return_grace, lambda: self.survey(name))
        elif self._core.clock.now() + TICK >= presence.forgiving_until:
            for identity in absent:
                self._states.tell(ROOM, name, Departed(identity))

    async def _removed_lately(self, room: Room) -> set[str]:
        """Who was removed while tickets from before could still be used."""
        channel = room_channel(room.name)
        head = await self._core.store.head(channel)
        kept = self._core.settings.history_events
        after = max(0, head.offset - kept)
        envelopes = await self._core.store.history(channel, head.epoch, after, kept) or ()
        since = self._core.clock.now() - self._core.settings.ticket_ttl
        return {e.event.identity for e in envelopes if isinstance(e.event, ParticipantRemoved) and e.at >= since}

    def _place_parties(self, presence: Presence, call: Call) -> None:
        """Both parties as missing; who is connected is found by asking."""
        parties = [(call.caller, call.caller_device, call.caller_name)]
        if call.status is UTDCallStatus.ACTIVE:
            parties.append((call.callee, call.callee_device, call.callee_name))
        for identity, device, name in parties:
            place = presence.enter(identity, device, name, 0.0, 0.0)
            presence.missing(identity, place, 0.0, 0.0)

    # Time

    def _plan_sweep(self, room: str, presence: Presence, until: float) -> None:
        if until < presence.sweep_at:
            presence.sweep_at = until
            self._core.agenda.after(until - self._core.clock.now(), lambda: self._sweep(room, presence))

    def _sweep(self, room: str, presence: Presence) -> None:
        if self._core.presences.get(room) is not presence:
            return
        now = self._core.clock.now() + TICK
        presence.sweep_at = inf
        if presence.has_overdue(now):
            self.survey(room)
        self._plan_sweep(room, presence, presence.next_due(now))


def holders(room: Room, presence: Presence) -> set[str]:
    """Identities whose absence the room must know of."""
    found = set(room.grid.occupants()) | set(room.stage)
    for request in room.requests.values():
        found.update(name for name in (request.sender, request.to) if name is not None)
    if room.hostless_since is None and not any(host in presence for host in room.hosts):
        found.update(room.hosts)
    return found - {SERVER, SYSTEM}


def is_many(state: Room | Call) -> bool:
    """Whether one identity may be there on several devices."""
    return isinstance(state, Room) and state.settings.duplicate_identity is DuplicateIdentity.MANY


def _is_banned(bans: dict[str, Ban], identity: str, now: float) -> bool:
    ban = bans.get(identity)
    return ban is not None and ban.holds(now)
