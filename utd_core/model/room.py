"""A room: its phase, its people's roles, and a seat grid or a stage.

- Phases: *backstage* (only those with `join_backstage` come in, and only they get a place), *live*, *ended*. A room
  starts live unless its settings say backstage; it may go back and forth until it ends, and ends once. The name is
  then free for a new room.
- Roles are kept only for people who are more than audience, and for at most 1,000 of them, so the state stays small
  whoever listens.
- Who is connected is not part of the room (presence); what follows from it is: since when the room is empty, and
  since when no host is there.
- Limits: most participants, longest duration, how long it may be empty, how long it goes on without a host.
  Each end says why: ended, duration_limit, empty, host_left.

`apply` is here, because it belongs to the state; what may happen is decided in `rules/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from ..errors import ErrorCode
from .bans import Ban, BanLifted, BanMade
from .event import Event
from .machine import Machine
from .request import Request, RequestEnded, RequestMade
from .roles import Capability, Role, capabilities_of
from .seats import DEFAULT_SEATS, SEAT_CHANGES, SeatGrid, SeatMode, make_grid
from .stage import StageJoined, StageLeft, StageMember, StageMuteChanged
from .stream_type import UTDStreamType

KEPT_ENDED_REQUESTS = 64
MAX_ROLES = 1_000


class Phase(StrEnum):
    BACKSTAGE = "backstage"
    LIVE = "live"
    ENDED = "ended"


class PhaseTrigger(StrEnum):
    GO_LIVE = "go_live"
    STOP_LIVE = "stop_live"
    END = "end"


ROOM = Machine(
    name="room",
    states=Phase,
    triggers=PhaseTrigger,
    initial=Phase.BACKSTAGE,
    also_initial=frozenset({Phase.LIVE}),
    table={
        (Phase.BACKSTAGE, PhaseTrigger.GO_LIVE): Phase.LIVE,
        (Phase.BACKSTAGE, PhaseTrigger.END): Phase.ENDED,
        (Phase.LIVE, PhaseTrigger.STOP_LIVE): Phase.BACKSTAGE,
        (Phase.LIVE, PhaseTrigger.END): Phase.ENDED,
    },
    refusals={
        (Phase.BACKSTAGE, PhaseTrigger.STOP_LIVE): (ErrorCode.WRONG_PHASE, "go live first"),
        (Phase.LIVE, PhaseTrigger.GO_LIVE): (ErrorCode.WRONG_PHASE, "stop live first to go live again"),
        (Phase.ENDED, None): (ErrorCode.ROOM_ENDED, "create a new room, the name is free"),
    },
)


class DuplicateIdentity(StrEnum):
    """What happens when an identity that is in the room joins from another device."""

    REPLACE = "replace"
    """The new device takes over, the old one is disconnected."""
    REJECT = "reject"
    """The new device is refused."""
    MANY = "many"
    """All devices stay; they share the identity's role and seat."""


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """All times in seconds; None is no limit. `seat_video`: a seat grants the camera too, not only the microphone."""

    seat_count: int = DEFAULT_SEATS
    seat_mode: SeatMode = SeatMode.FREE
    mode_id: str = ""
    seat_video: bool = False
    backstage: bool = False
    duplicate_identity: DuplicateIdentity = DuplicateIdentity.REPLACE
    max_participants: int | None = None
    max_duration: float | None = None
    empty_timeout: float | None = 300.0
    host_left_grace: float | None = None
    request_timeout: float = 60.0
    max_pending_requests: int = 200


@dataclass(slots=True)
class Room:
    """The whole state of a room; small whatever the number of listeners. A mirrored room has no `bans`."""

    name: str
    type: UTDStreamType
    settings: RoomSettings
    created_at: float
    phase: Phase = Phase.LIVE
    live_at: float | None = None
    ended_at: float | None = None
    end_reason: str = ""
    ended_by: str | None = None
    grid: SeatGrid = field(default_factory=SeatGrid)
    stage: dict[str, StageMember] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    overrides: dict[Role, dict[Capability, bool]] = field(default_factory=dict)
    requests: dict[int, Request] = field(default_factory=dict)
    ended_requests: dict[int, Request] = field(default_factory=dict)
    next_request: int = 1
    bans: dict[str, Ban] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    metadata_revision: int = 0
    empty_since: float | None = None
    hostless_since: float | None = None
    version: int = 0

    def role(self, identity: str) -> Role:
        return self.roles.get(identity, Role.AUDIENCE)

    def may(self, role: Role, capability: Capability) -> bool:
        """Whether a role has a capability in this room."""
        return capability in capabilities_of(role, self.overrides)

    @property
    def has_seats(self) -> bool:
        return self.type is UTDStreamType.AUDIO_ROOM

    @property
    def has_stage(self) -> bool:
        return self.type is UTDStreamType.LIVE_STREAM

    @property
    def hosts(self) -> list[str]:
        """Identities that are owner or host, present or not."""
        return [identity for identity, role in self.roles.items() if role.is_host]

    def pending(self, identity: str) -> list[Request]:
        """Pending requests that the identity sent or is asked by."""
        return [request for request in self.requests.values() if identity in (request.sender, request.to)]

    def concerns(self, identity: str) -> bool:
        """Whether the identity's coming or going can change this state."""
        return (
            identity in self.roles
            or identity in self.stage
            or self.grid.seat_of(identity) is not None
            or bool(self.requests and self.pending(identity))
        )


@dataclass(frozen=True, slots=True)
class RoomCreated(Event):
    """Begins a new room under the name, also where an ended one was. `owner` None: the application's server owns it."""

    name: str
    room_type: UTDStreamType
    settings: RoomSettings
    owner: str | None
    metadata: dict[str, Any]
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class WentLive(Event):
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class StoppedLive(Event):
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class RoomEnded(Event):
    """The last event of a room. `reason`: ended (or the words given with it), duration_limit, empty, host_left."""

    reason: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class MetadataChanged(Event):
    metadata: dict[str, Any]
    revision: int
    by: str


@dataclass(frozen=True, slots=True)
class RoleChanged(Event):
    identity: str
    role: Role
    by: str


@dataclass(frozen=True, slots=True)
class CapabilityOverridden(Event):
    """`allowed` None: back to the role's default."""

    role: Role
    capability: Capability
    allowed: bool | None
    by: str


@dataclass(frozen=True, slots=True)
class ParticipantRemoved(Event):
    """Somebody was removed; `blocked`: because of a ban. `reason`: the words of a moderator; those of a ban are not for
    everybody, so there it is only "banned"."""

    identity: str
    reason: str
    blocked: bool
    by: str


@dataclass(frozen=True, slots=True)
class RoomEmptied(Event):
    """Nobody is in the room since `at`."""

    at: float


@dataclass(frozen=True, slots=True)
class RoomOccupied(Event):
    """Somebody is in the room again."""


@dataclass(frozen=True, slots=True)
class HostsLeft(Event):
    """No owner and no host is in the room since `at`."""

    at: float


@dataclass(frozen=True, slots=True)
class HostReturned(Event):
    identity: str


def apply(room: Room | None, event: Event) -> Room:
    """The room after `event`: the same object changed, or a new one for `RoomCreated`. Never refuses."""
    if type(event) is RoomCreated:
        return _created(event)
    assert room is not None, "the first event of a room is RoomCreated"
    kind = type(event)
    of_seats = SEAT_CHANGES.get(kind)
    if of_seats is not None:
        room.grid = of_seats(room.grid, event)
    elif kind in _APPLY:
        _APPLY[kind](room, event)
    room.version += 1
    return room


def deadline(room: Room) -> float | None:
    """When time alone changes this room next (seconds since the Unix epoch), None when it never does."""
    if room.phase is Phase.ENDED:
        return None
    settings = room.settings
    due = [request.expires_at for request in room.requests.values()]
    if settings.max_duration is not None:
        due.append(room.created_at + settings.max_duration)
    if settings.empty_timeout is not None and room.empty_since is not None:
        due.append(room.empty_since + settings.empty_timeout)
    if settings.host_left_grace is not None and room.hostless_since is not None:
        due.append(room.hostless_since + settings.host_left_grace)
    return min(due, default=None)


def _created(event: RoomCreated) -> Room:
    settings = event.settings
    audio_room = event.room_type is UTDStreamType.AUDIO_ROOM
    return Room(
        name=event.name,
        type=event.room_type,
        settings=settings,
        created_at=event.at,
        phase=Phase.BACKSTAGE if settings.backstage else Phase.LIVE,
        live_at=None if settings.backstage else event.at,
        grid=make_grid(settings.seat_count, settings.seat_mode, settings.mode_id) if audio_room else SeatGrid(),
        roles={} if event.owner is None else {event.owner: Role.OWNER},
        metadata=dict(event.metadata),
        empty_since=event.at,
        hostless_since=event.at,
        version=1,
    )


def _went_live(room: Room, event: WentLive) -> None:
    room.phase = Phase.LIVE
    room.live_at = event.at


def _stopped_live(room: Room, event: StoppedLive) -> None:
    room.phase = Phase.BACKSTAGE


def _ended(room: Room, event: RoomEnded) -> None:
    room.phase = Phase.ENDED
    room.ended_at = event.at
    room.end_reason = event.reason
    room.ended_by = event.by
    room.empty_since = room.hostless_since = None


def _metadata_changed(room: Room, event: MetadataChanged) -> None:
    room.metadata = dict(event.metadata)
    room.metadata_revision = event.revision


def _role_changed(room: Room, event: RoleChanged) -> None:
    if event.role is Role.AUDIENCE:
        room.roles.pop(event.identity, None)
    else:
        room.roles[event.identity] = event.role
    member = room.stage.get(event.identity)
    if member is not None:
        room.stage[event.identity] = replace(member, role=event.role)


def _overridden(room: Room, event: CapabilityOverridden) -> None:
    of_role = room.overrides.setdefault(event.role, {})
    if event.allowed is None:
        of_role.pop(event.capability, None)
        if not of_role:
            del room.overrides[event.role]
    else:
        of_role[event.capability] = event.allowed


def _removed(room: Room, event: ParticipantRemoved) -> None:
    """A fact about presence; the seat, stage and request events that come with it carry the change."""


def _emptied(room: Room, event: RoomEmptied) -> None:
    room.empty_since = event.at


def _occupied(room: Room, event: RoomOccupied) -> None:
    room.empty_since = None


def _hosts_left(room: Room, event: HostsLeft) -> None:
    room.hostless_since = event.at


def _host_returned(room: Room, event: HostReturned) -> None:
    room.hostless_since = None


def _stage_joined(room: Room, event: StageJoined) -> None:
    room.stage[event.identity] = StageMember(event.identity, event.role, event.at)


def _stage_left(room: Room, event: StageLeft) -> None:
    room.stage.pop(event.identity, None)


def _stage_mute(room: Room, event: StageMuteChanged) -> None:
    member = room.stage[event.identity]
    room.stage[event.identity] = replace(member, muted_audio=event.audio, muted_video=event.video)


def _request_made(room: Room, event: RequestMade) -> None:
    room.requests[event.request.id] = event.request
    room.next_request = event.request.id + 1


def _request_ended(room: Room, event: RequestEnded) -> None:
    request = room.requests.pop(event.id)
    room.ended_requests[event.id] = replace(request, state=event.state, reason=event.reason, ended_by=event.by)
    if len(room.ended_requests) > KEPT_ENDED_REQUESTS:
        del room.ended_requests[next(iter(room.ended_requests))]


def _ban_made(room: Room, event: BanMade) -> None:
    room.bans[event.ban.identity] = event.ban


def _ban_lifted(room: Room, event: BanLifted) -> None:
    room.bans.pop(event.identity, None)


_APPLY: Mapping[type[Event], Callable[[Room, Any], None]] = {
    WentLive: _went_live,
    StoppedLive: _stopped_live,
    RoomEnded: _ended,
    MetadataChanged: _metadata_changed,
    RoleChanged: _role_changed,
    CapabilityOverridden: _overridden,
    ParticipantRemoved: _removed,
    RoomEmptied: _emptied,
    RoomOccupied: _occupied,
    HostsLeft: _hosts_left,
    HostReturned: _host_returned,
    StageJoined: _stage_joined,
    StageLeft: _stage_left,
    StageMuteChanged: _stage_mute,
    RequestMade: _request_made,
    RequestEnded: _request_ended,
    BanMade: _ban_made,
    BanLifted: _ban_lifted,
}
