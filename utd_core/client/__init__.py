"""The client: sessions for people in rooms and calls, over an engine in this process."""

from ..model.bans import Ban
from ..model.call import UTDCallStatus
from ..model.request import Request, RequestKind, RequestState
from ..model.results import UTDCall, UTDTokenResponse
from ..model.roles import Capability, Role
from ..model.room import DuplicateIdentity, Phase
from ..model.seats import SeatMode
from ..model.session import SessionState
from ..model.stream_type import UTDStreamType
from .client import UTDStreamClient
from .link import EngineLink, MediaLink
from .media.devices import Devices
from .media.reception import RemoteFrames
from .media.room import UTDRoom
from .models import (
    EndReason,
    LocalParticipant,
    Participant,
    PublishingEnded,
    PublishingEndReason,
    PublishingStatistics,
    RemoteParticipant,
    Resynced,
    RoomStatistics,
    SessionEnd,
    SessionEvent,
    SyncState,
    UTDSeat,
    UTDSeatGrid,
    UTDStageMember,
)
from .policy import RetryPolicy
from .sessions.audio_room import UTDAudioRoomSession
from .sessions.call import UTDCallSession
from .sessions.live_stream import UTDLiveStreamSession
from .sessions.room_session import UTDRoomSession
from .sessions.session import UTDSession
from .state.event_stream import EventReader, EventStream
from .state.observable import Observable, ObservableStatistics

__all__ = [
    "Ban",
    "Capability",
    "Devices",
    "DuplicateIdentity",
    "EndReason",
    "EngineLink",
    "EventReader",
    "EventStream",
    "LocalParticipant",
    "MediaLink",
    "Observable",
    "ObservableStatistics",
    "Participant",
    "Phase",
    "PublishingEndReason",
    "PublishingEnded",
    "PublishingStatistics",
    "RemoteFrames",
    "RemoteParticipant",
    "Request",
    "RequestKind",
    "RequestState",
    "Resynced",
    "RetryPolicy",
    "Role",
    "RoomStatistics",
    "SeatMode",
    "SessionEnd",
    "SessionEvent",
    "SessionState",
    "SyncState",
    "UTDAudioRoomSession",
    "UTDCall",
    "UTDCallSession",
    "UTDCallStatus",
    "UTDLiveStreamSession",
    "UTDRoom",
    "UTDRoomSession",
    "UTDSeat",
    "UTDSeatGrid",
    "UTDSession",
    "UTDStageMember",
    "UTDStreamClient",
    "UTDStreamType",
    "UTDTokenResponse",
]
