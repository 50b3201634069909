"""A media room, without any rules: one connection at a time, what is published, what is received."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Self

import anyio

from ..concurrency import Clock, Overflow, SystemClock, TaskScope
from ..errors import Closed, Conflict, ConnectionLost, ErrorCode, InvalidInput, NotFound
from ..media.backend import (
    ConnectionStatistics,
    ConnectOptions,
    FrameReader,
    MediaBackend,
    MediaConnection,
    PublishOptions,
)
from ..media.checks import check_choice
from ..media.events import (
    ConnectionState,
    DisconnectReason,
    GrantChanged,
    LocalTrackEnded,
    MediaEvent,
    StateChanged,
)
from ..media.quality import VideoQuality
from ..media.sources.base import AudioSource, VideoSource
from ..model.identifiers import check_identity
from ..model.permission import AUDIO_SOURCES, Grant, TrackSource
from ..model.results import UTDTokenResponse
from .devices import Devices, MediaSource
from .event_stream import EventSource, EventStream
from .link import BackendLink, MediaLink
from .models import LocalParticipant, RemoteParticipant, RoomEvent
from .observable import Observable, Variable
from .publishing import Publishing
from .reception import Reception, RemoteFrames
from .viewing import Viewing

NO_GRANT = Grant(subscribe=False, publish_data=False)


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


class UTDRoom:
    """The media half of a session, also useful alone.

        room = UTDRoom(backend)
        await room.connect(url, token)

    It never raises its own permissions: what may be published is what the server side grants, and opening a device
    without that is `Forbidden`. `adaptive_stream`: a subscribed video that nobody reads is not sent. `simulcast`: the
    camera is published in several sizes, of which each viewer wishes one (`set_video_quality`), where the backend can.
    `dynacast`: layers that nobody receives are not encoded. `deadline`: seconds for a connect.
    """

    def __init__(
        self,
        media: MediaLink | MediaBackend,
        *,
        adaptive_stream: bool = True,
        simulcast: bool = False,
        dynacast: bool = True,
        deadline: float = 10.0,
        devices: Devices | None = None,
        clock: Clock | None = None,
        scope: TaskScope | None = None,
        hooks: RoomHooks | None = None,
    ) -> None:
        self._link = BackendLink(media, clock or SystemClock()) if isinstance(media, MediaBackend) else media
        self._adaptive_stream = adaptive_stream
        self._dynacast = dynacast
        self._deadline = deadline
        self._devices = devices or Devices()
        self._scope = scope or TaskScope("UTDRoom")
        self._hooks = hooks or RoomHooks()
        self._connection: MediaConnection | None = None
        self._connecting = self._closed = False
        self._reason = DisconnectReason.UNKNOWN
        self._gone = asyncio.Event()
        self._gone.set()
        self._reception = Reception()
        self._viewing = Viewing(self._scope)
        timing = (self._scope, self._link.clock)
        self._connected = Variable(False, *timing)
        self._grant = Variable(NO_GRANT, *timing)
        self._remote: Variable[tuple[RemoteParticipant, ...]] = Variable((), *timing)
        self._open_sources: Variable[frozenset[TrackSource]] = Variable(frozenset(), *timing)
        self._events: EventSource[RoomEvent] = EventSource()
        self._publishing = Publishing(
            *timing,
            announce=self._open_sources.set,
            ended=self._report,
            is_entitled=self._hooks.is_entitled,
            simulcast=simulcast,
        )

    @property
    def connected(self) -> Observable[bool]:
        """Whether there is a media connection, and it is not being repaired."""
        return self._connected

    @property
    def grant(self) -> Observable[Grant]:
        """What the server side grants now."""
        return self._grant

    @property
    def can_publish(self) -> Observable[bool]:
        """Whether at least one source is granted."""
        return self._grant.map(lambda grant: grant.can_publish)

    @property
    def publishing(self) -> Observable[frozenset[TrackSource]]:
        """The own sources that others hear and see now: published and not muted."""
        return self._open_sources

    @property
    def remote_participants(self) -> Observable[tuple[RemoteParticipant, ...]]:
        """Everybody else, with their tracks."""
        return self._remote

    @property
    def participants(self) -> Mapping[str, RemoteParticipant]:
        """Everybody else by identity; a live view."""
        return MappingProxyType({}) if self._connection is None else self._connection.participants

    @property
    def local_participant(self) -> LocalParticipant | None:
        """This participant, None without a connection."""
        connection = self._connection
        if connection is None:
            return None
        return LocalParticipant(connection.identity, grant=connection.grant, tracks=self._publishing.tracks)

    @property
    def events(self) -> EventStream[RoomEvent]:
        """Everything the media plane reports."""
        return self._events

    @property
    def native(self) -> Any:
        """The backend's own room object, None without a connection. Using it ties the application to that backend."""
        return None if self._connection is None else self._connection.native

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
        if self._closed:
            raise Closed("this room was closed; make a new one")
        if self._connecting or self._connection is not None:
            raise Conflict("this room is connected, or about to be; disconnect first", code=ErrorCode.ALREADY_JOINED)
        options = ConnectOptions(auto_subscribe, self._adaptive_stream, self._dynacast, self._deadline)
        self._connecting = True
        try:
            await self._scope.open()
            connection = await self._link.connect_media(ticket, options)
        finally:
            self._connecting = False
        if not self._is_usable:
            await connection.aclose()
            raise Closed("the room was closed while it connected")
        self._adopt(connection)

    async def disconnect(self) -> None:
        """Leave the media room. What was published is closed; the room may connect again. Idempotent."""
        self._end_stay()
        connection = self._connection
        if connection is not None:
            await connection.aclose()
            self._reason = DisconnectReason.CLIENT_LEFT
            self._drop(connection)
        await self._publishing.drop_all()

    async def wait_disconnected(self) -> DisconnectReason:
        """Wait until there is no connection; why the last one ended."""
        await self._gone.wait()
        return self._reason

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
        connection = self._present()
        try:
            await connection.send_data(payload, to=destination_identities, topic=topic, reliable=reliable)
        except Closed as error:
            raise ConnectionLost("the connection ended while sending; try again when there is one") from error

    def frames(
        self,
        identity: str,
        source: TrackSource = TrackSource.MICROPHONE,
        *,
        capacity: int = 50,
        overflow: Overflow = Overflow.DROP_OLDEST,
    ) -> RemoteFrames:
        """The frames of a participant's source for as long as one stays in the room; see `RemoteFrames`."""
        return RemoteFrames(self._reception, identity, source, capacity, overflow)

    def reader(
        self,
        identity: str,
        source: TrackSource = TrackSource.MICROPHONE,
        *,
        capacity: int = 50,
        overflow: Overflow = Overflow.DROP_OLDEST,
    ) -> FrameReader:
        """A reader of the track that is there now; it ends with the track. Raises `NotFound`, `ConnectionLost`."""
        return self._reception.reader(identity, source, capacity, overflow)

    async def set_subscribed(self, identity: str, source: TrackSource, subscribed: bool) -> None:
        """Take or refuse a participant's track. Raises `NotFound` (track_not_found), `ConnectionLost`."""
        connection = self._present()
        participant = connection.participants.get(identity)
        track = next((track for track in participant.tracks if track.source is source), None) if participant else None
        if track is None:
            raise NotFound(f"{identity!r} publishes no {source.value} now", code=ErrorCode.TRACK_NOT_FOUND)
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

    async def statistics(self) -> ConnectionStatistics:
        """Counters of the present connection. Raises `ConnectionLost` without one."""
        return await self._present().statistics()

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
        self._closed = True
        self._end_stay()
        self._show_nobody()
        for variable in (self._connected, self._grant, self._remote, self._open_sources):
            variable.close()
        self._events.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _switch(
        self, kind: TrackSource, enabled: bool, source: MediaSource | None, options: PublishOptions | None
    ) -> None:
        if enabled:
            await self._publishing.switch_on(kind, source, self._devices.open, options)
        else:
            await self._publishing.switch_off(kind)

    @property
    def _is_usable(self) -> bool:
        return not self._closed and self._scope.is_open

    def _present(self) -> MediaConnection:
        if self._connection is None:
            raise ConnectionLost("there is no media connection now; connect, or wait until it is back")
        return self._connection

    def _adopt(self, connection: MediaConnection) -> None:
        self._connection = connection
        self._reason = DisconnectReason.UNKNOWN
        self._gone.clear()
        self._grant.set(connection.grant)
        self._refresh_roster(connection)
        self._connected.set(connection.state is ConnectionState.CONNECTED)
        self._reception.attach(connection)
        self._viewing.attach(connection)
        self._publishing.attach(connection)
        self._scope.start(self._receive, connection, name="receive")

    async def _receive(self, connection: MediaConnection) -> None:
        """Take events over in order. A burst is taken as a whole, so that a thousand joins are one new roster."""
        queue = connection.events
        try:
            async for event in queue:
                burst: list[MediaEvent] = [event]
                while (following := queue.get_nowait()) is not None:
                    burst.append(following)
                if connection is self._connection:
                    for event in burst:
                        self._take(connection, event)
                    self._refresh_roster(connection)
                for event in burst:
                    self._report(event)
        finally:
            with anyio.CancelScope(shield=True):
                await connection.aclose()
            self._drop(connection)

    def _report(self, event: RoomEvent) -> None:
        self._hooks.on_event(event)
        self._events.publish(event)

    def _take(self, connection: MediaConnection, event: MediaEvent) -> None:
        match event:
            case StateChanged(state, reason):
                self._connected.set(state is ConnectionState.CONNECTED)
                if state is ConnectionState.DISCONNECTED:
                    self._reason = reason or DisconnectReason.UNKNOWN
            case GrantChanged():
                self._grant.set(connection.grant)
                self._publishing.granted()
            case LocalTrackEnded(track):
                self._publishing.track_ended(track)
            case _:
                self._reception.take(event)
                self._viewing.take(event)

    def _refresh_roster(self, connection: MediaConnection) -> None:
        self._remote.set(tuple(connection.participants.values()))

    def _drop(self, connection: MediaConnection) -> None:
        """The connection has ended. Idempotent."""
        if connection is not self._connection:
            return
        self._connection = None
        self._reception.detach()
        self._viewing.detach()
        self._publishing.detach()
        self._show_nobody()
        if not self._hooks.comes_back:
            self._end_stay()
        self._gone.set()

    def _end_stay(self) -> None:
        self._reception.end_stay()
        self._viewing.end_stay()

    def _show_nobody(self) -> None:
        self._connected.set(False)
        self._grant.set(NO_GRANT)
        self._remote.set(())
