"""What holds in every room and call of a project: its bans."""

from __future__ import annotations

from dataclasses import dataclass, field

from .bans import Ban, BanLifted, BanMade
from .event import Event


@dataclass(slots=True)
class Project:
    """Bans by identity."""

    bans: dict[str, Ban] = field(default_factory=dict)
    version: int = 0


def apply(project: Project | None, event: Event) -> Project:
    """The project after `event`. Never refuses."""
    project = Project() if project is None else project
    if isinstance(event, BanMade):
        project.bans[event.ban.identity] = event.ban
    elif isinstance(event, BanLifted):
        project.bans.pop(event.identity, None)
    project.version += 1
    return project


def deadline(project: Project) -> float | None:
    """When the next ban runs out and may be swept away."""
    return min((ban.expires_at for ban in project.bans.values() if ban.expires_at is not None), default=None)
