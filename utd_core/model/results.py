"""What commands answer. State classes (`Seat`, `SeatGrid`, `Request`, `Ban`, `StageMember`) answer for themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .call import UTDCallStatus
from .roles import Role
from .room import Phase, Room
from .stream_type import UTDStreamType

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UTDTokenResponse:
    """A place in a media room: connect `backend` to `url` with `token` before `expires_at` (seconds since the epoch).

    `user_token` is the bearer for commands, `ws_url` where events are (None when the engine is in this process).
    `many_devices`: one identity may be there on many devices, and the media plane names each `identity#device`.
    """

    token: str
    url: str
    room_name: str
    user_token: str
    ws_url: str | None
    backend: str
    expires_at: float
    role: Role = Role.AUDIENCE
    many_devices: bool = False


@dataclass(frozen=True, slots=True)
class UserSession:
    """A room-less session of one identity.

    `signaling_enabled`, `messaging_enabled`: whether the project's plan holds calls and channels, and chat; None where
    nobody has said. Unknown is not no.
    """

    identity: str
    user_token: str
    expires_at: float
    ws_url: str | None = None
    signaling_enabled: bool | None = None
    messaging_enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class RoomSummary:
    """A room in a list."""

    name: str
    type: UTDStreamType
    phase: Phase
    participants: int
    created_at: float
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RoomSnapshot:
    """The whole room as of `offset` in its channel's `epoch`: events after it can be applied to it.

    `room.bans` is always empty: whoever may ban reads them with `ListBans`.
    """

    room: Room
    participants: int
    epoch: str
    offset: int


@dataclass(frozen=True, slots=True)
class Participant:
    """Who is in a room now. `joined_at`: seconds since the Unix epoch."""

    identity: str
    name: str
    role: Role
    devices: tuple[str, ...]
    joined_at: float


@dataclass(frozen=True, slots=True)
class UTDCall:
    """A call as its parties see it; `ticket` is there for the party that may connect now.

    `ended_party`: whose lost connection or ban ended it.
    """

    call_id: str
    status: UTDCallStatus
    type: UTDStreamType
    caller_identity: str
    callee_identity: str
    caller_name: str
    callee_name: str
    room_name: str
    created_at: float
    ring_timeout: float
    answered_at: float | None
    ended_at: float | None
    end_reason: str
    ended_by: str | None
    callee_device: str
    metadata: dict[str, Any]
    ended_party: str | None = None
    epoch: str = ""
    offset: int = 0
    ticket: UTDTokenResponse | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `next` is the cursor of the following page, None on the last one."""

    data: tuple[T, ...]
    next: str | None = None
