"""Neutral events: what every backend reports, whatever its own words are.

`MediaEvent`s come from the connection half (to the client), `Notification`s from the control half (to the
engine). Times are seconds since the Unix epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ..model.permission import AUDIO_SOURCES, Grant, TrackSource


class TrackKind(StrEnum):
    AUDIO = "audio"
    VIDEO = "video"

    @staticmethod
    def of(source: TrackSource) -> TrackKind:
        return TrackKind.AUDIO if source in AUDIO_SOURCES else TrackKind.VIDEO


class ConnectionState(StrEnum):
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    DISCONNECTED = "disconnected"


class DisconnectReason(StrEnum):
    """Why a connection ended, or a participant left."""

    CLIENT_LEFT = "client_left"
    DUPLICATE_IDENTITY = "duplicate_identity"
    REMOVED = "removed"
    ROOM_CLOSED = "room_closed"
    TOKEN_EXPIRED = "token_expired"
    SERVER_SHUTDOWN = "server_shutdown"
    SIGNAL_LOST = "signal_lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """A published track. `id` is the backend's; it stays the same across a reconnect."""

    id: str
    source: TrackSource
    muted: bool = False
    name: str = ""

    @property
    def kind(self) -> TrackKind:
        return TrackKind.of(self.source)


@dataclass(frozen=True, slots=True)
class ParticipantInfo:
    """A connected participant as the backend sees it now.

    `devices` is the client's to fill in, where one identity may be in a room on many.
    """

    identity: str
    name: str = ""
    grant: Grant = field(default_factory=Grant)
    tracks: tuple[TrackInfo, ...] = ()
    joined_at: float = 0.0
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StateChanged:
    """This connection's own state is another one now: lost and being repaired (RECONNECTING), as before (CONNECTED), or
    over (DISCONNECTED, with its `reason`; after that no event follows).

    Told of changes only: a connection is CONNECTED when `connect` returns, and nothing tells that.
    """

    state: ConnectionState
    reason: DisconnectReason | None = None


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    participant: ParticipantInfo


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    identity: str
    reason: DisconnectReason = DisconnectReason.UNKNOWN


@dataclass(frozen=True, slots=True)
class TrackPublished:
    """A remote participant published; nothing is received before the track is subscribed."""

    identity: str
    track: TrackInfo


@dataclass(frozen=True, slots=True)
class TrackUnpublished:
    identity: str
    track: TrackInfo


@dataclass(frozen=True, slots=True)
class TrackSubscribed:
    """Frames of this remote track can be read from now on."""

    identity: str
    track: TrackInfo


@dataclass(frozen=True, slots=True)
class TrackUnsubscribed:
    identity: str
    track: TrackInfo


@dataclass(frozen=True, slots=True)
class TrackMuted:
    """`by_server` tells a moderator's mute from the publisher's own."""

    identity: str
    track: TrackInfo
    by_server: bool = False


@dataclass(frozen=True, slots=True)
class TrackUnmuted:
    identity: str
    track: TrackInfo


@dataclass(frozen=True, slots=True)
class LocalTrackEnded:
    """A track of this participant was ended by the server side (its grant was taken away)."""

    track: TrackInfo


@dataclass(frozen=True, slots=True)
class GrantChanged:
    """This participant's own grant is now `grant`."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A data message. `sender` is None when the server side sent it."""

    payload: bytes
    sender: str | None
    topic: str = ""
    reliable: bool = True


MediaEvent = (
    StateChanged
    | ParticipantJoined
    | ParticipantLeft
    | TrackPublished
    | TrackUnpublished
    | TrackSubscribed
    | TrackUnsubscribed
    | TrackMuted
    | TrackUnmuted
    | LocalTrackEnded
    | GrantChanged
    | DataReceived
)


class NotificationKind(StrEnum):
    PARTICIPANT_JOINED = "participant_joined"
    PARTICIPANT_LEFT = "participant_left"
    TRACK_PUBLISHED = "track_published"
    TRACK_UNPUBLISHED = "track_unpublished"
    ROOM_CLOSED = "room_closed"


@dataclass(frozen=True, slots=True)
class Notification:
    """What the backend's server side tells the engine (a webhook, or the result of polling).

    It may be lost, doubled, late or out of order: the engine takes it as a hint to look, never as the truth.
    `id` is the same for a repeated delivery. `grant`: with what somebody came, who joined; an old ticket may bring more
    than is granted now.
    """

    id: str
    kind: NotificationKind
    room: str
    at: float
    identity: str | None = None
    track: TrackInfo | None = None
    reason: DisconnectReason | None = None
    grant: Grant | None = None
