"""One participant's connection: what a client knows, and how it asks the control half and the other peer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress

import anyio
from av.frame import Frame as Decoded

from utd_core.concurrency import BoundedQueue, Clock, Overflow, TaskScope
from utd_core.concurrency.deadline import within
from utd_core.errors import (
    Closed,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    ErrorCode,
    Forbidden,
    NotFound,
    PublishRefused,
    Unsupported,
    UTDStreamException,
)
from utd_core.media import arguments
from utd_core.media.backend import (
    ConnectionStatistics,
    ConnectOptions,
    LocalTrack,
    MediaConnection,
    PublishOptions,
)
from utd_core.media.events import (
    ConnectionState,
    DataReceived,
    DisconnectReason,
    MediaEvent,
    ParticipantInfo,
    StateChanged,
)
from utd_core.media.quality import VideoQuality
from utd_core.media.signalling import Signalling
from utd_core.model.permission import Grant, TrackSource

from .capabilities import MAX_DATA_BYTES
from .dialogue import Dialogue
from .feeds import PictureFeed, SoundFeed
from .figures import with_wire
from .local import P2PLocalTrack
from .membership import Membership
from .path import Path
from .protocol import (
    Bye,
    Candidate,
    Data,
    Denied,
    Description,
    Done,
    Ended,
    FromControl,
    Hello,
    Message,
    Pairing,
    Ping,
    Pong,
    Refused,
    Welcome,
)
from .publishing import Publishing
from .receiving import Receiving
from .settings import Settings
from .subscriptions import P2PFrameReader

log = logging.getLogger("utd_webrtc_p2p")

_FAREWELL = 1.0
"""Seconds that saying goodbye may take."""


class P2PConnection(MediaConnection):
    """Made by `P2PBackend.connect`. Everything that arrives is applied here first and put into `events` then."""

    def __init__(
        self,
        signalling: Signalling,
        token: str,
        options: ConnectOptions,
        settings: Settings,
        clock: Clock,
        afterwards: TaskScope,
    ) -> None:
        self._signalling = signalling
        self._token = token
        self._options = options
        self._settings = settings
        self._clock = clock
        self._afterwards = afterwards
        self._scope = TaskScope("utd_webrtc_p2p:connection")
        self._released = asyncio.Event()
        self._opened = False
        self._welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._state = ConnectionState.CONNECTED
        self._reason: DisconnectReason | None = None
        self._closed = False
        self._outage = 0
        self._events: BoundedQueue[MediaEvent] = BoundedQueue(options.event_capacity, Overflow.CLOSE)
        self._dialogue = Dialogue(signalling, self)
        self._path = Path(settings, clock, self._scope, self)
        self._publishing = Publishing(self._dialogue, self._way_of, self._check_alive, lambda: self._path.is_broken)
        self._receiving = Receiving(options, clock, self._path.tell_wants)
        self._member = Membership(self._events, self._path, self._publishing, self._receiving)
        self._data_sent = self._data_received = self._reconnects = 0

    async def open(self) -> None:
        """Come in, and wait for the way to who is there. Raises `ConnectFailed`, `DeadlineExceeded`, `Closed`."""
        try:
            await within(self._clock, self._options.deadline, self._come_in(), self._why_late)
        except BaseException:
            self.give_up()
            raise
        self._opened = True

    @property
    def room(self) -> str:
        return self._member.room

    @property
    def identity(self) -> str:
        return self._member.identity

    @property
    def state(self) -> ConnectionState:
        return self._state

    @property
    def grant(self) -> Grant:
        return self._member.grant

    @property
    def participants(self) -> Mapping[str, ParticipantInfo]:
        return self._member.roster.people

    @property
    def events(self) -> BoundedQueue[MediaEvent]:
        return self._events

    @property
    def native(self) -> Path:
        """The way to the other participant; its `peer.native` is aiortc's `RTCPeerConnection` of now."""
        return self._path

    @property
    def is_released(self) -> bool:
        """Nothing that it held is left."""
        return self._released.is_set()

    @property
    def is_ending(self) -> bool:
        """It is over, and still lets go of what it held."""
        return self._reason is not None and not self.is_released

    async def publish(self, options: PublishOptions) -> LocalTrack:
        self._check_alive()
        arguments.check_publish(options)
        arguments.check_label(options.name, "the name of a track")
        if options.source not in self._member.grant.publish:
            raise PublishRefused(
                f"the grant of {self.identity!r} does not hold {options.source.value!r}; "
                "ask for a seat, a stage place or a role that does",
                details={"source": options.source.value},
            )
        return await self._publishing.publish(options)

    async def set_subscribed(self, track_id: str, subscribed: bool) -> None:
        self._check_alive()
        if self._member.roster.find(track_id) is None:
            raise NotFound(
                f"there is no track {track_id!r} to subscribe to in room {self.room!r}", code=ErrorCode.TRACK_NOT_FOUND
            )
        if subscribed and not self._member.grant.subscribe:
            raise Forbidden(f"the grant of {self.identity!r} does not allow to subscribe")
        self._receiving.wish(track_id, subscribed)
        self._member.match_subscriptions()

    async def set_quality(self, track_id: str, quality: VideoQuality) -> None:
        self._check_alive()
        raise Unsupported("backend 'webrtc_p2p' has no simulcast: a video comes in the one size that is published")

    def read(self, track_id: str, *, capacity: int = 50, overflow: Overflow = Overflow.DROP_OLDEST) -> P2PFrameReader:
        self._check_alive()
        arguments.check_capacity(capacity)
        return P2PFrameReader(self._receiving.find(track_id), capacity, overflow)

    async def send_data(
        self, payload: bytes, *, to: Collection[str] | None = None, topic: str = "", reliable: bool = True
    ) -> None:
        arguments.check_payload(payload, to, topic, limit=MAX_DATA_BYTES)
        arguments.check_label(topic, "a topic")
        self._check_alive()
        if not self._member.grant.publish_data:
            raise Forbidden(f"the grant of {self.identity!r} does not allow to send data")
        other = self._member.roster.other
        if other is not None and (to is None or other.identity in to):
            if reliable:
                await self._path.send_reliable(topic, payload)
                self._check_alive()
            else:
                self._path.send_lossy(topic, payload)
        self._data_sent += 1

    async def statistics(self) -> ConnectionStatistics:
        if self._closed:
            raise Closed(f"the connection of {self.identity!r} was closed")
        figures = await self._path.figures()
        round_trip = self._path.round_trip
        return ConnectionStatistics(
            sent=with_wire(self._publishing.statistics(), figures.sent),
            received=with_wire(self._receiving.statistics(), figures.received),
            data_sent=self._data_sent,
            data_received=self._data_received,
            reconnects=self._reconnects,
            round_trip_ms=None if round_trip is None else round_trip * 1_000,
            events=self._events.statistics(),
        )

    async def aclose(self) -> None:
        self.give_up()
        await self._released.wait()

    @property
    def signalling(self) -> Signalling:
        """The way to the control half."""
        return self._signalling

    def say(self, message: Message) -> None:
        self._dialogue.say(message)

    def path_broke(self) -> None:
        self._receiving.renew()
        self._refresh_state()

    def path_is_up(self) -> None:
        self._refresh_state()

    def path_given_up(self, why: str) -> None:
        if self._opened and self._reason is None:
            log.warning("the connection of %r is given up: %s", self._member.identity, why)
            self.say(Bye())
            self._finish(DisconnectReason.SIGNAL_LOST)

    def path_gives(self, source: TrackSource, frame: Decoded) -> None:
        other = self._member.roster.other
        if other is not None and source in other.grant.publish and self._member.grant.subscribe:
            self._receiving.arrive(source, frame)

    def path_hears(self, topic: str, payload: bytes, reliable: bool) -> None:
        other = self._member.roster.other
        if other is not None and other.grant.publish_data:
            self._data_received += 1
            self._events.put(DataReceived(payload, other.identity, topic, reliable))

    def path_wants(self, wanted: Mapping[str, bool]) -> None:
        self._publishing.take_wants(wanted)

    def wants(self) -> Mapping[str, bool]:
        return self._receiving.wants()

    async def _come_in(self) -> None:
        await self._scope.open()
        self._scope.start(self._dialogue.talk)
        self._scope.start(self._dialogue.listen)
        self._scope.start(self._path.watch)
        self._dialogue.greet(Hello(token=self._token), again=False)
        await asyncio.shield(self._welcomed)
        await self._path.settled()
        if self._reason is not None and not self._closed:
            raise ConnectFailed(
                f"the stay of {self.identity!r} in room {self.room!r} ended as it began ({self._reason})",
                details={"reason": self._reason.value},
            )
        self._check_alive()

    def _why_late(self) -> str:
        after = f"within {self._options.deadline:g} s"
        if self._member.stay is None:
            return f"the control half of webrtc_p2p did not answer {after}"
        return f"no way to the other participant was found {after}: {self._path.why_not_up()}"

    def signal_lost(self) -> None:
        self._outage += 1
        if self._member.stay is not None and self._reason is None:
            self._scope.start(self._await_signal, self._outage)
            self._refresh_state()

    def signal_restored(self) -> None:
        hello = Hello(token=self._token, stay=self._member.stay, generation=self._path.live_generation)
        self._dialogue.greet(hello, again=self._member.stay is not None)

    def hung_up(self) -> None:
        self._fail(ConnectFailed("the control half hung up", details={"reason": "server_away"}))
        self._finish(DisconnectReason.SIGNAL_LOST)

    async def _await_signal(self, outage: int) -> None:
        await self._clock.sleep(self._settings.recovery_timeout)
        if self._dialogue.is_away and self._outage == outage:
            self._finish(DisconnectReason.SIGNAL_LOST)

    def hear(self, message: FromControl) -> None:
        if self._reason is not None:
            return
        match message:
            case Welcome():
                self._take_welcome(message)
            case Refused():
                self._take_refusal(message)
            case Ended(reason=reason):
                self._fail(ConnectFailed(f"the stay ended as it began ({reason})", details={"reason": reason.value}))
                self._finish(reason)
            case Ping():
                self.say(Pong())
            case Done(request=number):
                self._dialogue.done(number)
            case Denied():
                self._dialogue.denied(message.request, PublishRefused(message.message))
            case Pairing():
                self._path.pair(message)
            case Description() | Candidate():
                self._path.take(message)
            case Data():
                self._data_received += 1
                self._events.put(DataReceived(message.content(), None, message.topic, message.reliable))
            case _:
                self._member.hear(message)
                self._refresh_state()

    def _take_welcome(self, welcome: Welcome) -> None:
        if self._member.stay is None:
            self._member.begin(welcome)
            if not self._welcomed.done():
                self._welcomed.set_result(None)
        else:
            self._dialogue.welcomed_again()
            self._member.catch_up(welcome)
            self._refresh_state()

    def _take_refusal(self, refused: Refused) -> None:
        self._fail(ConnectFailed(refused.message, details={"reason": refused.reason}))
        self._finish(DisconnectReason.SIGNAL_LOST)

    def _way_of(self, track: P2PLocalTrack) -> SoundFeed | PictureFeed | None:
        """Where frames of a track go: nowhere, unless both grants allow it and the other wants it."""
        other = self._member.roster.other
        source = track.info.source
        if other is None or not (other.grant.subscribe and track.wanted and source in self._member.grant.publish):
            return None
        return self._path.feed(source)

    def _check_alive(self) -> None:
        if self._closed:
            raise Closed(f"the connection of {self.identity!r} was closed; connect again")
        if self._reason is not None:
            raise self._lost()

    def _lost(self) -> UTDStreamException:
        if self._closed:
            return Closed(f"the connection of {self.identity!r} was closed; connect again")
        reason = self._reason or DisconnectReason.UNKNOWN
        return ConnectionLost(
            f"the connection of {self.identity!r} to room {self.room!r} has ended ({reason}); connect again",
            details={"reason": reason.value},
        )

    def _refresh_state(self) -> None:
        state = (
            ConnectionState.RECONNECTING
            if self._dialogue.is_away or self._path.is_broken
            else ConnectionState.CONNECTED
        )
        if self._state not in (state, ConnectionState.DISCONNECTED):
            self._state = state
            self._reconnects += state is ConnectionState.CONNECTED
            self._events.put(StateChanged(state))

    def _fail(self, error: UTDStreamException) -> None:
        """Tell who waits to come in."""
        if not self._welcomed.done():
            self._welcomed.set_exception(error)

    def give_up(self) -> None:
        """Leave, without waiting until everything is let go of. Idempotent."""
        if not self._closed:
            self._closed = True
            if self._reason is None:
                self.say(Bye())
            self._fail(Closed("the connection was closed while it was being made"))
            self._finish(DisconnectReason.CLIENT_LEFT)

    def _finish(self, reason: DisconnectReason) -> None:
        if self._reason is not None:
            return
        self._reason = reason
        self._state = ConnectionState.DISCONNECTED
        self._publishing.close()
        self._receiving.close()
        self._member.roster.clear()
        self._path.close()
        self._dialogue.close(self._lost())
        # Read by nobody where `open` was left before it came to that.
        self._fail(self._lost())
        self._welcomed.exception()
        self._events.put(StateChanged(ConnectionState.DISCONNECTED, reason))
        self._events.close()
        try:
            self._afterwards.start(self._release)
        except Closed:
            self._released.set()

    async def _release(self) -> None:
        """Let go of everything, whoever is cancelled meanwhile."""
        with anyio.CancelScope(shield=True):
            with suppress(DeadlineExceeded):
                if self._scope.is_open:
                    await within(self._clock, _FAREWELL, self._dialogue.said_all(), "no goodbye")
            await self._scope.aclose()
            await self._signalling.aclose()
            self._released.set()
