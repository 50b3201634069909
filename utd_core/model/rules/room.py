"""`decide` for rooms: access first, then the rule of the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import ErrorCode, NotFound
from ..command import Command, Context
from ..commands import bans as ban_commands
from ..commands import internal, rooms
from ..commands import moderation as moderation_commands
from ..commands import requests as request_commands
from ..commands import seats as seat_commands
from ..commands import stage as stage_commands
from ..event import Event
from ..room import Phase, Room
from . import lifecycle, moderation, requests, seats, stage
from .access import check_access


def decide_room(room: Room | None, command: Command | internal.Internal, context: Context) -> list[Event]:
    """What happens. Raises `Refused` or `InvalidInput`; the state is never touched."""
    # By type: asking pydantic classes for instances costs more than most of the rules.
    if type(command) is rooms.JoinRoom:
        return lifecycle.join(room, command, context)
    if type(command) is rooms.CreateRoom:
        return lifecycle.create(room, command, context)
    if isinstance(command, internal.Internal):
        # The engine's own news may come late: about a room that ended meanwhile there is nothing to decide.
        if room is None or room.phase is Phase.ENDED:
            return []
        return _INTERNAL[type(command)](room, command, context)
    if room is None:
        raise NotFound(
            f"room {getattr(command, 'room', '')!r} does not exist; create it, or join it as its host",
            code=ErrorCode.ROOM_NOT_FOUND,
        )
    if command.spec.query:
        check_access(room, command, context)
        return []
    if room.phase is Phase.ENDED:
        raise lifecycle.has_ended(room)
    check_access(room, command, context)
    return _RULES[type(command)](room, command, context)


_INTERNAL: Mapping[type, Callable[[Room, Any, Context], list[Event]]] = {
    internal.Tick: lifecycle.tick,
    internal.Departed: lifecycle.departed,
    internal.Returned: lifecycle.returned,
    internal.ParticipantBanned: moderation.banned_everywhere,
}

_RULES: Mapping[type, Callable[[Room, Any, Context], list[Event]]] = {
    rooms.LeaveRoom: lifecycle.leave,
    rooms.EndRoom: lifecycle.end,
    rooms.GoLive: lifecycle.go_live,
    rooms.StopLive: lifecycle.stop_live,
    rooms.UpdateMetadata: lifecycle.update_metadata,
    seat_commands.SetupSeats: seats.setup,
    seat_commands.TakeSeat: seats.take,
    seat_commands.LeaveSeat: seats.leave,
    seat_commands.MoveSeat: seats.move,
    seat_commands.SwapSeats: seats.swap,
    seat_commands.ClearSeat: seats.clear,
    seat_commands.LockSeat: seats.lock,
    seat_commands.UnlockSeat: seats.unlock,
    seat_commands.MuteSeat: seats.mute,
    seat_commands.UnmuteSeat: seats.unmute,
    seat_commands.ReserveSeat: seats.reserve,
    request_commands.MakeRequest: requests.make,
    request_commands.AcceptRequest: requests.accept,
    request_commands.RejectRequest: requests.reject,
    request_commands.CancelRequest: requests.cancel,
    stage_commands.PromoteToStage: stage.promote,
    stage_commands.DemoteFromStage: stage.demote,
    stage_commands.LeaveStage: stage.leave,
    moderation_commands.SetRole: moderation.set_role,
    moderation_commands.OverrideCapability: moderation.override,
    moderation_commands.MuteParticipant: moderation.mute,
    moderation_commands.RemoveParticipant: moderation.remove,
    ban_commands.CreateBan: moderation.ban,
    ban_commands.DeleteBan: moderation.unban,
}
