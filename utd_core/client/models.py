"""The names of the session API that are not sessions.

What the model defines is what an application sees: `UTDSeat`, `UTDSeatGrid`, `Request`, `UTDCall`, `UTDTokenResponse`
and the enums are the model's own classes, so that state and events fit together without conversion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..errors import UTDStreamException
from ..media.backend import ConnectionStatistics
from ..media.events import ConnectionQuality, MediaEvent, ParticipantInfo
from ..media.sinks.level import FLOOR_DBFS
from ..model.call import UTDCallStatus
from ..model.event import Event
from ..model.permission import Grant, TrackSource
from ..model.request import Request, RequestKind, RequestState
from ..model.results import UTDCall, UTDTokenResponse
from ..model.roles import Capability, Role
from ..model.room import Phase
from ..model.seats import Seat, SeatGrid, SeatMode
from ..model.session import SessionState
from ..model.stream_type import UTDStreamType

UTDSeat = Seat
UTDSeatGrid = SeatGrid


@dataclass(frozen=True, slots=True)
class Participant(ParticipantInfo):
    """Somebody whose media connection is in the room: identity, name, grant, published tracks, what the application
    says of it (`metadata`, `attributes`), and how it is now.

    `speaking`, `level`: whether it speaks, and how loud (RMS in dBFS, -120 of who is silent). `quality`: how well it is
    connected; None before the backend has said so, and where it tells neither.
    """

    speaking: bool = False
    level: float = FLOOR_DBFS
    quality: ConnectionQuality | None = None


RemoteParticipant = Participant
"""Somebody else."""

LocalParticipant = Participant
"""This participant, in the same words."""


@dataclass(frozen=True, slots=True)
class UTDStageMember:
    """Somebody on stage. `name` is empty for somebody whose media connection is not in the room (yet)."""

    identity: str
    name: str
    role: Role
    muted_audio: bool = False
    muted_video: bool = False


class EndReason(StrEnum):
    """Why a session is disconnected."""

    LEFT = "left"
    CLOSED = "closed"
    REMOVED = "removed"
    """A moderator removed this identity; it may join again."""
    BANNED = "banned"
    REPLACED = "replaced"
    """The identity joined from another place."""
    ROOM_ENDED = "room_ended"
    CALL_ENDED = "call_ended"
    REFUSED = "refused"
    """Joining was refused; or the connection was lost and coming back was."""
    CONNECTION_LOST = "connection_lost"
    """No media connection could be made; or it was lost and could not be had again in time."""
    SYNC_LOST = "sync_lost"
    """The events were lost and the state could not be had again in time."""
    ENGINE_CLOSED = "engine_closed"
    """The engine that this client belongs to was closed."""


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """How a session ended. `message` is for people; `error` is what stood in the way, where something did."""

    reason: EndReason
    message: str = ""
    error: UTDStreamException | None = None


class SyncState(StrEnum):
    """Whether the mirrored state follows the engine."""

    IDLE = "idle"
    LIVE = "live"
    RECOVERING = "recovering"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Resynced:
    """The mirrored state is live again after a gap.

    `recovered` True: every event in between was replayed. False: some were missed, and the state was read anew.
    """

    channel: str
    recovered: bool


class PublishingEndReason(StrEnum):
    SOURCE_ENDED = "source_ended"
    REVOKED = "revoked"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PublishingEnded:
    """Something this participant published has ended without its asking. `message` tells more about a failure."""

    source: TrackSource
    reason: PublishingEndReason
    message: str = ""


@dataclass(frozen=True, slots=True)
class PublishingStatistics:
    """How one source is played, since it was opened and over all connections.

    `frames`: read from it, each at its time; `muted`: those of them that were kept back because it was muted. `late`:
    played more than one frame's length after their time. `skipped`: left out to catch up. `resyncs`: how often the pace
    was given up and set anew. `max_lateness_ms`: the worst delay of one frame, ms.
    """

    frames: int = 0
    muted: int = 0
    late: int = 0
    skipped: int = 0
    resyncs: int = 0
    max_lateness_ms: float = 0.0

    def __add__(self, other: PublishingStatistics) -> PublishingStatistics:
        return PublishingStatistics(
            self.frames + other.frames,
            self.muted + other.muted,
            self.late + other.late,
            self.skipped + other.skipped,
            self.resyncs + other.resyncs,
            max(self.max_lateness_ms, other.max_lateness_ms),
        )


@dataclass(frozen=True, slots=True)
class RoomStatistics:
    """`published`: how what this participant publishes is played, by source. `connection`: what the backend has counted
    on the present connection (frames and bytes sent and received, by track); None without one."""

    published: Mapping[TrackSource, PublishingStatistics]
    connection: ConnectionStatistics | None = None


RoomEvent = MediaEvent | PublishingEnded
"""What `UTDRoom.events` carries."""

SessionEvent = RoomEvent | Event | Resynced
"""What `UTDSession.events` carries: the media plane's events, the engine's facts, and gaps in the latter."""

__all__ = [
    "Capability",
    "EndReason",
    "Grant",
    "LocalParticipant",
    "Participant",
    "Phase",
    "PublishingEndReason",
    "PublishingEnded",
    "PublishingStatistics",
    "RemoteParticipant",
    "Request",
    "RequestKind",
    "RequestState",
    "Resynced",
    "Role",
    "RoomEvent",
    "RoomStatistics",
    "SeatMode",
    "SessionEnd",
    "SessionEvent",
    "SessionState",
    "SyncState",
    "TrackSource",
    "UTDCall",
    "UTDCallStatus",
    "UTDSeat",
    "UTDSeatGrid",
    "UTDStageMember",
    "UTDStreamType",
    "UTDTokenResponse",
]
