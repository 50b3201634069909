"""What a project's plan holds: a flag that says no refuses what belongs to it, for everybody, whatever the credential.

| flag | without it |
|---|---|
| `signaling_enabled` | nobody is called, though calls go on; the application has no channels of its own |
| `messaging_enabled` | nothing that there is today: chat comes later. Clients are told, and may hide it |

Unknown is not no: a flag that nobody has set lets everything through. Clients are told both with each session.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...errors import FeatureDisabled
from ...model.command import Command
from ...model.commands import StartCall
from ...model.results import UserSession
from ..projects import Project

_SIGNALING: frozenset[type[Command]] = frozenset({StartCall})


def check_plan(project: Project, command: type[Command]) -> None:
    """Raise `FeatureDisabled` for a command that the plan does not hold."""
    if command in _SIGNALING:
        check_signaling(project)


def check_signaling(project: Project) -> None:
    """Raise `FeatureDisabled` where the plan holds no signalling."""
    if project.flags.signaling_enabled is False:
        raise FeatureDisabled(
            "signaling is not enabled for this project; its plan has to hold it", details={"feature": "signaling"}
        )


def with_flags(result: Any, project: Project) -> Any:
    """The result, with the project's flags where it is a session."""
    if not isinstance(result, UserSession):
        return result
    flags = project.flags
    return replace(result, signaling_enabled=flags.signaling_enabled, messaging_enabled=flags.messaging_enabled)
