"""`decide` for what holds in the whole project."""

from __future__ import annotations

from ...errors import Forbidden
from ..bans import BanLifted, BanScope, expired
from ..command import Command, Context
from ..commands.bans import CreateBan, DeleteBan, ListBans
from ..commands.internal import Internal, Tick
from ..event import Event
from ..identifiers import SYSTEM
from ..project import Project
from .moderation import banned, lifted


def decide_project(project: Project | None, command: Command | Internal, context: Context) -> list[Event]:
    """What happens. Project bans are the application server's alone."""
    project = Project() if project is None else project
    if isinstance(command, Tick):
        return [BanLifted(ban.id, ban.identity, "expired", SYSTEM) for ban in expired(project.bans, context.now)]
    if isinstance(command, CreateBan | DeleteBan | ListBans) and not context.actor.is_trusted:
        raise Forbidden("only the application's server bans from the whole project; name a room")
    if isinstance(command, CreateBan):
        return banned(project.bans, context, command.identity, BanScope.PROJECT, command.reason, command.duration)
    if isinstance(command, DeleteBan):
        return [lifted(project.bans, command, context)]
    return []
