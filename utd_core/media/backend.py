"""The media contract: what a plugin implements.

A backend has two halves. The engine uses the *control* half (rooms, join tokens, grants, removal), a client
uses the *connection* half (publish, subscribe, data). Either half alone is useful: a client's process needs no
server credentials. Every numbered behaviour stands in `docs/reference/contract.md`, and
`utd contract NAME` checks them.

Rules for every method here:

- it raises only errors of `utd_core.errors`; a feature that the capabilities deny raises `Unsupported`, whose
  message names the backend and the field of `Capabilities`;
- it may be cancelled at any await, and leaves no task, thread or descriptor behind;
- `aclose` is idempotent, may come from any task at any time and reaches its end when it is cancelled; afterwards
  methods raise `Closed`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from ..concurrency import BoundedQueue, Clock, Closeable, Overflow, QueueStatistics
from ..errors import Unsupported
from ..model.permission import Grant, TrackSource
from .attributes import NO_ATTRIBUTES
from .capabilities import Capabilities
from .codec import VideoCodec
from .encryption import EncryptionKey
from .events import ConnectionState, MediaEvent, Notification, ParticipantInfo, TrackInfo
from .faults import Fault
from .frames import Frame
from .quality import VideoQuality
from .signalling import Signalling, SignallingDesk

FrameT_co = TypeVar("FrameT_co", bound=Frame, covariant=True)


@dataclass(frozen=True, slots=True)
class JoinTicket:
    """What a participant needs to connect. `expires_at`: seconds since the Unix epoch."""

    url: str
    token: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """`adaptive_stream`: videos that this participant does not read are not sent to it. `dynacast`: layers of its own
    simulcast tracks that nobody receives are not made. `deadline`: seconds for the whole connect. `event_capacity`:
    events held for a slow reader, then the connection's event stream ends with `Closed`. `signalling`: the way to the
    control half, for a backend without a server of its own; it is the backend's to close from then on, also where the
    connect fails. None where the ticket's url is enough. `e2ee`: sound, pictures and data are encrypted for those who
    have the same key; needs the capability `e2ee`."""

    auto_subscribe: bool = True
    adaptive_stream: bool = True
    dynacast: bool = True
    deadline: float = 10.0
    event_capacity: int = 1_000
    signalling: Signalling | None = None
    e2ee: EncryptionKey | None = None


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """How a track is published. Audio: `sample_rate` (Hz), `channels`, `dtx` (send little while nothing is
    heard), `red` (send everything twice, against loss), `bitrate` (bit/s). Video: `width`, `height`, `framerate` (1/s),
    `simulcast`, `bitrate` (of the largest size), `codec` (None is the backend's own choice; another one must be among
    the capability `video_codecs`). A backend uses what it knows."""

    source: TrackSource
    name: str = ""
    sample_rate: int = 48_000
    channels: int = 1
    width: int = 640
    height: int = 480
    framerate: float = 30.0
    bitrate: int | None = None
    dtx: bool = True
    red: bool = True
    simulcast: bool = False
    codec: VideoCodec | None = None


@dataclass(frozen=True, slots=True)
class WireStatistics:
    """What the network made of a track, since its way came up: packets sent or received, those that were lost, the
    jitter of their arrival. `bytes`: of payload; None, like `jitter_ms`, where it is not known (yet)."""

    packets: int = 0
    packets_lost: int = 0
    jitter_ms: float | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class TrackStatistics:
    """Counters of one track since it was published (local) or subscribed (remote). `bytes`: of its frames. `wire`: None
    where nothing of it is on a network, or the backend cannot tell. `level`: how loud it is now, as RMS in dBFS from
    -120 to 0; None for pictures, and where the backend does not tell."""

    track: TrackInfo
    frames: int = 0
    bytes: int = 0
    dropped: int = 0
    wire: WireStatistics | None = None
    level: float | None = None


@dataclass(frozen=True, slots=True)
class ConnectionStatistics:
    """A snapshot. `sent` and `received` have one entry for each track that is published, or subscribed, now;
    `data_sent` and `data_received` count messages. `round_trip_ms` is None where the backend cannot tell."""

    sent: tuple[TrackStatistics, ...] = ()
    received: tuple[TrackStatistics, ...] = ()
    data_sent: int = 0
    data_received: int = 0
    reconnects: int = 0
    round_trip_ms: float | None = None
    events: QueueStatistics | None = None


class MediaControl(ABC):
    """The server half.

    Room names and identities are opaque: whatever `check_media_name` of `utd_core.model.identifiers` lets through (1 to
    193 printable characters) is one, and any other is `InvalidInput` (invalid_name, invalid_identity).
    """

    @abstractmethod
    async def create_room(self, room: str, *, max_participants: int | None = None) -> None:
        """Make a room; doing it twice is fine and disturbs nobody. `max_participants` caps concurrent connections."""

    @abstractmethod
    async def close_room(self, room: str) -> None:
        """Disconnect everybody (ROOM_CLOSED) and forget the room; an unknown room is fine."""

    @abstractmethod
    async def list_rooms(self) -> list[str]:
        """Names of the rooms that exist now."""

    @abstractmethod
    async def issue_join(
        self,
        room: str,
        identity: str,
        *,
        grant: Grant,
        name: str = "",
        ttl: float = 600.0,
        metadata: str = "",
        attributes: Mapping[str, str] = NO_ATTRIBUTES,
    ) -> JoinTicket:
        """A ticket with which `identity` connects to `room` holding `grant`, for `ttl` seconds.

        `metadata`, `attributes`: what the others shall know about it besides its name, in text of the application's
        own; bounds and errors as in `update_participant`. Connecting to a room that does not exist (closed, or never
        made) fails with `ConnectFailed`.
        """

    @abstractmethod
    async def update_participant(
        self,
        room: str,
        identity: str,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Change what the others know about a participant, and tell everybody in the room (ParticipantUpdated), itself
        too, unless nothing is other than it was. None leaves a part as it is; of the `attributes` only those that are
        named change, and an empty value removes one.

        Raises `NotFound` (participant_not_found) when not connected, `TooLarge` where more than `MAX_METADATA_BYTES`,
        or `MAX_ATTRIBUTES` of `MAX_ATTRIBUTES_BYTES` (of `utd_core.media.arguments`), are given or would result, and
        `Unsupported` unless the capability `profiles` is declared.
        """

    @abstractmethod
    async def apply_grant(self, room: str, identity: str, grant: Grant) -> None:
        """Replace the participant's whole grant. Sources no longer granted are unpublished at once.

        Raises `NotFound` (participant_not_found) when the identity is not connected.
        """

    @abstractmethod
    async def mute_track(self, room: str, identity: str, track_id: str, muted: bool = True) -> None:
        """Mute a published track on the server, or lift its mute. Raises `NotFound` for an unknown one.

        Everybody in the room is told (TrackMuted with `by_server`, TrackUnmuted), the publisher too.
        """

    @abstractmethod
    async def remove_participant(self, room: str, identity: str) -> None:
        """Disconnect a participant (REMOVED). Raises `NotFound` when not connected."""

    @abstractmethod
    async def list_participants(self, room: str) -> list[ParticipantInfo]:
        """Who is connected now, with grants and tracks; empty for an unknown room."""

    @abstractmethod
    async def send_data(
        self, room: str, payload: bytes, *, to: Collection[str] | None = None, topic: str = "", reliable: bool = True
    ) -> None:
        """Send data from the server side. `TooLarge` above `max_data_bytes`."""

    @abstractmethod
    def notifications(self) -> AsyncIterator[Notification]:
        """The backend's notifications from this call on; the iteration ends when the backend is closed.

        Each call makes a listener of its own, and every listener gets every notification.
        """

    def receive(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Take a webhook that the media server posted: its body as it came, and the request's headers by their names in
        lower case. What it tells goes to everybody who listens (`notifications`).

        Raises `Unauthenticated` unless the media server sent exactly this, `InvalidInput` for a body that it would not
        send, `Closed`, and `Unsupported` unless the capability is declared.
        """
        raise Unsupported("this backend declares no `webhooks`: nobody posts any for it")

    def signalling(self, room: str, identity: str) -> SignallingDesk:
        """Where the lines of one participant are opened, by a carrier that knows who that is: at this desk a ticket of
        anybody else is good for nothing. Raises `Closed`, and `Unsupported` unless the capability is declared."""
        raise Unsupported("this backend declares no `signalling`: its participants connect to a media server")


class LocalTrack(ABC):
    """A published track: whoever holds it writes frames into it, at the pace of real time."""

    @property
    @abstractmethod
    def info(self) -> TrackInfo:
        """Its present id, source and mute state."""

    @abstractmethod
    async def write(self, frame: Frame) -> None:
        """Send one frame. While muted, frames are dropped and counted.

        Raises `InvalidFrame` for another kind, rate, channel count or size than published with, and
        `Closed` when the track was unpublished or the connection ended.
        """

    @abstractmethod
    async def set_muted(self, muted: bool) -> None:
        """Mute or unmute; remote participants get TrackMuted / TrackUnmuted."""

    @abstractmethod
    async def unpublish(self) -> None:
        """End the track. Idempotent."""


class FrameReader(Closeable, Generic[FrameT_co]):
    """Frames of one remote track, oldest first; ends when the track or the subscription ends.

    A backend's own class derives from `FrameReader[Frame]`: which kind of frames a track has is known where it is read.
    """

    @property
    @abstractmethod
    def track(self) -> TrackInfo: ...

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[FrameT_co]: ...

    @abstractmethod
    async def __anext__(self) -> FrameT_co: ...

    @abstractmethod
    def statistics(self) -> QueueStatistics:
        """Delivered, waiting and dropped frames: a slow reader loses frames, and sees how many."""

    @abstractmethod
    async def aclose(self) -> None:
        """Stop reading. The subscription stays. Idempotent."""


class MediaConnection(Closeable):
    """One participant's connection to one room."""

    @property
    @abstractmethod
    def room(self) -> str: ...

    @property
    @abstractmethod
    def identity(self) -> str: ...

    @property
    @abstractmethod
    def state(self) -> ConnectionState: ...

    @property
    @abstractmethod
    def grant(self) -> Grant:
        """The grant that is in force now, as the server told it."""

    @property
    @abstractmethod
    def participants(self) -> Mapping[str, ParticipantInfo]:
        """The others, by identity; never this participant itself."""

    @property
    @abstractmethod
    def local_participant(self) -> ParticipantInfo:
        """This participant itself, as `participants` shows it to the others."""

    @property
    @abstractmethod
    def events(self) -> BoundedQueue[MediaEvent]:
        """The one stream of events, in order; it ends after the disconnected StateChanged. `participants`,
        `local_participant`, `grant` and `state` are never behind an event that was handed out."""

    @property
    @abstractmethod
    def native(self) -> Any:
        """The backend's own object, for what the neutral interface does not offer; it makes code unportable."""

    @abstractmethod
    async def publish(self, options: PublishOptions) -> LocalTrack:
        """Publish a track of a granted source; one track per source, a second one replaces the first.

        Raises `PublishRefused` when the grant does not hold the source (at once, no timeout).
        """

    @abstractmethod
    async def set_subscribed(self, track_id: str, subscribed: bool) -> None:
        """Take or refuse a remote track. Raises `NotFound` (track_not_found)."""

    @abstractmethod
    async def set_quality(self, track_id: str, quality: VideoQuality) -> None:
        """The largest layer that this participant wants of a remote simulcast track; without a wish it is HIGH.

        Readers get pictures of another size from then on. The wish lasts as long as the track: while it is not
        subscribed, and over reconnects. A track without simulcast has one layer, and the wish changes nothing.
        Raises `NotFound` (track_not_found), `InvalidInput` for a track of sound.
        """

    @abstractmethod
    def read(
        self, track_id: str, *, capacity: int = 50, overflow: Overflow = Overflow.DROP_OLDEST
    ) -> FrameReader[Frame]:
        """Read the frames of a subscribed remote track. Several readers each get every frame.

        Raises `NotFound` (track_not_found) when it is not subscribed.
        """

    @abstractmethod
    async def send_data(
        self, payload: bytes, *, to: Collection[str] | None = None, topic: str = "", reliable: bool = True
    ) -> None:
        """Send data to everybody else, or only to `to`; unknown identities in it are ignored.

        Raises `TooLarge` above `max_data_bytes`, `Forbidden` when the grant has no `publish_data`.
        """

    @abstractmethod
    async def statistics(self) -> ConnectionStatistics: ...

    @abstractmethod
    async def aclose(self) -> None:
        """Disconnect (CLIENT_LEFT). Idempotent."""


class MediaBackend(Closeable):
    """A plugin's one object: name, declared capabilities, and the two halves."""

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    faults: ClassVar[frozenset[Fault]] = frozenset()
    """The faults that `inject` can really produce."""

    @property
    @abstractmethod
    def control(self) -> MediaControl:
        """The server half. Raises `Unsupported` where the backend has none, or lacks its credentials."""

    @abstractmethod
    async def connect(self, ticket: JoinTicket, options: ConnectOptions | None = None) -> MediaConnection:
        """Connect a participant. Who is there already is in the connection's `participants` when this returns, and
        is not told as ParticipantJoined.

        It is connected then, and no StateChanged says so. Raises `ConnectFailed` (bad or expired token, room closed,
        full, server away) or `DeadlineExceeded` after `options.deadline` seconds.
        """

    async def inject(self, fault: Fault, room: str, identity: str | None = None, **parameters: float) -> None:
        """Produce a fault of `faults`. Parameters are named in `Fault`; each has a default."""
        raise Unsupported(
            f"backend {self.name!r} cannot produce the fault {fault.value!r}; it lists its own in `faults`"
        )

    @abstractmethod
    async def aclose(self) -> None:
        """End every connection and task of this backend. Idempotent."""


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """What a plugin registers. Everything but `create` is known without importing a media library.

    `create(settings, clock)` imports what it needs and makes the backend; `settings` are the plugin's own
    options (credentials, URLs), `requires` names the modules that must be importable for it to work.
    `standalone(say)` returns settings with which the backend needs nothing but this machine, for somebody who has a
    look at it and has set nothing up; it may block, to fetch or build what is needed, and tells `say` a line at a time.
    """

    name: str
    summary: str
    capabilities: Capabilities
    create: Callable[[Mapping[str, Any], Clock], MediaBackend]
    requires: tuple[str, ...] = ()
    distribution: str = ""
    faults: frozenset[Fault] = field(default_factory=frozenset)
    standalone: Callable[[Callable[[str], object]], Mapping[str, Any]] | None = None
