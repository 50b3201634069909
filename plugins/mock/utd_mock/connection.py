"""One participant's connection: what a client knows, and how it asks the server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from types import MappingProxyType

from utd_core.concurrency import BoundedQueue, Overflow
from utd_core.errors import Closed, ConnectionLost, ErrorCode, NotFound
from utd_core.media import arguments
from utd_core.media.backend import (
    ConnectionStatistics,
    ConnectOptions,
    LocalTrack,
    MediaConnection,
    PublishOptions,
    TrackStatistics,
)
from utd_core.media.events import (
    ConnectionQuality,
    ConnectionState,
    DataReceived,
    DisconnectReason,
    GrantChanged,
    LocalTrackEnded,
    MediaEvent,
    ParticipantInfo,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    QualityChanged,
    SpeakersChanged,
    StateChanged,
    TrackInfo,
    TrackMuted,
    TrackPublished,
    TrackSubscribed,
    TrackUnmuted,
    TrackUnpublished,
    TrackUnsubscribed,
)
from utd_core.media.quality import VideoQuality
from utd_core.media.reading import QueueReader
from utd_core.model.permission import Grant

from .capabilities import MAX_DATA_BYTES
from .local import MockLocalTrack, local_track
from .messages import GrantOf, Message, Subscribed, Unsubscribed
from .rooms import Participant
from .server import MockServer
from .tracks import Subscription
from .waiting import Waiters


class MockConnection(MediaConnection):
    """Made by `MockBackend.connect`. Everything that arrives is applied here first and put into `events` then.

    It is the `Client` at the far end of the participant's `Link`.
    """

    def __init__(
        self, server: MockServer, token: str, options: ConnectOptions, ended: Callable[[MockConnection], None]
    ) -> None:
        self._server = server
        self._tell_backend = ended
        self._events: BoundedQueue[MediaEvent] = BoundedQueue(options.event_capacity, Overflow.CLOSE)
        self._state = ConnectionState.CONNECTED
        self._reason: DisconnectReason | None = None
        self._closed = False
        self._participants: dict[str, ParticipantInfo] = {}
        self._local: dict[str, MockLocalTrack] = {}
        self._remote: dict[str, Subscription] = {}
        self._waiters = Waiters(server.agenda)
        self._data_sent = self._data_received = self._reconnects = 0
        self._me, others = server.join(token, options, self)
        self._grant = self._me.grant
        self._own = self._me.info()
        self._participants.update((other.identity, other) for other in others)
        server.tracks.offer_all(self._me)
        server.tell_conditions(self._me)

    @property
    def room(self) -> str:
        return self._me.room.name

    @property
    def identity(self) -> str:
        return self._me.identity

    @property
    def state(self) -> ConnectionState:
        return self._state

    @property
    def grant(self) -> Grant:
        return self._grant

    @property
    def participants(self) -> Mapping[str, ParticipantInfo]:
        return MappingProxyType(self._participants)

    @property
    def local_participant(self) -> ParticipantInfo:
        return replace(self._own, grant=self._grant, tracks=tuple(local.info for local in self._local.values()))

    @property
    def events(self) -> BoundedQueue[MediaEvent]:
        return self._events

    @property
    def native(self) -> Participant:
        """The server's own record of this participant."""
        return self._me

    async def publish(self, options: PublishOptions) -> LocalTrack:
        await self.request()
        track = self._server.tracks.publish(self._me, options)
        for older in [local for local in self._local.values() if local.info.source is options.source]:
            older.end()
            del self._local[older.info.id]
        handle = self._local[track.info.id] = local_track(self._server, track, self)
        return handle

    async def set_subscribed(self, track_id: str, subscribed: bool) -> None:
        await self.request()
        self._server.tracks.set_subscribed(self._me, track_id, subscribed)

    async def set_quality(self, track_id: str, quality: VideoQuality) -> None:
        arguments.check_quality(quality)
        await self.request()
        self._server.tracks.set_quality(self._me, track_id, quality)

    def read(self, track_id: str, *, capacity: int = 50, overflow: Overflow = Overflow.DROP_OLDEST) -> QueueReader:
        self._check_alive()
        arguments.check_capacity(capacity)
        if track_id not in self._remote:
            raise NotFound(
                f"track {track_id!r} is not subscribed; wait for TrackSubscribed", code=ErrorCode.TRACK_NOT_FOUND
            )
        return QueueReader(self._remote[track_id], capacity, overflow)

    async def send_data(
        self, payload: bytes, *, to: Collection[str] | None = None, topic: str = "", reliable: bool = True
    ) -> None:
        arguments.check_payload(payload, to, topic, limit=MAX_DATA_BYTES)
        await self.request(signal=False)
        others = self._me.room.others(self._me) if self._me.connected else []
        self._server.send_data(self._me, others, payload, to, topic, reliable)
        self._data_sent += 1

    async def statistics(self) -> ConnectionStatistics:
        if self._closed:
            raise Closed(f"the connection of {self.identity!r} was closed")
        return ConnectionStatistics(
            sent=tuple(local.statistics() for local in self._local.values()),
            received=tuple(
                TrackStatistics(remote.track.info, remote.delivered, remote.bytes, remote.lost)
                for remote in self._remote.values()
            ),
            data_sent=self._data_sent,
            data_received=self._data_received,
            reconnects=self._reconnects,
            round_trip_ms=self._me.link.round_trip * 1_000,
            events=self._events.statistics(),
        )

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._server.leave(self._me, DisconnectReason.CLIENT_LEFT)
            self._finish(DisconnectReason.CLIENT_LEFT)

    def receive(self, message: Message) -> None:
        """The server's word, in order: take it over, then show it."""
        match message:
            case Subscribed(subscription):
                self._remote[subscription.track.info.id] = subscription
                message = TrackSubscribed(subscription.track.owner.identity, subscription.track.info)
            case Unsubscribed(subscription):
                if self._remote.get(subscription.track.info.id) is subscription:
                    del self._remote[subscription.track.info.id]
                subscription.close()
                message = TrackUnsubscribed(subscription.track.owner.identity, subscription.track.info)
            case GrantOf(identity, grant):
                if identity in self._participants:
                    self._participants[identity] = replace(self._participants[identity], grant=grant)
                return
            case StateChanged(ConnectionState.DISCONNECTED, reason):
                self._finish(reason or DisconnectReason.UNKNOWN)
                return
            case DataReceived():
                self._data_received += 1
            case GrantChanged(grant):
                self._grant = grant
            case LocalTrackEnded(track):
                if (local := self._local.pop(track.id, None)) is not None:
                    local.end()
            case ParticipantJoined(participant):
                self._participants[participant.identity] = participant
            case ParticipantLeft(identity):
                self._participants.pop(identity, None)
            case ParticipantUpdated(participant):
                self._describe(participant)
            case TrackPublished(identity, track) | TrackMuted(identity, track) | TrackUnmuted(identity, track):
                self._set_track(identity, track.id, track)
            case TrackUnpublished(identity, track):
                self._set_track(identity, track.id, None)
        if isinstance(message, SpeakersChanged):
            self._events.supersede(message)
        else:
            self._events.put(message)

    def interrupted(self) -> None:
        """The signal connection is gone; requests wait until it is back."""
        if self._state is ConnectionState.CONNECTED and self._me.quality is not None:
            self._events.put(QualityChanged(self.identity, ConnectionQuality.LOST))
        self._set_state(ConnectionState.RECONNECTING)

    def resumed(self) -> None:
        """The signal connection is back."""
        self._reconnects += 1
        self._set_state(ConnectionState.CONNECTED)
        self._waiters.wake()

    def lost(self, reason: DisconnectReason) -> None:
        """There is no way back to the server."""
        self._server.leave(self._me, reason)
        self._finish(reason)

    def forget(self, track: MockLocalTrack) -> None:
        """The track has been unpublished by its publisher."""
        self._local.pop(track.info.id, None)

    async def request(self, *, signal: bool = True) -> None:
        """One round trip; when it returns the connection is up, and the caller acts without another await.

        `signal=False` goes beside the signal connection and waits for no answer, as data does. Raises `Closed` or
        `ConnectionLost`.
        """
        self._check_alive()
        link = self._me.link
        await self._waiters.pause(link.round_trip if signal else 0.0)
        while self._state is not ConnectionState.DISCONNECTED and (link.is_cut or (signal and link.is_down)):
            await self._waiters.wait()
        self._check_alive()

    def _check_alive(self) -> None:
        if self._closed:
            raise Closed(f"the connection of {self.identity!r} was closed; connect again")
        if self._reason is not None:
            raise ConnectionLost(
                f"the connection of {self.identity!r} to room {self.room!r} has ended ({self._reason}); connect again",
                details={"reason": self._reason.value},
            )

    def _set_track(self, identity: str, track_id: str, track: TrackInfo | None) -> None:
        if (participant := self._participants.get(identity)) is not None:
            tracks = {known.id: known for known in participant.tracks}
            if track is None:
                tracks.pop(track_id, None)
            else:
                tracks[track_id] = track
            self._participants[identity] = replace(participant, tracks=tuple(tracks.values()))

    def _describe(self, told: ParticipantInfo) -> None:
        if told.identity == self.identity:
            self._own = told
        elif (known := self._participants.get(told.identity)) is not None:
            self._participants[told.identity] = replace(
                known, name=told.name, metadata=told.metadata, attributes=told.attributes
            )

    def _set_state(self, state: ConnectionState) -> None:
        if self._state not in (state, ConnectionState.DISCONNECTED):
            self._state = state
            self._events.put(StateChanged(state))

    def _finish(self, reason: DisconnectReason) -> None:
        if self._reason is not None:
            return
        self._reason = reason
        self._state = ConnectionState.DISCONNECTED
        self._me.link.end()
        for local in self._local.values():
            local.end()
        for subscription in self._remote.values():
            subscription.close()
        self._local.clear()
        self._remote.clear()
        self._participants.clear()
        self._waiters.wake()
        self._events.put(StateChanged(ConnectionState.DISCONNECTED, reason))
        self._events.close()
        self._tell_backend(self)
