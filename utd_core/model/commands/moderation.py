"""Acting on other people. The target's rank must be below the actor's."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..command import Aggregate, command
from ..identifiers import Identity, Reason
from ..roles import Capability, Role
from .fields import Seconds
from .rooms import RoomCommand

_PARTICIPANT = "/rooms/{room}/participants/{identity}"


@command("PUT", _PARTICIPANT + "/role", aggregate=Aggregate.ROOM, capability=Capability.MANAGE_ROLES, target="identity")
class SetRole(RoomCommand):
    """Give a role below the own one. The owner may give ownership away, and is a host afterwards."""

    identity: Identity
    role: Annotated[Role, Field(strict=False)]


@command("PUT", "/rooms/{room}/roles/{role}", aggregate=Aggregate.ROOM, capability=Capability.MANAGE_ROLES)
class OverrideCapability(RoomCommand):
    """Give or take a role's capability in this room; `allowed` None goes back to the default."""

    role: Annotated[Role, Field(strict=False)]
    capability: Annotated[Capability, Field(strict=False)]
    allowed: bool | None


@command("PUT", _PARTICIPANT + "/mute", aggregate=Aggregate.ROOM, capability=Capability.MUTE, target="identity")
class MuteParticipant(RoomCommand):
    """Mute (true) or unmute (false) whoever is on a seat or on stage; None leaves a device as it is."""

    identity: Identity
    audio: bool | None = True
    video: bool | None = None


@command("DELETE", _PARTICIPANT, aggregate=Aggregate.ROOM, capability=Capability.REMOVE, target="identity")
class RemoveParticipant(RoomCommand):
    """Remove somebody from the room. `block` bans from the room as well, for `duration` seconds or for good."""

    identity: Identity
    reason: Reason = "removed"
    block: bool = False
    duration: Seconds | None = None
