"""A media room, without any rules: one connection at a time, what is published, what is received."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ...concurrency import Clock, Closeable, SystemClock, TaskScope
from ...errors import Closed, ConnectionLost, ErrorCode, InvalidInput, NotFound
from ...media.backend import ConnectOptions, MediaBackend, PublishOptions
from ...media.checks import check_choice
from ...media.encryption import EncryptionKey
from ...media.events import DisconnectReason, Speaker
from ...media.quality import VideoQuality
from ...media.sources.base import AudioSource, VideoSource
from ...model.identifiers import check_identity
from ...model.permission import AUDIO_SOURCES, Grant, TrackSource
from ...model.results import UTDTokenResponse
from ..link import BackendLink, MediaLink
from ..models import LocalParticipant, RemoteParticipant, RoomEvent, RoomStatistics
from ..state.event_stream import EventSource, EventStream
from ..state.observable import Observable
from .devices import Devices, MediaSource, check_no_media
from .publishing import Publishing
from .receiving import Receiving
from .reception import Reception
from .room_connection import RoomConnection
from .room_state import RoomState
from .viewing import Viewing


@dataclass(frozen=True, slots=True)
class RoomHooks:
    """How a session lives with its room. The functions are called where events are received, so they never wait.

    `on_event`: each event of the room, after the room has taken it over. `is_entitled`: whether the rules of the
    session grant a source, whatever the backend says at this moment. `comes_back`: a lost connection is followed by
    another one, so what is published and read outlives it.
    """

    on_event: Callable[[RoomEvent], None] = lambda event: None
    is_entitled: Callable[[TrackSource], bool] = lambda source: False
    comes_back: bool = False


class UTDRoom(Receiving, Closeable):
    """The media half of a session, also useful alone.

        room = UTDRoom(backend)
        await room.connect(url, token)

    It never raises its own permissions: what may be published is what the server side grants, and opening a device
    without that is `Forbidden`. `adaptive_stream`: a subscribed video that nobody reads is not sent. `simulcast`: the
    camera is published in several sizes, of which each viewer wishes one (`set_video_quality`), where the backend can.
    `dynacast`: layers that nobody receives are not encoded. `e2ee`: sound, pictures and data are encrypted from end to
    end, for those with the same key. `deadline`: seconds for a connect.
    """

    def __init__(
        self,
        media: MediaLink | MediaBackend,
        *,
        adaptive_stream: bool = True,
        simulcast: bool = False,
        e2ee: EncryptionKey | None = None,
        dynacast: bool = True,
        deadline: float = 10.0,
        devices: Devices | None = None,
        clock: Clock | None = None,
        scope: TaskScope | None = None,
        hooks: RoomHooks | None = None,
    ) -> None:
        self._link = BackendLink(media, clock or SystemClock()) if isinstance(media, MediaBackend) else media
        self._adaptive_stream = adaptive_stream
        self._e2ee = e2ee
        self._dynacast = dynacast
        self._deadline = deadline
        self._devices = devices or Devices()
        self._scope = scope or TaskScope("UTDRoom")
        self._hooks = hooks or RoomHooks()
        self._state = RoomState(self._scope, self._link.clock)
        self._reception = Reception()
        self._viewing = Viewing(self._scope)
        self._events: EventSource[RoomEvent] = EventSource()
        self._publishing = Publishing(
            self._scope,
            self._link.clock,
            announce=self._state.publishing.set,
            ended=self._report,
            is_entitled=self._hooks.is_entitled,
            simulcast=simulcast,
        )
        self._connection = RoomConnection(
            self._link,
            self._scope,
            self._state,
            (self._reception, self._viewing, self._publishing),
            report=self._report,
            gone=self._connection_gone,
        )

    @property
    def connected(self) -> Observable[bool]:
        """Whether there is a media connection, and it is not being repaired."""
        return self._state.connected

    @property
    def grant(self) -> Observable[Grant]:
        """What the server side grants now."""
        return self._state.grant

    @property
    def can_publish(self) -> Observable[bool]:
        """Whether at least one source is granted."""
        return self._state.grant.map(lambda grant: grant.can_publish)

    @property
    def publishing(self) -> Observable[frozenset[TrackSource]]:
        """The own sources that others hear and see now: published and not muted."""
        return self._state.publishing

    @property
    def remote_participants(self) -> Observable[tuple[RemoteParticipant, ...]]:
        """Everybody else: their tracks, whether they speak and how loud, how well they are connected, and what the
        application says of them."""
        return self._state.remote

    @property
    def speakers(self) -> Observable[tuple[Speaker, ...]]:
        """Who speaks now, loudest first, this participant itself included; where the backend tells."""
        return self._state.speakers

    @property
    def dominant_speaker(self) -> Observable[str | None]:
        """Who of them has the word: until silent, or until another is clearly louder. None while nobody speaks."""
        return self._state.dominant_speaker

    @property
    def participants(self) -> Mapping[str, RemoteParticipant]:
        """Everybody else by identity."""
        return self._state.people

    @property
    def local_participant(self) -> LocalParticipant | None:
        """This participant, None without a connection."""
        connection = self._connection.present
        if connection is None:
            return None
        return self._state.roster.describe(replace(connection.local_participant, tracks=self._publishing.tracks))

    @property
    def events(self) -> EventStream[RoomEvent]:
        """Everything the media plane reports."""
        return self._events.stream

    @property
    def native(self) -> Any:
        """The backend's own room object, None without a connection. Using it ties the application to that backend."""
        connection = self._connection.present
        return None if connection is None else connection.native

    async def connect(self, url: str, token: str, *, auto_subscribe: bool = True) -> None:
        """Connect with a token. `auto_subscribe`: receive every track without asking.

        Raises `ConnectFailed`, `DeadlineExceeded`, `Conflict` (already_joined), `Closed`.
        """
        ticket = UTDTokenResponse(
            token=token, url=url, room_name="", user_token="", ws_url=None, backend="", expires_at=float("inf")
        )
        await self.connect_with(ticket, auto_subscribe=auto_subscribe)

    async def connect_with(self, ticket: UTDTokenResponse, *, auto_subscribe: bool = True) -> None:
        """Connect with a ticket of the engine; otherwise as `connect`."""
        options = ConnectOptions(auto_subscribe, self._adaptive_stream, self._dynacast, self._deadline, e2ee=self._e2ee)
        await self._connection.connect(ticket, options)

    async def disconnect(self) -> None:
        """Leave the media room. What was published is closed; the room may connect again. Idempotent."""
        self._end_stay()
        await self._connection.disconnect()
        await self._publishing.drop_all()

    async def wait_disconnected(self) -> DisconnectReason:
        """Wait until there is no connection; why the last one ended."""
        return await self._connection.wait_disconnected()

    async def set_microphone(
        self, enabled: bool, source: AudioSource | None = None, *, options: PublishOptions | None = None
    ) -> None:
        """Open or mute the microphone; `source` (taken over, and closed at its end) replaces what is heard so far.

        Raises `Forbidden` at once unless the microphone is granted, `Superseded` when the opposite was called before it
        began, `ConnectionLost`.
        """
        await self._switch(TrackSource.MICROPHONE, enabled, source, options)

    async def set_camera(
        self, enabled: bool, source: VideoSource | None = None, *, options: PublishOptions | None = None
    ) -> None:
        """Open or mute the camera; otherwise as `set_microphone`."""
        await self._switch(TrackSource.CAMERA, enabled, source, options)

    async def set_screen_share(
        self, enabled: bool, source: VideoSource | None = None, *, options: PublishOptions | None = None
    ) -> None:
        """Share `source`, or stop sharing. Raises as `set_microphone`, and `InvalidInput` without a source to share."""
        if enabled:
            await self._switch(TrackSource.SCREEN_SHARE, True, source, options)
        else:
            check_no_media(TrackSource.SCREEN_SHARE, source)
            await self.unpublish(TrackSource.SCREEN_SHARE)

    async def unpublish(self, source: TrackSource) -> None:
        """Take back what is published, muted or not, and close its source. Idempotent."""
        await self._publishing.drop(source)

    async def send_data(
        self,
        payload: bytes,
        *,
        reliable: bool = True,
        destination_identities: Collection[str] | None = None,
        topic: str = "",
    ) -> None:
        """Send data to everybody else, or only to some. Raises `TooLarge`, `Forbidden`, `ConnectionLost`."""
        connection = self._connection.get()
        try:
            await connection.send_data(payload, to=destination_identities, topic=topic, reliable=reliable)
        except Closed as error:
            raise ConnectionLost("the connection ended while sending; try again when there is one") from error

    async def set_subscribed(self, identity: str, source: TrackSource, subscribed: bool) -> None:
        """Take or refuse what a participant publishes of a source. Raises `NotFound` (track_not_found),
        `ConnectionLost`."""
        connection = self._connection.get()
        participant = connection.participants.get(identity)
        tracks = [] if participant is None else [track for track in participant.tracks if track.source is source]
        if not tracks:
            raise NotFound(f"{identity!r} publishes no {source.value} now", code=ErrorCode.TRACK_NOT_FOUND)
        for track in tracks:
            await connection.set_subscribed(track.id, subscribed)

    async def set_video_quality(
        self, identity: str, quality: VideoQuality, source: TrackSource = TrackSource.CAMERA
    ) -> None:
        """Have a participant's simulcast video in this size from the next picture on, and each later one of that source
        too, until this room is left; without simulcast there is one size.

        May be called before there is a video, or a connection. Raises `InvalidInput` for a source of sound,
        `Unsupported` where the backend has no simulcast.
        """
        source = check_choice(TrackSource, source)
        if source in AUDIO_SOURCES:
            raise InvalidInput(f"{source.value} is sound, which comes in one quality")
        await self._viewing.wish(check_identity(identity), source, check_choice(VideoQuality, quality))

    async def statistics(self) -> RoomStatistics:
        """Counters of what is published, and of the present connection."""
        connection, counted = self._connection.present, None
        if connection is not None:
            with suppress(Closed, ConnectionLost):
                counted = await connection.statistics()
        return RoomStatistics(self._publishing.statistics(), counted)

    def hush(self) -> None:
        """Publish nothing from this moment on: nobody is heard while a goodbye takes its time."""
        self._publishing.detach()

    def check_entitlement(self) -> None:
        """The session's rules may have changed: close what they no longer grant."""
        self._publishing.check_entitlement()

    async def aclose(self) -> None:
        """Disconnect and end every task of the room. Idempotent, from any task."""
        self.close_streams()
        try:
            await self.disconnect()
        finally:
            await self._scope.aclose()

    def close_streams(self) -> None:
        """No state and no event follows; the tasks end with the scope."""
        self._connection.close()
        self._end_stay()
        self._state.close()
        self._events.close()

    async def _switch(
        self, kind: TrackSource, enabled: bool, source: MediaSource | None, options: PublishOptions | None
    ) -> None:
        if enabled:
            await self._publishing.switch_on(kind, source, self._devices.open, options)
        else:
            check_no_media(kind, source)
            await self._publishing.switch_off(kind)

    def _report(self, event: RoomEvent) -> None:
        self._hooks.on_event(event)
        self._events.publish(event)

    def _connection_gone(self) -> None:
        if not self._hooks.comes_back:
            self._end_stay()

    def _end_stay(self) -> None:
        self._reception.end_stay()
        self._viewing.end_stay()
