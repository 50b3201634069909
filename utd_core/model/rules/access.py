"""Who may give a command: presence, capability, rank. What only one rule needs stands with that rule."""

from __future__ import annotations

from ...errors import Conflict, ErrorCode, Forbidden, NotFound
from ..command import Command, Context
from ..roles import Capability, Role
from ..room import Phase, Room


def check_access(room: Room, command: Command, context: Context) -> None:
    """Check what the command's declaration demands. Raises `Conflict` (not_joined) or `Forbidden`."""
    actor = context.actor
    if actor.is_trusted:
        return
    spec = command.spec
    if spec.presence and actor.identity not in context.present:
        raise Conflict(f"{actor.identity!r} is not in room {room.name!r}; join first", code=ErrorCode.NOT_JOINED)
    if spec.capability is not None:
        demand(room, context, spec.capability)
    if spec.target is not None:
        check_rank(room, context, getattr(command, spec.target))


def has(room: Room, context: Context, capability: Capability) -> bool:
    """Whether the actor has a capability here."""
    actor = context.actor
    return actor.is_trusted or room.may(room.role(actor.identity), capability)


def demand(room: Room, context: Context, capability: Capability) -> None:
    """Raise `Forbidden` unless the actor has the capability."""
    if not has(room, context, capability):
        role = room.role(context.by)
        raise Forbidden(
            f"{context.by!r} is {role.value} in {room.name!r} and lacks {capability.value}; ask somebody who has it",
            details={"capability": capability.value, "role": role.value},
        )


def check_rank(room: Room, context: Context, target: str) -> None:
    """Raise `Forbidden` (outranked) unless the actor stands above `target`, or is `target`."""
    actor = context.actor
    if actor.is_trusted or actor.identity == target:
        return
    mine, theirs = room.role(actor.identity), room.role(target)
    if mine.rank <= theirs.rank:
        raise Forbidden(
            f"{actor.identity!r} ({mine.value}) cannot act on {target!r} ({theirs.value}); ask somebody above both",
            code=ErrorCode.OUTRANKED,
        )


def check_not_self(context: Context, target: str, instead: str) -> None:
    """Raise `Forbidden` where a command makes no sense on oneself."""
    if context.by == target:
        raise Forbidden(f"{target!r} cannot do this to itself; {instead}")


def check_let_in(room: Room, identity: str) -> None:
    """Raise `Conflict` (room_not_live) while the room is backstage and `identity` does not belong there."""
    if room.phase is Phase.BACKSTAGE and not room.may(room.role(identity), Capability.JOIN_BACKSTAGE):
        raise Conflict(
            f"{room.name!r} is backstage, where {identity!r} may not be; wait until its host goes live",
            code=ErrorCode.ROOM_NOT_LIVE,
        )


def participant(context: Context) -> str:
    """The actor as somebody who can be in a room; the application's server cannot."""
    if context.actor.is_trusted:
        raise Forbidden("the server is in no room; give this command as an identity that is")
    return context.actor.identity


def check_present(room: Room, context: Context, identity: str) -> None:
    """Raise `NotFound` (participant_not_found) unless `identity` is in the room."""
    if identity not in context.present:
        raise NotFound(
            f"{identity!r} is not in room {room.name!r}; list its participants", code=ErrorCode.PARTICIPANT_NOT_FOUND
        )


def role_of(room: Room, context: Context) -> Role:
    """The actor's role; the application's server stands at least as high as the owner."""
    return Role.OWNER if context.actor.is_trusted else room.role(context.actor.identity)
