"""Roles, their rank, and the capabilities each role has.

- Rank: owner > host > admin > speaker > audience. Nobody acts on somebody of the same or a higher rank, so an
  admin never acts on a host or the owner. Acting on oneself is not a question of rank.
- A capability is a named right to give a kind of command. Each role has a default set; a room may override single
  capabilities of a role, in both directions. The owner's set cannot be reduced, or nobody could undo a mistake.
- Capabilities never let anybody publish: that is what a seat, a stage place or a call side does (`grants.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    OWNER = "owner"
    HOST = "host"
    ADMIN = "admin"
    SPEAKER = "speaker"
    AUDIENCE = "audience"

    @property
    def rank(self) -> int:
        """Higher acts on lower."""
        return RANK[self]

    @property
    def is_host(self) -> bool:
        """Owner or host: their absence starts the host-left grace."""
        return self in (Role.OWNER, Role.HOST)


class Capability(StrEnum):
    JOIN_BACKSTAGE = "join_backstage"
    """Be in the room while it is not live."""
    TAKE_SEAT = "take_seat"
    """Take a free seat in free mode, move between seats."""
    TAKE_SEAT_DIRECTLY = "take_seat_directly"
    """Take a free seat in request mode without asking, move between seats."""
    ASK = "ask"
    """Ask to speak or to come on stage."""
    MANAGE_SEATS = "manage_seats"
    """Set up, lock, reserve, clear, move and swap seats."""
    MANAGE_REQUESTS = "manage_requests"
    """Answer requests, and invite."""
    MANAGE_STAGE = "manage_stage"
    """Bring people on stage and remove them."""
    MUTE = "mute"
    """Mute and unmute others."""
    REMOVE = "remove"
    """Remove somebody from the room."""
    BAN = "ban"
    """Ban, and lift bans."""
    MANAGE_ROLES = "manage_roles"
    """Give roles below the own rank, and override capabilities."""
    GO_LIVE = "go_live"
    """Open the room to the audience and close it again."""
    UPDATE_ROOM = "update_room"
    """Change the room's metadata."""
    END_ROOM = "end_room"
    """End the room for everybody."""
    SEND_DATA = "send_data"
    """Send data messages."""


RANK: Mapping[Role, int] = {Role.OWNER: 4, Role.HOST: 3, Role.ADMIN: 2, Role.SPEAKER: 1, Role.AUDIENCE: 0}

_AUDIENCE = frozenset({Capability.TAKE_SEAT, Capability.ASK, Capability.SEND_DATA})
_SPEAKER = _AUDIENCE | {Capability.TAKE_SEAT_DIRECTLY, Capability.JOIN_BACKSTAGE}
_ADMIN = _SPEAKER | {
    Capability.MANAGE_SEATS,
    Capability.MANAGE_REQUESTS,
    Capability.MANAGE_STAGE,
    Capability.MUTE,
    Capability.REMOVE,
    Capability.BAN,
}
_HOST = _ADMIN | {
    Capability.MANAGE_ROLES,
    Capability.GO_LIVE,
    Capability.UPDATE_ROOM,
    Capability.END_ROOM,
}

DEFAULT_CAPABILITIES: Mapping[Role, frozenset[Capability]] = {
    Role.OWNER: frozenset(Capability),
    Role.HOST: _HOST,
    Role.ADMIN: _ADMIN,
    Role.SPEAKER: _SPEAKER,
    Role.AUDIENCE: _AUDIENCE,
}

Overrides = Mapping[Role, Mapping[Capability, bool]]


def capabilities_of(role: Role, overrides: Overrides) -> frozenset[Capability]:
    """The role's capabilities in a room with these overrides."""
    base = DEFAULT_CAPABILITIES[role]
    if not overrides or role is Role.OWNER:
        return base
    changes = overrides.get(role, {})
    added = {capability for capability, allowed in changes.items() if allowed}
    removed = {capability for capability, allowed in changes.items() if not allowed}
    return (base | added) - removed
