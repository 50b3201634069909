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
from .audio_room import UTDAudioRoomSession
from .call import UTDCallSession
from .client import UTDStreamClient
from .devices import Devices
from .event_stream import EventReader, EventStream
from .link import EngineLink, MediaLink
from .live_stream import UTDLiveStreamSession
from .models import (
    EndReason,
    LocalParticipant,
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
from .observable import Observable, ObservableStatistics
from .policy import RetryPolicy
from .reception import RemoteFrames
from .room import UTDRoom
from .room_session import UTDRoomSession
from .session import UTDSession

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
