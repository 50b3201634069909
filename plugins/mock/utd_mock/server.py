"""The mock's media server: it alone decides who is in, who may publish and who receives what.

Every method is plain and synchronous, so each change is atomic on the event loop; whoever waits (a client's
round trip, a fault's duration) waits before or on the agenda, never in the middle of a change.
"""

from __future__ import annotations

import itertools
import secrets
from collections import deque
from collections.abc import Collection, Mapping

from utd_core.concurrency import Clock
from utd_core.errors import ErrorCode, Forbidden, InvalidInput, NotFound, PublishRefused
from utd_core.media import arguments
from utd_core.media.backend import ConnectOptions, JoinTicket, PublishOptions
from utd_core.media.events import (
    ConnectionQuality,
    ConnectionState,
    DataReceived,
    DisconnectReason,
    GrantChanged,
    LocalTrackEnded,
    NotificationKind,
    ParticipantInfo,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    QualityChanged,
    SpeakersChanged,
    StateChanged,
    TrackMuted,
    TrackPublished,
    TrackUnmuted,
    TrackUnpublished,
)
from utd_core.media.notices import Listeners, NotificationFaults, Notifier
from utd_core.media.quality import VideoQuality
from utd_core.media.tokens import Claims, TokenSigner, refusal
from utd_core.model.permission import Grant

from . import registry
from .agenda import Agenda
from .capabilities import CAPABILITIES
from .link import Client, Link
from .messages import GrantOf, Message, Subscribed, Unsubscribed
from .network import Network
from .rooms import Participant, Room
from .snapshots import ControlCall, RoomSnapshot
from .tracks import PublishedTrack, Subscription
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
        self._track_numbers = itertools.count(1)
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
        self._tell(room.others(joined), ParticipantJoined(joined.info()))
        self.notifier.notify(NotificationKind.PARTICIPANT_JOINED, room.name, joined.identity, grant=joined.grant)
        return joined, [other.info() for other in room.others(joined)]

    def offer_all(self, participant: Participant) -> None:
        """Begin to deliver every track that the participant wants and does not get yet."""
        for other in participant.room.others(participant):
            for track in other.tracks.values():
                self._offer(track, participant)

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
            self._tell(participant.room.others(participant), told)
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
        for track in list(participant.tracks.values()):
            self._end_track(track)
        for subscription in participant.subscriptions.values():
            subscription.track.subscriptions.pop(participant.identity, None)
            subscription.track.reroute()
        participant.subscriptions.clear()
        if room.participants.get(participant.identity) is participant:
            del room.participants[participant.identity]
        self._tell(room.others(participant), ParticipantLeft(participant.identity, reason))
        room.ears.forget(participant.identity)
        self.notifier.notify(NotificationKind.PARTICIPANT_LEFT, room.name, participant.identity, reason=reason)

    def apply_grant(self, participant: Participant, grant: Grant) -> None:
        """Replace the whole grant: what it no longer holds ends now, what it holds again comes back."""
        if not participant.connected or participant.grant == grant:
            return
        participant.grant = grant
        participant.link.signal(GrantChanged(grant))
        self._tell(participant.room.others(participant), GrantOf(participant.identity, grant))
        for track in list(participant.tracks.values()):
            if track.info.source not in grant.publish:
                self._end_track(track)
                participant.link.signal(LocalTrackEnded(track.info))
        self._match_subscriptions(participant)

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

    def publish(self, participant: Participant, options: PublishOptions) -> PublishedTrack:
        """Publish, in the place of an older track of the same source. Raises `PublishRefused`."""
        arguments.check_publish(options, "mock", CAPABILITIES)
        if not participant.connected:
            raise PublishRefused(
                f"{participant.identity!r} is not connected to room {participant.room.name!r} any more"
            )
        if options.source not in participant.grant.publish:
            raise PublishRefused(
                f"the grant of {participant.identity!r} does not hold {options.source.value!r}; "
                "ask for a seat, a stage place or a role that does",
                details={"source": options.source.value},
            )
        if (older := participant.tracks.get(options.source)) is not None:
            self._end_track(older)
        track = PublishedTrack(f"TR_{next(self._track_numbers):06}", participant, options)
        is_first = not participant.tracks
        participant.tracks[options.source] = track
        self._announce(track)
        if is_first and participant.quality is not None:
            others = participant.room.others(participant)
            self._tell(others, QualityChanged(participant.identity, participant.quality))
        return track

    def unpublish(self, track: PublishedTrack) -> None:
        """End a track at its publisher's wish. Idempotent."""
        if track.owner.tracks.get(track.info.source) is track:
            self._end_track(track)

    def set_muted(self, track: PublishedTrack, muted: bool, *, by_server: bool) -> None:
        """Mute or unmute; the last word counts, whoever says it. The publisher hears what the server did."""
        if track.owner.tracks.get(track.info.source) is not track or track.info.muted == muted:
            return
        track.set_muted(muted)
        identity = track.owner.identity
        event = TrackMuted(identity, track.info, by_server) if muted else TrackUnmuted(identity, track.info)
        if by_server:
            track.owner.link.signal(event)
        if not track.is_away:
            self._tell(track.owner.room.others(track.owner), event)

    def published_track(self, participant: Participant, track_id: str) -> PublishedTrack:
        """A track of this participant. Raises `NotFound` (track_not_found)."""
        for track in participant.tracks.values():
            if track.info.id == track_id:
                return track
        raise _no_track(track_id, f"among those of {participant.identity!r}")

    def set_subscribed(self, participant: Participant, track_id: str, subscribed: bool) -> None:
        """Take or refuse a remote track. Raises `NotFound` (track_not_found) or `Forbidden`."""
        track = self._remote_track(participant, track_id)
        if subscribed and not participant.grant.subscribe:
            raise Forbidden(f"the grant of {participant.identity!r} does not allow to subscribe")
        participant.wishes[track_id] = subscribed
        if subscribed:
            self._offer(track, participant)
        else:
            self._unsubscribe(participant, track_id)

    def set_quality(self, participant: Participant, track_id: str, quality: VideoQuality) -> None:
        """Take another layer of a remote video. Raises `NotFound` (track_not_found) or `InvalidInput`."""
        track = self._remote_track(participant, track_id)
        if not track.is_video:
            raise InvalidInput(f"track {track_id!r} ({track.info.source}) is sound, which comes in one quality")
        participant.qualities[track_id] = quality
        if (subscription := participant.subscriptions.get(track_id)) is not None:
            subscription.set_quality(quality)

    def set_away(self, participant: Participant) -> None:
        """The participant's connection is being rebuilt: its tracks disappear for the others."""
        for track in participant.tracks.values():
            if not track.is_away:
                self._withdraw(track)
                track.set_away(True)

    def set_back(self, participant: Participant) -> None:
        """The connection was rebuilt: its tracks come back under their old ids. Idempotent."""
        for track in participant.tracks.values():
            if track.is_away:
                track.set_away(False)
                self._announce(track)

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

    def _remote_track(self, participant: Participant, track_id: str) -> PublishedTrack:
        """A track that this participant can have. Raises `NotFound` (track_not_found)."""
        track = participant.room.tracks.get(track_id) if participant.connected else None
        if track is None or track.owner is participant:
            raise _no_track(track_id, f"in room {participant.room.name!r} for {participant.identity!r} to subscribe to")
        return track

    def _tell(self, recipients: list[Participant], message: Message) -> None:
        for recipient in recipients:
            recipient.link.signal(message)

    def _announce(self, track: PublishedTrack) -> None:
        owner = track.owner
        others = owner.room.others(owner)
        owner.room.tracks[track.info.id] = track
        self._tell(others, TrackPublished(owner.identity, track.info))
        self.notifier.notify(NotificationKind.TRACK_PUBLISHED, owner.room.name, owner.identity, track.info)
        for other in others:
            self._offer(track, other)

    def _withdraw(self, track: PublishedTrack) -> None:
        owner = track.owner
        others = owner.room.others(owner)
        owner.room.tracks.pop(track.info.id, None)
        for other in others:
            self._unsubscribe(other, track.info.id)
        self._tell(others, TrackUnpublished(owner.identity, track.info))
        self.notifier.notify(NotificationKind.TRACK_UNPUBLISHED, owner.room.name, owner.identity, track.info)

    def _end_track(self, track: PublishedTrack) -> None:
        del track.owner.tracks[track.info.source]
        if not track.is_away:
            self._withdraw(track)
        track.end()
        for other in track.owner.room.others(track.owner):
            other.forget(track)

    def _match_subscriptions(self, participant: Participant) -> None:
        for track_id, subscription in list(participant.subscriptions.items()):
            if not participant.wants(subscription.track):
                self._unsubscribe(participant, track_id)
        self.offer_all(participant)

    def _offer(self, track: PublishedTrack, participant: Participant) -> None:
        if track.is_away or track.info.id in participant.subscriptions or not participant.wants(track):
            return
        subscription = Subscription(
            track,
            participant.link,
            adaptive=participant.options.adaptive_stream,
            is_readable=participant.can_read(track.owner),
            quality=participant.qualities.get(track.info.id, VideoQuality.HIGH),
        )
        participant.subscriptions[track.info.id] = subscription
        track.subscriptions[participant.identity] = subscription
        participant.link.signal(Subscribed(subscription))
        track.reroute()

    def _unsubscribe(self, participant: Participant, track_id: str) -> None:
        subscription = participant.subscriptions.pop(track_id, None)
        if subscription is not None:
            subscription.track.subscriptions.pop(participant.identity, None)
            subscription.track.reroute()
            participant.link.signal(Unsubscribed(subscription))


def _taken_out_of(room: Room) -> list[Participant]:
    """Everybody, and nobody is left to hear of the others' leaving: they all go at once."""
    everybody = list(room.participants.values())
    room.participants.clear()
    return everybody


def _no_track(track_id: str, where: str) -> NotFound:
    return NotFound(f"there is no track {track_id!r} {where}", code=ErrorCode.TRACK_NOT_FOUND)
