"""One participant's connection: what an application may ask of it, and with what it is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from utd_core.concurrency import BoundedQueue, Overflow
from utd_core.errors import (
    Closed,
    ErrorCode,
    Forbidden,
    NotFound,
    PublishRefused,
    Unsupported,
)
from utd_core.media import arguments
from utd_core.media.backend import (
    ConnectionStatistics,
    LocalTrack,
    MediaConnection,
    PublishOptions,
)
from utd_core.media.events import (
    ConnectionState,
    MediaEvent,
    ParticipantInfo,
)
from utd_core.media.quality import VideoQuality
from utd_core.media.reading import QueueReader
from utd_core.media.signalling import Signalling
from utd_core.model.permission import Grant

from .capabilities import CAPABILITIES, MAX_DATA_BYTES
from .figures import with_wire
from .participation import Participation
from .path import Path


class P2PConnection(MediaConnection):
    """Made by `P2PBackend.connect`; its life is a `Participation`."""

    def __init__(self, life: Participation) -> None:
        self._life = life
        self._data_sent = 0

    async def open(self) -> None:
        """Come in, and wait for the way to who is there. Raises `ConnectFailed`, `DeadlineExceeded`, `Closed`."""
        await self._life.open()

    def give_up(self) -> None:
        """Leave, without waiting until everything is let go of. Idempotent."""
        self._life.give_up()

    @property
    def room(self) -> str:
        return self._life.member.room

    @property
    def identity(self) -> str:
        return self._life.member.identity

    @property
    def state(self) -> ConnectionState:
        return self._life.state

    @property
    def grant(self) -> Grant:
        return self._life.member.grant

    @property
    def participants(self) -> Mapping[str, ParticipantInfo]:
        return self._life.member.roster.people

    @property
    def local_participant(self) -> ParticipantInfo:
        return self._life.member.info()

    @property
    def events(self) -> BoundedQueue[MediaEvent]:
        return self._life.events

    @property
    def native(self) -> Path:
        """The way to the other participant; its `peer.native` is aiortc's `RTCPeerConnection` of now."""
        return self._life.path

    @property
    def is_released(self) -> bool:
        """Nothing that it held is left."""
        return self._life.released.is_set()

    @property
    def is_ending(self) -> bool:
        """It is over, and still lets go of what it held."""
        return self._life.is_over and not self.is_released

    async def publish(self, options: PublishOptions) -> LocalTrack:
        self._life.check_alive()
        arguments.check_publish(options, "webrtc_p2p", CAPABILITIES)
        if options.source not in self._life.member.grant.publish:
            raise PublishRefused(
                f"the grant of {self.identity!r} does not hold {options.source.value!r}; "
                "ask for a seat, a stage place or a role that does",
                details={"source": options.source.value},
            )
        return await self._life.publishing.publish(options)

    async def set_subscribed(self, track_id: str, subscribed: bool) -> None:
        self._life.check_alive()
        if self._life.member.roster.find(track_id) is None:
            raise NotFound(
                f"there is no track {track_id!r} to subscribe to in room {self.room!r}", code=ErrorCode.TRACK_NOT_FOUND
            )
        if subscribed and not self._life.member.grant.subscribe:
            raise Forbidden(f"the grant of {self.identity!r} does not allow to subscribe")
        self._life.receiving.wish(track_id, subscribed)
        self._life.member.match_subscriptions()

    async def set_quality(self, track_id: str, quality: VideoQuality) -> None:
        self._life.check_alive()
        raise Unsupported("backend 'webrtc_p2p' has no simulcast: a video comes in the one size that is published")

    def read(self, track_id: str, *, capacity: int = 50, overflow: Overflow = Overflow.DROP_OLDEST) -> QueueReader:
        self._life.check_alive()
        arguments.check_capacity(capacity)
        return QueueReader(self._life.receiving.find(track_id), capacity, overflow)

    async def send_data(
        self, payload: bytes, *, to: Collection[str] | None = None, topic: str = "", reliable: bool = True
    ) -> None:
        arguments.check_payload(payload, to, topic, limit=MAX_DATA_BYTES)
        arguments.check_label(topic, "a topic")
        self._life.check_alive()
        if not self._life.member.grant.publish_data:
            raise Forbidden(f"the grant of {self.identity!r} does not allow to send data")
        other = self._life.member.roster.other
        if other is not None and (to is None or other.identity in to):
            if reliable:
                await self._life.path.send_reliable(topic, payload)
                self._life.check_alive()
            else:
                self._life.path.send_lossy(topic, payload)
        self._data_sent += 1

    async def statistics(self) -> ConnectionStatistics:
        if self._life.is_closed:
            raise Closed(f"the connection of {self.identity!r} was closed")
        figures = await self._life.path.figures()
        round_trip = self._life.path.round_trip
        sent = with_wire(self._life.publishing.statistics(), figures.sent)
        received = with_wire(self._life.receiving.statistics(), figures.received)
        return ConnectionStatistics(
            sent=sent,
            received=received,
            data_sent=self._data_sent,
            data_received=self._life.data_received,
            reconnects=self._life.reconnects,
            round_trip_ms=None if round_trip is None else round_trip * 1_000,
            events=self._life.events.statistics(),
        )

    async def aclose(self) -> None:
        self.give_up()
        await self._life.released.wait()

    @property
    def signalling(self) -> Signalling:
        """The way to the control half."""
        return self._life.signalling
