"""The three kinds of aggregate, each with the model's functions for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..model.bans import BanLifted, BanMade
from ..model.call import Call
from ..model.call import apply as apply_call
from ..model.call import deadline as call_deadline
from ..model.channels import call_channel, call_event_channels, room_channel, room_event_channels, user_channel
from ..model.command import Aggregate as AggregateName
from ..model.command import Command, Context
from ..model.commands.internal import Internal
from ..model.event import Event
from ..model.project import Project
from ..model.project import apply as apply_project
from ..model.project import deadline as project_deadline
from ..model.room import Room
from ..model.room import apply as apply_room
from ..model.room import deadline as room_deadline
from ..model.rules import decide_call, decide_project, decide_room


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of aggregate is decided, changed and published.

    `ended_at(state)` is since when it has been over, None while it goes on.
    `home(key)` is the channel that every one of its events is published on, None where there is none; `channels`
    are all the channels of one event.
    """

    name: str
    state: type[Any]
    decide: Callable[[Any, Command | Internal, Context], list[Event]]
    apply: Callable[[Any, Event], Any]
    deadline: Callable[[Any], float | None]
    ended_at: Callable[[Any], float | None]
    channels: Callable[[Any, Event], Sequence[str]]
    home: Callable[[str], str | None]


def _own_end(state: Room | Call) -> float | None:
    return state.ended_at


def _never(project: Project) -> None:
    return None


def _project_event_channels(project: Project, event: Event) -> tuple[str, ...]:
    """A ban that holds everywhere concerns nobody but the one it keeps out."""
    if isinstance(event, BanMade):
        return (user_channel(event.ban.identity),)
    return (user_channel(event.identity),) if isinstance(event, BanLifted) else ()


def _no_home(key: str) -> None:
    return None


ROOM = Kind(
    AggregateName.ROOM.value,
    Room,
    decide_room,
    apply_room,
    room_deadline,
    _own_end,
    room_event_channels,
    room_channel,
)
CALL = Kind(
    AggregateName.CALL.value,
    Call,
    decide_call,
    apply_call,
    call_deadline,
    _own_end,
    call_event_channels,
    call_channel,
)
PROJECT = Kind(
    AggregateName.PROJECT.value,
    Project,
    decide_project,
    apply_project,
    project_deadline,
    _never,
    _project_event_channels,
    _no_home,
)

KINDS = {kind.name: kind for kind in (ROOM, CALL, PROJECT)}
