"""Who is in which media room: fed by tickets and by the backend's notifications, healed by asking the backend.

Rules:

- A ticket gives a place; a notification says that its connection came or went. Notifications may be lost, doubled,
  late or reversed, so one that is older than the last that counted is no news but a reason to ask (`surveys.py`).
- Who lost the connection has `return_grace` to come back; who closed it is gone at once. Nobody is given up because
  time ran out before the backend was asked whether the connection is there after all.
- A connection without a place is removed; except after a restart, when those who may be in the room are taken over.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from ...concurrency.alarm import TICK
from ...media.events import DisconnectReason, Notification, NotificationKind
from ...model.call import Call, media_room
from ...model.commands.internal import Departed, PartyConnected, PartyDisconnected
from ...model.permission import Grant, TrackSource
from ..core import Core, States
from ..kinds import CALL, ROOM
from .media_rooms import MediaRooms, owner_of
from .presence import Place, PlaceState, Presence
from .reconciler import Reconciler, grant_in
from .surveys import Surveys

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
        self.surveys = Surveys(core, states, media_rooms, reconciler, self)

    def notice(self, notification: Notification) -> None:
        """Take a notification of the backend as a hint."""
        room, media_identity = notification.room, notification.identity
        if notification.kind is NotificationKind.ROOM_CLOSED:
            self._media_rooms.lost(room)
            self._reconciler.touch_room(room)
            self.surveys.ask(room)
        elif media_identity is None:
            return
        elif notification.kind is NotificationKind.PARTICIPANT_JOINED:
            self._joined(room, media_identity, notification.at, notification.grant)
        elif notification.kind is NotificationKind.TRACK_PUBLISHED and notification.track is not None:
            self._published(room, media_identity, notification.track.source)
        elif notification.kind is NotificationKind.PARTICIPANT_LEFT:
            self._left(room, media_identity, notification.at, notification.reason)

    def expect(self, room: str, identity: str, place: Place, seconds: float) -> None:
        """A place waits `seconds` for its connection."""
        presence = self._core.presences.get(room)
        if presence is not None:
            until = self._core.clock.now() + seconds
            presence.expect(identity, place, until)
            self._plan_sweep(room, presence, until)

    def expect_parties(self, call: Call) -> None:
        """The call was answered: from now on both parties are awaited."""
        room = media_room(call.id)
        presence = self._core.presences.get(room)
        for identity, place in [] if presence is None else list(presence.places()):
            if place.state is not PlaceState.CONNECTED:
                self.expect(room, identity, place, self._core.settings.ticket_ttl)

    def lose(self, room: str, presence: Presence, identity: str, place: Place, at: float) -> None:
        """A connection is gone, and may come back; a call has a grace of its own in its rules."""
        kind, key = owner_of(room)
        if kind is CALL:
            presence.missing(identity, place, at, inf)
            self._states.tell(kind, key, PartyDisconnected(identity))
        else:
            until = self._core.clock.now() + self._core.settings.return_grace
            presence.missing(identity, place, at, until)
            self._plan_sweep(room, presence, until)

    def give_up(self, room: str, identity: str, place: Place, reason: str = "disconnected") -> None:
        """A place ends; the room hears of it if that was the identity's last."""
        presence = self._core.presences.get(room)
        if presence is not None and presence.drop(identity, place):
            self._on_gone(room, identity)
            state = self._states.peek(ROOM, room)
            if state is None or not presence or state.concerns(identity):
                self._states.tell(ROOM, room, Departed(identity, reason))

    def _joined(self, room: str, media_identity: str, at: float, brought: Grant | None) -> None:
        presence = self._core.presences.get(room)
        if presence is None:
            self.surveys.ask(room)
            return
        found = presence.find(media_identity)
        if found is None:
            if self.surveys.may_adopt(presence):
                self.surveys.ask(room)
            else:
                self._reconciler.touch(room, media_identity)
            return
        identity, place = found
        if at < place.seen_at:
            self.surveys.ask(room)
            return
        presence.connected(place, at)
        kind, key = owner_of(room)
        if kind is CALL:
            self._states.tell(kind, key, PartyConnected(identity))
        state = self._states.peek(kind, key)
        wanted = None if state is None else grant_in(state, identity)
        # One that is as it should be proves nothing: it may be told late.
        if brought is not None and wanted is not None and brought != wanted:
            place.granted = brought
        if place.granted != wanted:
            self._reconciler.touch(room, media_identity)

    def _published(self, room: str, media_identity: str, source: TrackSource) -> None:
        """Who publishes what is not granted has more than this engine knows of."""
        presence = self._core.presences.get(room)
        found = None if presence is None else presence.find(media_identity)
        state = self._states.peek(*owner_of(room))
        if state is not None and (found is None or source not in grant_in(state, found[0]).publish):
            self.surveys.ask(room)

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
            self.surveys.ask(room)
        elif reason in _GONE_AT_ONCE and owner_of(room)[0] is ROOM:
            self.give_up(room, identity, place, _GONE_AT_ONCE[reason])
        elif place.state is PlaceState.CONNECTED:
            self.lose(room, presence, identity, place, at)

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
            self.surveys.ask(room)
        self._plan_sweep(room, presence, presence.next_due(now))
