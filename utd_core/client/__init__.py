"""The client: sessions for people in rooms and calls, over an engine in this process."""

from ..model.call import UTDCallStatus
from ..model.results import UTDCall, UTDTokenResponse
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
    RemoteParticipant,
    Resynced,
    SessionEnd,
    SessionEvent,
    SyncState,
    UTDSeat,
    UTDSeatGrid,
    UTDStageMember,
)
from .observable import Observable, ObservableStatistics
from .policy import RetryPolicy
from .reading import RemoteFrames
from .room import UTDRoom
from .room_session import UTDRoomSession
from .session import UTDSession

__all__ = [
    "Devices",
    "EndReason",
    "EngineLink",
    "EventReader",
    "EventStream",
    "LocalParticipant",
    "MediaLink",
    "Observable",
    "ObservableStatistics",
    "PublishingEndReason",
    "PublishingEnded",
    "RemoteFrames",
    "RemoteParticipant",
    "Resynced",
    "RetryPolicy",
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
