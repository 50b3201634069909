"""Acting on other people: roles, mutes, removal, bans."""

from __future__ import annotations

from ...errors import Conflict, ErrorCode, Forbidden, InvalidInput, NotFound
from ..bans import MOST_BANS, Ban, BanLifted, BanMade, BanScope, expired
from ..command import Context
from ..commands.bans import CreateBan, DeleteBan
from ..commands.internal import ParticipantBanned
from ..commands.moderation import MuteParticipant, OverrideCapability, RemoveParticipant, SetRole
from ..event import Event
from ..identifiers import SYSTEM
from ..roles import Capability, Role
from ..room import MAX_ROLES, CapabilityOverridden, HostReturned, HostsLeft, ParticipantRemoved, RoleChanged, Room
from ..stage import StageMuteChanged
from . import access, seats
from .presence import departure, host_on_stage, host_present


def set_role(room: Room, command: SetRole, context: Context) -> list[Event]:
    identity, role = command.identity, command.role
    access.check_not_self(context, identity, "somebody above must")
    mine = access.role_of(room, context)
    gives_away = role is Role.OWNER and mine is Role.OWNER
    if not gives_away and not context.actor.is_trusted and role.rank >= mine.rank:
        raise Forbidden(
            f"{mine.value} gives only roles below its own, not {role.value}; ask somebody above",
            code=ErrorCode.OUTRANKED,
        )
    before = room.role(identity)
    if role is before:
        return []
    if before is Role.AUDIENCE and len(room.roles) >= MAX_ROLES:
        raise Conflict(
            f"{len(room.roles)} people have a role in {room.name!r}; take one back first", code=ErrorCode.TOO_MANY_ROLES
        )
    events: list[Event] = [RoleChanged(identity, role, context.by)]
    if role is Role.OWNER:
        events += [RoleChanged(old, Role.HOST, context.by) for old, r in room.roles.items() if r is Role.OWNER]
    here = identity in context.present
    if here and role.is_host and not before.is_host:
        if room.hostless_since is not None:
            events.append(HostReturned(identity))
        events += host_on_stage(room, context, identity, role, context.by)
    if here and before.is_host and not role.is_host and not host_present(room, context, without=identity):
        events.append(HostsLeft(context.now))
    return events


def override(room: Room, command: OverrideCapability, context: Context) -> list[Event]:
    role, capability = command.role, command.capability
    if role is Role.OWNER:
        raise Forbidden("the owner's capabilities are fixed, or nobody could undo a mistake; give another role")
    if not context.actor.is_trusted and role.rank >= access.role_of(room, context).rank:
        raise Forbidden(
            f"only a rank above {role.value} changes what it may do; ask somebody who has it", code=ErrorCode.OUTRANKED
        )
    access.demand(room, context, capability)
    if room.overrides.get(role, {}).get(capability) is command.allowed:
        return []
    return [CapabilityOverridden(role, capability, command.allowed, context.by)]


def mute(room: Room, command: MuteParticipant, context: Context) -> list[Event]:
    identity = command.identity
    seat, member = room.grid.seat_of(identity), room.stage.get(identity)
    if seat is not None:
        return [seats.muted(seat, identity, command.audio, command.video, context.by)]
    if member is not None:
        what = f"{identity!r} on stage"
        after = seats.new_mutes(member.muted_audio, member.muted_video, command.audio, command.video, what)
        return [StageMuteChanged(identity, *after, by=context.by)]
    code = ErrorCode.NOT_SEATED if room.has_seats else ErrorCode.NOT_ON_STAGE
    raise Conflict(f"{identity!r} holds no place to publish from; there is nothing to mute", code=code)


def remove(room: Room, command: RemoveParticipant, context: Context) -> list[Event]:
    identity = command.identity
    access.check_not_self(context, identity, "leave the room")
    access.check_present(room, context, identity)
    if command.block:
        access.demand(room, context, Capability.BAN)
        return _kept_out(room, context, identity, command.reason, command.duration)
    if command.duration is not None:
        raise InvalidInput("a duration is that of a ban; give `block` with it, or leave it out")
    return _removed(room, context, identity, command.reason)


def ban(room: Room, command: CreateBan, context: Context) -> list[Event]:
    identity = command.identity
    access.check_not_self(context, identity, "leave the room")
    return _kept_out(room, context, identity, command.reason, command.duration)


def banned_everywhere(room: Room, command: ParticipantBanned, context: Context) -> list[Event]:
    return _shown_out(room, context, command.identity)


def unban(room: Room, command: DeleteBan, context: Context) -> list[Event]:
    return [lifted(room.bans, command, context)]


def banned(
    bans: dict[str, Ban], context: Context, identity: str, scope: BanScope, reason: str, duration: float | None
) -> list[Event]:
    """A new ban, in place of one that holds; expired ones are swept on this occasion.

    Raises `Conflict` (too_many_bans) where too many others hold.
    """
    swept: list[Event] = [
        BanLifted(old.id, old.identity, "expired", SYSTEM)
        for old in expired(bans, context.now)
        if old.identity != identity
    ]
    if identity not in bans and len(bans) - len(swept) >= MOST_BANS[scope]:
        raise Conflict(
            f"{MOST_BANS[scope]} bans hold in this {scope.value}; lift some first", code=ErrorCode.TOO_MANY_BANS
        )
    expires_at = None if duration is None else context.now + duration
    return [*swept, BanMade(Ban(context.new_id, identity, scope, reason, context.by, context.now, expires_at))]


def lifted(bans: dict[str, Ban], command: DeleteBan, context: Context) -> BanLifted:
    """The end of the ban with this id; one that ran out is not found."""
    for old in bans.values():
        if old.id == command.id and old.holds(context.now):
            return BanLifted(old.id, old.identity, command.reason, context.by)
    raise NotFound(f"no ban {command.id!r} holds here; list the bans", code=ErrorCode.BAN_NOT_FOUND)


def _kept_out(room: Room, context: Context, identity: str, reason: str, duration: float | None) -> list[Event]:
    made = banned(room.bans, context, identity, BanScope.ROOM, reason, duration)
    return [*_shown_out(room, context, identity), *made]


def _shown_out(room: Room, context: Context, identity: str) -> list[Event]:
    """The removal that comes with a ban, if there is anybody to remove; the ban's words are not for all to hear."""
    return _removed(room, context, identity, "banned", blocked=True) if identity in context.present else []


def _removed(room: Room, context: Context, identity: str, reason: str, *, blocked: bool = False) -> list[Event]:
    gone = departure(room, context, identity, "removed", still_counted=True)
    return [ParticipantRemoved(identity, reason, blocked, context.by), *gone]
