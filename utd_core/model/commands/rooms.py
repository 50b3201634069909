"""Sessions, rooms, and being in them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..command import Aggregate, Command, command
from ..identifiers import DeviceId, DisplayName, Identity, Reason, RoomName
from ..results import Page, Participant, RoomSnapshot, RoomSummary, UserSession, UTDTokenResponse
from ..roles import Capability
from ..room import DuplicateIdentity, Phase
from ..seats import SeatMode
from ..stream_type import UTDStreamType
from .fields import Cursor, Limit, Metadata, SeatCount, Seconds

RoomType = Annotated[UTDStreamType, Field(strict=False)]


class RoomCommand(Command):
    """Anything that names one room."""

    room: RoomName


class RoomOptions(RoomCommand):
    """How a new room is; every field is optional.

    Where the room exists already, a host who joins sets up its seats anew (number, mode, mode id); the rest only counts
    where the command creates the room.
    """

    seat_count: SeatCount | None = None
    seat_mode: Annotated[SeatMode, Field(strict=False)] | None = None
    mode_id: DisplayName | None = None
    seat_video: bool | None = None
    backstage: bool | None = None
    duplicate_identity: Annotated[DuplicateIdentity, Field(strict=False)] | None = None
    max_participants: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_duration: Seconds | None = None
    empty_timeout: Seconds | None = None
    host_left_grace: Seconds | None = None
    request_timeout: Seconds | None = None
    metadata: Metadata | None = None


@command("POST", "/auth/session", aggregate=Aggregate.PROJECT, result=UserSession)
class CreateSession(Command):
    """Mint a room-less session for an identity (`authenticate`)."""

    identity: Identity
    name: DisplayName = ""
    device_id: DeviceId = "default"


@command("POST", "/rooms", aggregate=Aggregate.ROOM, result=RoomSnapshot)
class CreateRoom(RoomOptions):
    """Create a room without joining it. Only the application's server names another `owner`."""

    type: RoomType
    owner: Identity | None = None


@command("POST", "/token", aggregate=Aggregate.ROOM, result=UTDTokenResponse)
class JoinRoom(RoomOptions):
    """Join a room. With `as_host` it is created when it does not exist (or has ended), and the actor owns it."""

    type: RoomType
    as_host: bool = False
    identity: Identity | None = None
    name: DisplayName = ""
    device_id: DeviceId = "default"


@command("POST", "/rooms/{room}/leave", aggregate=Aggregate.ROOM, presence=True)
class LeaveRoom(RoomCommand):
    """Leave the room: seat, stage place and pending requests end with it."""


@command("GET", "/rooms/{room}", aggregate=Aggregate.ROOM, result=RoomSnapshot)
class GetRoom(RoomCommand):
    """The whole state of a room, and where in its event channel that state is."""


@command("GET", "/rooms", aggregate=Aggregate.PROJECT, result=Page[RoomSummary])
class ListRooms(Command):
    """Rooms that have not ended, by name."""

    type: RoomType | None = None
    phase: Annotated[Phase, Field(strict=False)] | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


@command("GET", "/rooms/{room}/participants", aggregate=Aggregate.ROOM, result=Page[Participant])
class ListParticipants(RoomCommand):
    """Who is in the room now, by identity."""

    cursor: Cursor | None = None
    limit: Limit = 20


@command("DELETE", "/rooms/{room}", aggregate=Aggregate.ROOM, capability=Capability.END_ROOM)
class EndRoom(RoomCommand):
    """End the room for everybody."""

    reason: Reason = "ended"


@command("POST", "/rooms/{room}/go-live", aggregate=Aggregate.ROOM, capability=Capability.GO_LIVE)
class GoLive(RoomCommand):
    """From backstage to live: the audience may come in."""


@command("POST", "/rooms/{room}/stop-live", aggregate=Aggregate.ROOM, capability=Capability.GO_LIVE)
class StopLive(RoomCommand):
    """From live to backstage: the audience neither sees nor hears any more."""


@command("PUT", "/rooms/{room}/metadata", aggregate=Aggregate.ROOM, result=int, capability=Capability.UPDATE_ROOM)
class UpdateMetadata(RoomCommand):
    """Replace the room's metadata. `revision` is the one it was read at, or it is a conflict. Answers the new one."""

    metadata: Metadata
    revision: Annotated[int, Field(ge=0)] | None = None
