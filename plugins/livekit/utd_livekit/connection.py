"""One participant's connection to a LiveKit room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from livekit import rtc
from livekit.rtc.participant import PublishDataError

from utd_core.concurrency import BoundedQueue, Overflow
from utd_core.errors import Closed, ConnectionLost, Forbidden, InvalidInput, MediaError
from utd_core.media.arguments import check_capacity, check_payload, check_publish, check_quality
from utd_core.media.attributes import NO_ATTRIBUTES, Attributes
from utd_core.media.backend import (
    ConnectionStatistics,
    ConnectOptions,
    LocalTrack,
    MediaConnection,
    PublishOptions,
    WireStatistics,
)
from utd_core.media.events import (
    ConnectionQuality,
    ConnectionState,
    DataReceived,
    DisconnectReason,
    GrantChanged,
    MediaEvent,
    ParticipantInfo,
    ParticipantUpdated,
    QualityChanged,
    StateChanged,
    TrackKind,
)
from utd_core.media.quality import VideoQuality
from utd_core.media.reading import QueueReader
from utd_core.model.permission import Grant

from .capabilities import CAPABILITIES, MAX_DATA_BYTES
from .errands import Errands
from .introduction import Introduction
from .permissions import grant_of
from .profiles import attributes_of, text_of
from .publishing import Publisher
from .reasons import reason_of
from .refusals import has_run_out
from .remote import RemoteTrack, not_published, not_subscribed
from .roster import SETTLED, Roster
from .sdk import let_go_of_room, newest_ticket
from .sources import FROM_CLIENT
from .speakers import Speakers
from .statistics import round_trip_ms, wires_of

_QUALITIES: Mapping[int, ConnectionQuality] = {
    rtc.ConnectionQuality.QUALITY_EXCELLENT: ConnectionQuality.EXCELLENT,
    rtc.ConnectionQuality.QUALITY_GOOD: ConnectionQuality.GOOD,
    rtc.ConnectionQuality.QUALITY_POOR: ConnectionQuality.POOR,
    rtc.ConnectionQuality.QUALITY_LOST: ConnectionQuality.LOST,
}

_FAREWELL = 3.0
"""Seconds for which a leave may hold its caller up; what takes longer goes on by itself in the library.

It takes 20 ms, and ends in whatever state the connection is. But the library takes apart what was received one track
after the other, handing each from thread to thread, and where the machine has too much to do every turn waits: with 13
people in one process who all hear each other (156 sounds) on a machine with four times too much to do it took 5 s. The
raw SDK takes as long."""
_LAST_WORDS = 0.5
"""Seconds that are left to the SDK's calls when the connection has ended; some never return then."""


class LiveKitConnection(MediaConnection):
    """Made before its room connects, so that nothing the room says is missed; `begin` when it has connected."""

    def __init__(
        self,
        room: rtc.Room,
        options: ConnectOptions,
        ended: Callable[[LiveKitConnection], None],
        *,
        url: str,
        prefix: str = "",
    ) -> None:
        self._room = room
        self._url = url
        self._prefix = prefix
        self._tell_backend = ended
        self._events: BoundedQueue[MediaEvent] = BoundedQueue(options.event_capacity, Overflow.CLOSE)
        self._errands = Errands("the livekit connection")
        self._roster = Roster(room, self._events.put, is_adaptive=options.adaptive_stream)
        self._publisher = Publisher(room, self._errands, self._events.put, self._check_alive)
        self._introduction = Introduction(room, self._errands)
        self._speakers = Speakers(self._events.supersede)
        self._qualities: dict[str, ConnectionQuality] = {}
        self._state = ConnectionState.CONNECTED
        self._reason: DisconnectReason | None = None
        self._closed = False
        self._early: list[Callable[[], None]] | None = []
        self._data_sent = self._data_received = self._reconnects = 0
        self._name = self._identity = ""
        self._joined_at = 0.0
        self._profile = ("", "", NO_ATTRIBUTES)
        self._clearing: asyncio.Task[None] | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._listen(room)

    def begin(self) -> None:
        """The room has connected: take over what is there, and tell what happens from now on."""
        me = self._room.local_participant
        self._name, self._identity = self._room.name.removeprefix(self._prefix), me.identity
        self._joined_at = me.joined_at.timestamp() if me.joined_at is not None else 0.0
        self._publisher.grant = grant_of(me.permissions, FROM_CLIENT)
        self._profile = self._own_profile()
        self._roster.begin()
        self._introduction.begin(may_send=self.grant.publish_data)
        early, self._early = self._early or [], None
        for news in early:
            self._handle(news)

    @property
    def room(self) -> str:
        return self._name

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def state(self) -> ConnectionState:
        return self._state

    @property
    def grant(self) -> Grant:
        return self._publisher.grant

    @property
    def participants(self) -> Mapping[str, ParticipantInfo]:
        return self._roster.participants

    @property
    def local_participant(self) -> ParticipantInfo:
        tracks = tuple(track.info for track in self._publisher.tracks if track.publication is not None)
        name, metadata, attributes = self._profile
        return ParticipantInfo(
            self._identity, name, self.grant, tracks, self._joined_at, metadata=metadata, attributes=attributes
        )

    @property
    def events(self) -> BoundedQueue[MediaEvent]:
        return self._events

    @property
    def is_busy(self) -> bool:
        """Something is under way, or it has ended and not let go of everything yet."""
        return self._errands.is_busy or (self._clearing is not None and not self._clearing.done())

    @property
    def native(self) -> rtc.Room:
        """The SDK's room."""
        return self._room

    async def publish(self, options: PublishOptions) -> LocalTrack:
        self._check_alive()
        check_publish(options, "livekit", CAPABILITIES)
        return await self._publisher.publish(options)

    async def set_subscribed(self, track_id: str, subscribed: bool) -> None:
        self._published(track_id).subscribing.want(bool(subscribed))

    async def set_quality(self, track_id: str, quality: VideoQuality) -> None:
        check_quality(quality)
        track = self._published(track_id)
        if track.info.kind is TrackKind.AUDIO:
            raise InvalidInput(f"track {track_id!r} is sound, which has no sizes")
        self._roster.wish(track, quality)

    def read(self, track_id: str, *, capacity: int = 50, overflow: Overflow = Overflow.DROP_OLDEST) -> QueueReader:
        self._check_alive()
        check_capacity(capacity)
        track = self._roster.track(track_id)
        if track is None:
            raise not_subscribed(track_id)
        return track.read(capacity, overflow)

    async def send_data(
        self, payload: bytes, *, to: Collection[str] | None = None, topic: str = "", reliable: bool = True
    ) -> None:
        self._check_alive()
        check_payload(payload, to, topic, limit=MAX_DATA_BYTES)
        if not self.grant.publish_data:
            raise Forbidden("sending data is not granted to this participant")
        if to is None or to:
            await self._introduction.made()
            self._check_alive()
            await self._errands.run(self._send(payload, list(to or ()), topic, reliable))
        self._data_sent += 1

    async def statistics(self) -> ConnectionStatistics:
        if self._closed:
            raise self._gone()
        round_trip: float | None = None
        wires: dict[str, WireStatistics | None] = {}
        if self._state is ConnectionState.CONNECTED:
            tracks: dict[str, rtc.Track | None] = {track.info.id: track.native for track in self._publisher.tracks}
            tracks.update({track.info.id: track.native for track in self._roster.subscribed()})
            round_trip, wires = await asyncio.gather(round_trip_ms(self._room), wires_of(tracks))
        sent = [track.statistics() for track in self._publisher.tracks if track.publication is not None]
        received = [track.statistics() for track in self._roster.subscribed()]
        return ConnectionStatistics(
            sent=tuple(replace(each, wire=wires.get(each.track.id)) for each in sent),
            received=tuple(replace(each, wire=wires.get(each.track.id)) for each in received),
            data_sent=self._data_sent,
            data_received=self._data_received,
            reconnects=self._reconnects,
            round_trip_ms=round_trip,
            events=self._events.statistics(),
        )

    async def aclose(self) -> None:
        self._closed = True
        self._finish(DisconnectReason.CLIENT_LEFT)
        if self._clearing is not None:
            await asyncio.shield(self._clearing)

    async def _send(self, payload: bytes, to: list[str], topic: str, reliable: bool) -> None:
        try:
            await self._room.local_participant.publish_data(
                payload, reliable=reliable, destination_identities=to, topic=topic
            )
        except PublishDataError as error:
            self._check_alive()
            raise MediaError(f"LiveKit did not send the data: {error.message}") from error

    def _published(self, track_id: str) -> RemoteTrack:
        """Raises `NotFound`, `Closed` or `ConnectionLost`."""
        self._check_alive()
        track = self._roster.track(track_id)
        if track is None:
            raise not_published(track_id)
        return track

    def _check_alive(self) -> None:
        if self._closed:
            raise self._gone()
        if self._reason is not None:
            raise ConnectionLost(
                f"the connection of {self._identity!r} to room {self._name!r} has ended ({self._reason}); "
                "connect again",
                details={"reason": self._reason.value},
            )

    def _gone(self) -> Closed:
        return Closed(f"the connection of {self._identity!r} was closed; connect again")

    def _finish(self, reason: DisconnectReason) -> None:
        if self._reason is not None:
            return
        self._reason = reason
        self._state = ConnectionState.DISCONNECTED
        self._publisher.close()
        self._roster.close()
        self._events.put(StateChanged(ConnectionState.DISCONNECTED, reason))
        self._events.close()
        self._clearing = asyncio.create_task(self._clear(), name="livekit:clearing")

    async def _clear(self) -> None:
        """Disconnect, wait for what is under way, and let go of everything."""
        try:
            await self._speakers.aclose()
            leaving = self._errands.start(self._room.disconnect())
            await asyncio.wait([leaving], timeout=_FAREWELL)
            await self._errands.finish(_LAST_WORDS)
        finally:
            let_go_of_room(self._room)
            self._tell_backend(self)

    def _listen(self, room: rtc.Room) -> None:
        """Hand every event of the SDK on; handlers are called one after the other and must not wait."""
        handlers: Mapping[str, Callable[..., None]] = {
            "participant_connected": lambda other: self._roster.look_at(other.identity),
            "participant_disconnected": lambda other: self._roster.look_soon(other.identity),
            "participant_name_changed": lambda who, _old, _new: self._described(who),
            "participant_metadata_changed": lambda who, _old, _new: self._described(who),
            "participant_attributes_changed": lambda _, who: self._described(who),
            "active_speakers_changed": self._speakers.changed,
            "connection_quality_changed": self._rated,
            "participant_permissions_changed": self._permissions_changed,
            "track_published": lambda _, other: self._roster.look_at(other.identity),
            "track_unpublished": lambda _, other: self._roster.look_soon(other.identity),
            "track_subscribed": self._subscribed,
            "track_unsubscribed": lambda _track, _, other: self._roster.look_soon(other.identity),
            "track_muted": lambda whose, publication: self._muted(whose, publication, True),
            "track_unmuted": lambda whose, publication: self._muted(whose, publication, False),
            "local_track_unpublished": self._publisher.unpublished,
            "data_received": self._received,
            "reconnecting": self._reconnecting,
            "reconnected": self._reconnected,
            "disconnected": self._disconnected,
        }
        for event, handler in handlers.items():
            room.on(event, self._in_order(handler))  # type: ignore[arg-type]  # the names are literals there

    def _in_order(self, handler: Callable[..., None]) -> Callable[..., None]:
        return lambda *arguments: self._handle(partial(handler, *arguments))

    def _handle(self, news: Callable[[], None]) -> None:
        if self._early is not None:
            self._early.append(news)
        elif self._reason is None:
            news()

    def _subscribed(self, _: rtc.Track, publication: rtc.RemoteTrackPublication, other: rtc.RemoteParticipant) -> None:
        self._roster.look_at(other.identity)
        if publication.source == rtc.TrackSource.SOURCE_MICROPHONE:
            self._speakers.received(other)

    def _muted(self, whose: rtc.Participant, publication: rtc.TrackPublication, muted: bool) -> None:
        if whose is self._room.local_participant:
            self._publisher.muted(publication, muted)
        else:
            self._roster.look_at(whose.identity)

    def _described(self, who: rtc.Participant) -> None:
        # The SDK tells name, metadata and attributes one after the other, though they changed together.
        if who is not self._room.local_participant:
            self._roster.look_soon(who.identity)
        elif self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(SETTLED, self._look_at_oneself)

    def _look_at_oneself(self) -> None:
        self._looking = None
        if self._reason is None and (profile := self._own_profile()) != self._profile:
            self._profile = profile
            self._events.put(ParticipantUpdated(self.local_participant))

    def _own_profile(self) -> tuple[str, str, Attributes]:
        """Name, metadata and attributes of this participant, as the SDK has them."""
        me = self._room.local_participant
        return text_of(me.name), text_of(me.metadata), attributes_of(me)

    def _rated(self, who: rtc.Participant, number: int) -> None:
        quality = _QUALITIES.get(number)
        if quality is not None and self._qualities.get(who.identity) is not quality:
            self._qualities[who.identity] = quality
            self._events.put(QualityChanged(who.identity, quality))

    def _permissions_changed(self, whose: rtc.Participant, *_: Any) -> None:
        if whose is not self._room.local_participant:
            self._roster.look_at(whose.identity)
            return
        grant = grant_of(whose.permissions, FROM_CLIENT)
        if grant == self.grant:
            return
        self._publisher.grant = grant
        self._events.put(GrantChanged(grant))
        self._publisher.enforce()
        if not grant.subscribe:
            self._roster.end_subscriptions()

    def _received(self, packet: rtc.DataPacket) -> None:
        self._data_received += 1
        sender = packet.participant.identity if packet.participant is not None else None
        reliable = packet.kind == rtc.DataPacketKind.KIND_RELIABLE
        self._events.put(DataReceived(packet.data, sender, packet.topic or "", reliable))

    def _reconnecting(self) -> None:
        if self._state is ConnectionState.CONNECTED:
            self._state = ConnectionState.RECONNECTING
            self._roster.hold()
            self._events.put(StateChanged(ConnectionState.RECONNECTING))

    def _reconnected(self) -> None:
        if self._state is ConnectionState.RECONNECTING:
            self._state = ConnectionState.CONNECTED
            self._reconnects += 1
            self._events.put(StateChanged(ConnectionState.CONNECTED))
            self._roster.release()
            self._introduction.begin(may_send=self.grant.publish_data)

    def _disconnected(self, number: int) -> None:
        if number == rtc.DisconnectReason.JOIN_FAILURE:
            self._errands.start(self._end_refused())
            return
        reason = reason_of(number)
        if reason is DisconnectReason.UNKNOWN and self._state is ConnectionState.RECONNECTING:
            reason = DisconnectReason.SIGNAL_LOST
        self._finish(reason)

    async def _end_refused(self) -> None:
        """The server has not taken the newest ticket; of why, the SDK says nothing."""
        ran_out = await has_run_out(self._url, newest_ticket(self._room))
        self._finish(DisconnectReason.TOKEN_EXPIRED if ran_out else reason_of(rtc.DisconnectReason.JOIN_FAILURE))
