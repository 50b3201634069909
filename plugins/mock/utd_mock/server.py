"""The mock's media server: it alone decides who is in, who may publish and who receives what.

Every method is plain and synchronous, so each change is atomic on the event loop; whoever waits (a client's
round trip, a fault's duration) waits before or on the agenda, never in the middle of a change.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Collection, Mapping

from utd_core.concurrency import Clock
from utd_core.errors import ErrorCode, Forbidden, NotFound
from utd_core.media import arguments
from utd_core.media.backend import ConnectOptions, JoinTicket
from utd_core.media.events import (
    ConnectionQuality,
    ConnectionState,
    DataReceived,
    DisconnectReason,
    GrantChanged,
    NotificationKind,
    ParticipantInfo,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    QualityChanged,
    SpeakersChanged,
    StateChanged,
)
from utd_core.media.notices import Listeners, NotificationFaults, Notifier
from utd_core.media.tokens import Claims, TokenSigner, refusal
from utd_core.model.permission import Grant

from . import registry
from .agenda import Agenda
from .forwarder import Forwarder
from .link import Client, Link
from .messages import GrantOf
from .network import Network
from .rooms import Participant, Room
from .snapshots import ControlCall, RoomSnapshot
from .waiting import Waiters

_TRACE_LENGTH = 1_000
_ADVICE = (
    "use the ticket's own url and token, in the process of the engine that made them: the mock's media is in its memory"
)
_FIRST_RATING = 2.0
"""Seconds that it takes to say how good a new connection is."""


class MockServer:
    """One media server in this process, reachable as `mock://<id>` until `aclose`.

    It may outlive the backends that use it: give it to each as `settings["server"]`.
    """

    def __init__(self, clock: Clock, network: Network | None = None, server_id: str | None = None) -> None:
        self.id = registry.fresh_id() if server_id is None else server_id
        self.clock = clock
        self.network = network or Network()
        self.agenda = Agenda(clock, f"utd_mock:{self.id}")
        self.listeners = Listeners()
        self.notification_faults = NotificationFaults(self.listeners.tell, self.agenda.after)
        self.notifier = Notifier(self.agenda.clock, self.notification_faults.meet)
        self.trace: deque[ControlCall] = deque(maxlen=_TRACE_LENGTH)
        self.lobby = Waiters(self.agenda)
        """Clients that have asked to come in and wait for the answer."""
        self.is_closed = False
        self._rooms: dict[str, Room] = {}
        self._tokens = TokenSigner(secrets.token_bytes(32), "the mock", _ADVICE)
        self.tracks = Forwarder(self.notifier)
        registry.register(self)

    @property
    def url(self) -> str:
        return f"{registry.SCHEME}{self.id}"

    @property
    def rooms(self) -> Mapping[str, RoomSnapshot]:
        """What every room looks like now, as frozen values."""
        return {name: room.snapshot() for name, room in self._rooms.items()}

    async def open(self) -> None:
        """Start to serve; every use of the server does it. Raises `ConnectFailed` after `aclose`."""
        self.check_open()
        await self.agenda.open()
        self.check_open()

    def check_open(self) -> None:
        """Raise `ConnectFailed` when the server was closed."""
        if self.is_closed:
            raise refusal(f"the mock server {self.url} was closed; make a new one", "server_away")

    async def aclose(self) -> None:
        """Shut down: everybody is disconnected (SERVER_SHUTDOWN). Idempotent."""
        if not self.is_closed:
            self.is_closed = True
            registry.forget(self)
            for room in list(self._rooms.values()):
                room.ears.close()
                for participant in _taken_out_of(room):
                    participant.link.client.lost(DisconnectReason.SERVER_SHUTDOWN)
            self._rooms.clear()
            self.listeners.close()
            self.notification_faults.clear()
            self.lobby.wake()
        await self.agenda.aclose()

    def create_room(self, name: str, max_participants: int | None = None) -> None:
        """Make a room, or change the limit of one that exists."""
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(name, self.agenda)
        if max_participants is not None:
            room.max_participants = max_participants

    def close_room(self, name: str) -> None:
        """Disconnect everybody and forget the room."""
        room = self._rooms.get(name)
        if room is None:
            return
        del self._rooms[name]
        room.ears.close()
        for participant in _taken_out_of(room):
            self.disconnect(participant, DisconnectReason.ROOM_CLOSED)
        self.notifier.notify(NotificationKind.ROOM_CLOSED, name, reason=DisconnectReason.ROOM_CLOSED)

    def room_names(self) -> list[str]:
        return list(self._rooms)

    def room(self, name: str) -> Room:
        """Raises `NotFound` (room_not_found)."""
        if name not in self._rooms:
            raise NotFound(f"there is no room {name!r} on {self.url}; create it first", code=ErrorCode.ROOM_NOT_FOUND)
        return self._rooms[name]

    def participant(self, room: str, identity: str) -> Participant:
        """Raises `NotFound` (participant_not_found), for an unknown room as well."""
        found = self._rooms[room].participants.get(identity) if room in self._rooms else None
        if found is None:
            raise NotFound(f"{identity!r} is not connected to room {room!r}", code=ErrorCode.PARTICIPANT_NOT_FOUND)
        return found

    def participants(self, room: str) -> list[Participant]:
        return list(self._rooms[room].participants.values()) if room in self._rooms else []

    def issue_join(self, claims: Claims) -> JoinTicket:
        return JoinTicket(self.url, self._tokens.sign(claims), claims.expires_at)

    def admit(self, token: str) -> tuple[Claims, Room]:
        """Check a token against the rooms. Raises `ConnectFailed`, whose details hold a `reason`."""
        claims = self._tokens.read(token, self.clock.now())
        room = self._rooms.get(claims.room)
        if room is None:
            raise refusal(
                f"room {claims.room!r} does not exist (closed, or never made); create it first", "room_not_found"
            )
        if room.is_full_for(claims.identity):
            raise refusal(
                f"room {room.name!r} is full with {room.max_participants} participants; wait until somebody leaves",
                "room_full",
            )
        return claims, room

    def is_silent_to(self, claims: Claims, room: Room) -> bool:
        """A fault wants that this connect gets no answer; each one asked for happens once."""
        left = room.silences.get(claims.identity, 0)
        if left:
            room.silences[claims.identity] = left - 1
        return left > 0

    def join(self, token: str, options: ConnectOptions, client: Client) -> tuple[Participant, list[ParticipantInfo]]:
        """Let a client in, in the place of an older connection of its identity; who it is, and who is there.

        Raises `ConnectFailed`. Nothing is sent to the client before `offer_all`.
        """
        claims, room = self.admit(token)
        if (older := room.participants.get(claims.identity)) is not None:
            self.disconnect(older, DisconnectReason.DUPLICATE_IDENTITY)
        joined = Participant(room, claims, options, self.clock.now())
        chance = self.network.generator(room.name, claims.identity)
        joined.link = Link(self.agenda, self.network, chance, client, joined.reroute, lambda: self._rated(joined))
        room.participants[joined.identity] = joined
        room.tell_others(joined, ParticipantJoined(joined.info()))
        self.notifier.notify(NotificationKind.PARTICIPANT_JOINED, room.name, joined.identity, grant=joined.grant)
        return joined, [other.info() for other in room.others(joined)]

    def tell_conditions(self, participant: Participant) -> None:
        """What somebody who has just come in cannot know: who speaks, and how those who publish are connected."""
        room = participant.room
        if room.ears.speakers:
            participant.link.signal(SpeakersChanged(room.ears.speakers))
        for other in room.others(participant):
            if other.quality is not None and other.tracks:
                participant.link.signal(QualityChanged(other.identity, other.quality))
        participant.link.after(_FIRST_RATING, lambda: self.rate(participant))

    def rate(self, participant: Participant) -> None:
        """Look at how somebody is connected, and tell if that is another way now: itself, unless it cannot be told and
        has to notice, and everybody if it publishes."""
        quality = participant.link.quality
        if quality is participant.quality or not participant.connected:
            return
        participant.quality = quality
        told = QualityChanged(participant.identity, quality)
        if participant.tracks:
            participant.room.tell_others(participant, told)
        if quality is not ConnectionQuality.LOST:
            participant.link.signal(told)

    def _rated(self, participant: Participant) -> None:
        if participant.quality is not None:
            self.rate(participant)

    def disconnect(self, participant: Participant, reason: DisconnectReason) -> None:
        """End a connection from the server's side; the client is told."""
        self.leave(participant, reason)
        participant.link.signal(StateChanged(ConnectionState.DISCONNECTED, reason))

    def leave(self, participant: Participant, reason: DisconnectReason) -> None:
        """The participant is gone, and knows it. Idempotent."""
        if not participant.connected:
            return
        participant.connected = False
        room = participant.room
        self.tracks.forget(participant)
        if room.participants.get(participant.identity) is participant:
            del room.participants[participant.identity]
        room.tell_others(participant, ParticipantLeft(participant.identity, reason))
        room.ears.forget(participant.identity)
        self.notifier.notify(NotificationKind.PARTICIPANT_LEFT, room.name, participant.identity, reason=reason)

    def apply_grant(self, participant: Participant, grant: Grant) -> None:
        """Replace the whole grant: what it no longer holds ends now, what it holds again comes back."""
        if not participant.connected or participant.grant == grant:
            return
        participant.grant = grant
        participant.link.signal(GrantChanged(grant))
        participant.room.tell_others(participant, GrantOf(participant.identity, grant))
        self.tracks.match(participant)

    def update_profile(
        self, participant: Participant, name: str | None, metadata: str | None, changes: Mapping[str, str] | None
    ) -> None:
        """Describe a participant in other words, and tell everybody. Raises `TooLarge`."""
        before = participant.profile
        profile = before.changed(name, metadata, changes)
        arguments.check_attributes(profile.attributes)
        participant.profile = profile
        if profile != before:
            participant.room.tell(ParticipantUpdated(participant.info()))

    def send_data(
        self,
        sender: Participant | None,
        recipients: list[Participant],
        payload: bytes,
        to: Collection[str] | None,
        topic: str,
        reliable: bool,
    ) -> None:
        """Send to the recipients, or only to those of them that `to` names. Raises `Forbidden`."""
        if sender is not None and not sender.grant.publish_data:
            raise Forbidden(f"the grant of {sender.identity!r} does not allow to send data")
        message = DataReceived(payload, None if sender is None else sender.identity, topic, reliable)
        for recipient in recipients:
            if (to is None or recipient.identity in to) and (sender is None or recipient.can_read(sender)):
                recipient.link.data(message)


def _taken_out_of(room: Room) -> list[Participant]:
    """Everybody, and nobody is left to hear of the others' leaving: they all go at once."""
    everybody = list(room.participants.values())
    room.participants.clear()
    return everybody
