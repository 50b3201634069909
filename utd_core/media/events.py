"""Neutral events: what every backend reports, whatever its own words are.

`MediaEvent`s come from the connection half (to the client), `Notification`s from the control half (to the
engine). Times are seconds since the Unix epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ..model.permission import AUDIO_SOURCES, Grant, TrackSource
from .attributes import NO_ATTRIBUTES, Attributes


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


class ConnectionQuality(StrEnum):
    """How well a participant is connected, as the backend sees it."""

    EXCELLENT = "excellent"
    GOOD = "good"
    """Something is lost or late; hardly anybody notices."""
    POOR = "poor"
    """What is sent or received suffers."""
    LOST = "lost"
    """Nothing comes through; it may come back."""


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

    `metadata`, `attributes`: what the server side says about it, for the application to read. Any mapping is taken for
    the latter, and kept as one that nobody changes. `devices` is the client's to fill in, where one identity may be in
    a room on many.
    """

    identity: str
    name: str = ""
    grant: Grant = field(default_factory=Grant)
    tracks: tuple[TrackInfo, ...] = ()
    joined_at: float = 0.0
    devices: tuple[str, ...] = ()
    metadata: str = ""
    attributes: Mapping[str, str] = NO_ATTRIBUTES

    def __post_init__(self) -> None:
        if type(self.attributes) is not Attributes:
            object.__setattr__(self, "attributes", Attributes(self.attributes))


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
class ParticipantUpdated:
    """Name, metadata or attributes of a participant, perhaps of this one itself, are others now: those of
    `participant`. What else it shows is told by events of its own."""

    participant: ParticipantInfo


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


@dataclass(frozen=True, slots=True)
class Speaker:
    """Somebody who speaks now. `level`: how loud, as RMS in dBFS from -120 to 0."""

    identity: str
    level: float


@dataclass(frozen=True, slots=True)
class SpeakersChanged:
    """Who speaks now, loudest first, this participant itself included; nobody while it is quiet.

    Told within a second when somebody begins to speak, up to two after the last word, and a few times a second
    meanwhile if levels change; of those that nobody has read yet only the last one is kept. Only microphones count. Who
    joins while somebody speaks is told at once.
    """

    speakers: tuple[Speaker, ...] = ()


@dataclass(frozen=True, slots=True)
class QualityChanged:
    """The connection of a participant, perhaps of this one itself, is as good as this now. Told of oneself and of those
    who publish; for the first time after a few seconds, and then when it is another."""

    identity: str
    quality: ConnectionQuality


MediaEvent = (
    StateChanged
    | ParticipantJoined
    | ParticipantLeft
    | ParticipantUpdated
    | TrackPublished
    | TrackUnpublished
    | TrackSubscribed
    | TrackUnsubscribed
    | TrackMuted
    | TrackUnmuted
    | LocalTrackEnded
    | GrantChanged
    | SpeakersChanged
    | QualityChanged
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
