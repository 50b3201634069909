"""The names of the session API that are not sessions.

What the model defines is what an application sees: `UTDSeat`, `UTDSeatGrid`, `Request`, `UTDCall`, `UTDTokenResponse`
and the enums are the model's own classes, so that state and events fit together without conversion.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..errors import UTDStreamException
from ..media.events import MediaEvent, ParticipantInfo
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

RemoteParticipant = ParticipantInfo
"""Somebody else whose media connection is in the room: identity, name, grant, published tracks."""

LocalParticipant = ParticipantInfo
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


RoomEvent = MediaEvent | PublishingEnded
"""What `UTDRoom.events` carries."""

SessionEvent = RoomEvent | Event | Resynced
"""What `UTDSession.events` carries: the media plane's events, the engine's facts, and gaps in the latter."""

__all__ = [
    "Capability",
    "EndReason",
    "Grant",
    "LocalParticipant",
    "Phase",
    "PublishingEndReason",
    "PublishingEnded",
    "RemoteParticipant",
    "Request",
    "RequestKind",
    "RequestState",
    "Resynced",
    "Role",
    "RoomEvent",
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
