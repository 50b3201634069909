"""Coming on stage and leaving it."""

from __future__ import annotations

from ..command import Context
from ..commands.stage import DemoteFromStage, LeaveStage, PromoteToStage
from ..event import Event
from ..room import Room
from ..stage import STAGE, PlaceTrigger, StageJoined, StageLeft, place_of
from . import access
from .requests import demand_stage
from .settling import settled


def promote(room: Room, command: PromoteToStage, context: Context) -> list[Event]:
    demand_stage(room)
    identity = command.identity
    access.check_present(room, context, identity)
    access.check_let_in(room, identity)
    STAGE.next(place_of(room.stage, identity), PlaceTrigger.ENTER)
    joined = StageJoined(identity, room.role(identity), context.by, context.now)
    return [joined, *settled(room, identity, context.by)]


def demote(room: Room, command: DemoteFromStage, context: Context) -> list[Event]:
    demand_stage(room)
    STAGE.next(place_of(room.stage, command.identity), PlaceTrigger.LEAVE)
    return [StageLeft(command.identity, command.reason, context.by)]


def leave(room: Room, command: LeaveStage, context: Context) -> list[Event]:
    demand_stage(room)
    identity = access.participant(context)
    STAGE.next(place_of(room.stage, identity), PlaceTrigger.LEAVE)
    return [StageLeft(identity, "left", identity)]
