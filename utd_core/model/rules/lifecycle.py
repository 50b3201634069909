"""How a room begins, is joined and left, goes live and ends; and what time alone does to it."""

from __future__ import annotations

from ...errors import Conflict, ErrorCode, Forbidden, InvalidInput, NotFound
from ..bans import check_not_banned
from ..command import Context
from ..commands.internal import Departed, Returned, Tick
from ..commands.rooms import CreateRoom, EndRoom, GoLive, JoinRoom, LeaveRoom, RoomOptions, StopLive, UpdateMetadata
from ..event import Event
from ..identifiers import SYSTEM
from ..request import RequestTrigger
from ..roles import Capability
from ..room import (
    ROOM,
    DuplicateIdentity,
    MetadataChanged,
    Phase,
    PhaseTrigger,
    Room,
    RoomCreated,
    RoomEnded,
    RoomSettings,
    StoppedLive,
    WentLive,
    apply,
)
from ..stream_type import UTDStreamType
from . import access
from .presence import arrival, departure
from .seats import reshaped
from .settling import end_request

_SETTINGS = tuple(RoomSettings.__dataclass_fields__)
_SEAT_OPTIONS = ("seat_count", "seat_mode", "mode_id", "seat_video")


def create(room: Room | None, command: CreateRoom, context: Context) -> list[Event]:
    if room is not None and room.phase is not Phase.ENDED:
        raise Conflict(f"room {command.room!r} exists; join it, or end it first", code=ErrorCode.ROOM_EXISTS)
    trusted = context.actor.is_trusted
    if not trusted:
        check_not_banned(context.project_bans, context.by, context.now)
    if command.owner is not None and not trusted and command.owner != context.by:
        raise Forbidden("a user owns the rooms it creates; leave `owner` out")
    return [_created(command, command.type, command.owner if trusted else context.by, context)]


def join(room: Room | None, command: JoinRoom, context: Context) -> list[Event]:
    identity = access.participant(context)
    check_not_banned(context.project_bans, identity, context.now)
    given = _given_options(command)
    if given and not command.as_host:
        raise Forbidden(f"only a host configures a room; join without {', '.join(given)}")
    if room is None or room.phase is Phase.ENDED:
        return _join_new(room, command, context, identity)
    if room.type is not command.type:
        raise Conflict(
            f"{room.name!r} is a {room.type.value}, not a {command.type.value}; join it as what it is",
            code=ErrorCode.WRONG_ROOM_TYPE,
        )
    check_not_banned(room.bans, identity, context.now)
    _check_let_in(room, command, context, identity)
    _check_seat_options(room.type, given)
    events = arrival(room, context, identity)
    if any(name in _SEAT_OPTIONS for name in given):
        set_up = reshaped(room, context, command.seat_count, command.seat_mode, command.mode_id)
        if set_up:
            access.demand(room, context, Capability.MANAGE_SEATS)
        events += set_up
    return events


def _join_new(room: Room | None, command: JoinRoom, context: Context, identity: str) -> list[Event]:
    if not command.as_host:
        if room is not None:
            raise has_ended(room)
        raise NotFound(
            f"room {command.room!r} does not exist; create it, or join it as its host",
            code=ErrorCode.ROOM_NOT_FOUND,
        )
    created = _created(command, command.type, identity, context)
    return [created, *arrival(apply(None, created), context, identity)]


def _check_let_in(room: Room, command: JoinRoom, context: Context, identity: str) -> None:
    role = room.role(identity)
    if command.as_host and not role.is_host:
        raise Forbidden(f"{identity!r} is {role.value} in {room.name!r}, not a host; join without as_host")
    access.check_let_in(room, identity)
    devices = context.present.get(identity)
    if devices is None:
        limit = room.settings.max_participants
        if limit is not None and len(context.present) >= limit:
            raise Conflict(f"{room.name!r} is full with {limit}; wait until somebody leaves", code=ErrorCode.ROOM_FULL)
    elif command.device_id not in devices and room.settings.duplicate_identity is DuplicateIdentity.REJECT:
        raise Conflict(
            f"{identity!r} is in {room.name!r} on another device; leave there first", code=ErrorCode.ALREADY_JOINED
        )


def leave(room: Room, command: LeaveRoom, context: Context) -> list[Event]:
    identity = access.participant(context)
    return departure(room, context, identity, "left", still_counted=True)


def departed(room: Room, command: Departed, context: Context) -> list[Event]:
    return departure(room, context, command.identity, command.reason)


def returned(room: Room, command: Returned, context: Context) -> list[Event]:
    return arrival(room, context, command.identity)


def go_live(room: Room, command: GoLive, context: Context) -> list[Event]:
    ROOM.next(room.phase, PhaseTrigger.GO_LIVE)
    return [WentLive(context.by, context.now)]


def stop_live(room: Room, command: StopLive, context: Context) -> list[Event]:
    ROOM.next(room.phase, PhaseTrigger.STOP_LIVE)
    return [StoppedLive(context.by, context.now)]


def end(room: Room, command: EndRoom, context: Context) -> list[Event]:
    return ended(room, context, command.reason, context.by)


def has_ended(room: Room) -> Conflict:
    """The refusal of whatever is asked of a room that is over."""
    return Conflict(f"{room.name!r} has ended; create a new room, the name is free", code=ErrorCode.ROOM_ENDED)


def ended(room: Room, context: Context, reason: str, by: str) -> list[Event]:
    """The end of a room: nobody has a grant any more, and everything that was asked has failed."""
    ROOM.next(room.phase, PhaseTrigger.END)
    requests = [end_request(r, RequestTrigger.FAIL, "room_ended", by) for r in room.requests.values()]
    return [*requests, RoomEnded(reason, by, context.now)]


def update_metadata(room: Room, command: UpdateMetadata, context: Context) -> list[Event]:
    if command.revision is not None and command.revision != room.metadata_revision:
        raise Conflict(
            f"metadata is at revision {room.metadata_revision}, not {command.revision}; read it again, then update",
            details={"revision": room.metadata_revision},
        )
    return [MetadataChanged(command.metadata, room.metadata_revision + 1, context.by)]


def tick(room: Room, command: Tick, context: Context) -> list[Event]:
    now, settings = context.now, room.settings
    for since, limit, reason in (
        (room.created_at, settings.max_duration, "duration_limit"),
        (room.empty_since, settings.empty_timeout, "empty"),
        (room.hostless_since, settings.host_left_grace, "host_left"),
    ):
        if since is not None and limit is not None and now >= since + limit:
            return ended(room, context, reason, SYSTEM)
    return [
        end_request(request, RequestTrigger.EXPIRE, "no_answer", SYSTEM)
        for request in room.requests.values()
        if now >= request.expires_at
    ]


def _given_options(command: RoomOptions) -> list[str]:
    return [name for name in (*_SETTINGS, "metadata") if getattr(command, name, None) is not None]


def _check_seat_options(type: UTDStreamType, given: list[str]) -> None:
    if type is not UTDStreamType.AUDIO_ROOM and any(name in _SEAT_OPTIONS for name in given):
        raise InvalidInput(
            f"a {type.value} has no seats; leave out {', '.join(n for n in given if n in _SEAT_OPTIONS)}"
        )


def _created(command: RoomOptions, type: UTDStreamType, owner: str | None, context: Context) -> RoomCreated:
    if type.is_call:
        raise InvalidInput(f"{type.value} is a call, not a room; start a call instead")
    given = _given_options(command)
    _check_seat_options(type, given)
    settings = RoomSettings(**{name: getattr(command, name) for name in given if name != "metadata"})
    return RoomCreated(command.room, type, settings, owner, command.metadata or {}, context.by, context.now)
