"""Keeping somebody out of a room, or of the whole project.

- Without `room` they hold in the whole project, which only the application's server may do.
"""

from __future__ import annotations

from ..bans import Ban
from ..command import Aggregate, Command, command
from ..identifiers import Identity, Reason, RoomName
from ..results import Page
from ..roles import Capability
from .fields import Cursor, EntityId, Limit, Seconds


class BanCommand(Command):
    """`room` None: the project."""

    room: RoomName | None = None


@command("POST", "/bans", aggregate=Aggregate.ROOM, result=Ban, capability=Capability.BAN, target="identity")
class CreateBan(BanCommand):
    """Ban somebody, who is removed at once; a second ban replaces the first. `duration`: seconds, None for good."""

    identity: Identity
    reason: Reason = ""
    duration: Seconds | None = None


@command("GET", "/bans", aggregate=Aggregate.ROOM, result=Page[Ban], capability=Capability.BAN)
class ListBans(BanCommand):
    """Bans that hold now, by identity; or only that of one `identity`."""

    identity: Identity | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


@command("DELETE", "/bans/{id}", aggregate=Aggregate.ROOM, capability=Capability.BAN)
class DeleteBan(BanCommand):
    """Lift a ban before its time."""

    id: EntityId
    reason: Reason = ""
