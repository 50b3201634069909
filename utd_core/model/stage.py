"""The stage of a live stream: the hosts and any number of co-publishers.

- Whoever is on stage may publish microphone, camera and screen. There is no cap.
- Hosts come on stage by joining, or by becoming one; a viewer by promotion, or by an accepted request or invitation.
- A moderator's mute belongs to the place: leaving the stage drops it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..errors import ErrorCode
from .event import Event
from .machine import Machine
from .roles import Role


class PlaceState(StrEnum):
    OFF = "off"
    ON = "on"


class PlaceTrigger(StrEnum):
    ENTER = "enter"
    LEAVE = "leave"


STAGE = Machine(
    name="stage place",
    states=PlaceState,
    triggers=PlaceTrigger,
    initial=PlaceState.OFF,
    table={
        (PlaceState.OFF, PlaceTrigger.ENTER): PlaceState.ON,
        (PlaceState.ON, PlaceTrigger.LEAVE): PlaceState.OFF,
    },
    refusals={
        (PlaceState.ON, PlaceTrigger.ENTER): (ErrorCode.ALREADY_ON_STAGE, "leave it first to come again"),
        (PlaceState.OFF, PlaceTrigger.LEAVE): (ErrorCode.NOT_ON_STAGE, "come on stage first"),
    },
)


@dataclass(frozen=True, slots=True)
class StageMember:
    identity: str
    role: Role
    joined_at: float
    muted_audio: bool = False
    muted_video: bool = False


@dataclass(frozen=True, slots=True)
class StageJoined(Event):
    identity: str
    role: Role
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class StageLeft(Event):
    """`reason`: left, removed (or the moderator's words), disconnected."""

    identity: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class StageMuteChanged(Event):
    identity: str
    audio: bool
    video: bool
    by: str


def place_of(members: dict[str, StageMember], identity: str) -> PlaceState:
    return PlaceState.ON if identity in members else PlaceState.OFF
