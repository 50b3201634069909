"""What is well formed and still cannot be done: in ended rooms, to unknown requests, twice. Nothing changes."""

from __future__ import annotations

import pytest

from utd_core.errors import ErrorCode, InvalidInput
from utd_core.model.command import Command
from utd_core.model.commands import (
    AcceptCall,
    AcceptRequest,
    CancelRequest,
    ClearSeat,
    CreateRoom,
    EndCall,
    EndRoom,
    GetRoom,
    GoLive,
    JoinRoom,
    LeaveRoom,
    LockSeat,
    MakeRequest,
    MuteParticipant,
    PromoteToStage,
    RejectRequest,
    RemoveParticipant,
    ReserveSeat,
    SetupSeats,
    StartCall,
    StopLive,
    SwapSeats,
    TakeSeat,
    UpdateMetadata,
)
from utd_core.model.request import RequestKind
from utd_core.model.stream_type import UTDStreamType

from .world import LOUNGE, CallWorld, RoomWorld, a_room, a_stream

ENDED: dict[str, tuple[str, Command]] = {
    "end": ("host", EndRoom(room=LOUNGE)),
    "go_live": ("host", GoLive(room=LOUNGE)),
    "stop_live": ("host", StopLive(room=LOUNGE)),
    "join": ("guest", JoinRoom(room=LOUNGE, type=UTDStreamType.AUDIO_ROOM)),
    "leave": ("guest", LeaveRoom(room=LOUNGE)),
    "take": ("guest", TakeSeat(room=LOUNGE)),
    "set_up": ("host", SetupSeats(room=LOUNGE, seat_count=2)),
    "lock": ("host", LockSeat(room=LOUNGE, index=0)),
    "ask": ("guest", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK)),
    "accept": ("host", AcceptRequest(room=LOUNGE, id=1)),
    "promote": ("host", PromoteToStage(room=LOUNGE, identity="guest")),
    "mute": ("host", MuteParticipant(room=LOUNGE, identity="guest")),
    "remove": ("host", RemoveParticipant(room=LOUNGE, identity="guest")),
    "metadata": ("host", UpdateMetadata(room=LOUNGE, metadata={})),
}


@pytest.mark.parametrize("action", ENDED)
def test_nothing_is_done_in_a_room_that_ended(action: str) -> None:
    by, command = ENDED[action]
    world = a_room("guest")
    world.ask("guest", RequestKind.SPEAK)
    world.give("host", EndRoom(room=LOUNGE))
    with world.refused(ErrorCode.ROOM_ENDED):
        world.give(by, command)


@pytest.mark.parametrize("action", ENDED)
def test_nothing_is_done_in_a_room_that_never_was(action: str) -> None:
    by, command = ENDED[action]
    world = RoomWorld()
    with world.refused(ErrorCode.ROOM_NOT_FOUND):
        world.give(by, command)
    with world.refused(ErrorCode.ROOM_NOT_FOUND):
        world.give(by, GetRoom(room=LOUNGE))


IMPOSSIBLE: dict[str, tuple[str, Command, ErrorCode]] = {
    "unknown_request": ("host", AcceptRequest(room=LOUNGE, id=99), ErrorCode.REQUEST_NOT_FOUND),
    "reject_unknown": ("host", RejectRequest(room=LOUNGE, id=99), ErrorCode.REQUEST_NOT_FOUND),
    "cancel_unknown": ("guest", CancelRequest(room=LOUNGE, id=99), ErrorCode.REQUEST_NOT_FOUND),
    "seat_beyond": ("guest", TakeSeat(room=LOUNGE, index=4), ErrorCode.SEAT_OUT_OF_RANGE),
    "clear_beyond": ("host", ClearSeat(room=LOUNGE, index=99), ErrorCode.SEAT_OUT_OF_RANGE),
    "lock_beyond": ("host", LockSeat(room=LOUNGE, index=4), ErrorCode.SEAT_OUT_OF_RANGE),
    "reserve_beyond": ("host", ReserveSeat(room=LOUNGE, index=4, identity="guest"), ErrorCode.SEAT_OUT_OF_RANGE),
    "swap_beyond": ("host", SwapSeats(room=LOUNGE, first=0, second=4), ErrorCode.SEAT_OUT_OF_RANGE),
    "not_there": ("host", RemoveParticipant(room=LOUNGE, identity="nobody"), ErrorCode.PARTICIPANT_NOT_FOUND),
    "not_here": ("stranger", TakeSeat(room=LOUNGE), ErrorCode.NOT_JOINED),
    "no_stage": ("host", PromoteToStage(room=LOUNGE, identity="guest"), ErrorCode.WRONG_ROOM_TYPE),
    "nothing_named": ("host", LockSeat(room=LOUNGE, index=0, take=False), ErrorCode.INVALID_INPUT),
    "old_revision": ("host", UpdateMetadata(room=LOUNGE, metadata={}, revision=7), ErrorCode.CONFLICT),
    "room_exists": ("other", CreateRoom(room=LOUNGE, type=UTDStreamType.AUDIO_ROOM), ErrorCode.ROOM_EXISTS),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_what_cannot_be_done_changes_nothing(what: str) -> None:
    by, command, code = IMPOSSIBLE[what]
    world = a_room("guest")
    with world.refused(code):
        world.give(by, command)


TWICE: dict[str, tuple[str, Command, ErrorCode]] = {
    "take": ("guest", TakeSeat(room=LOUNGE, index=0), ErrorCode.ALREADY_SEATED),
    "leave": ("guest", LeaveRoom(room=LOUNGE), ErrorCode.NOT_JOINED),
    "lock": ("host", LockSeat(room=LOUNGE, index=0), ErrorCode.SEAT_LOCKED),
    "ask": ("guest", MakeRequest(room=LOUNGE, kind=RequestKind.SPEAK), ErrorCode.REQUEST_PENDING),
    "stop_live": ("host", StopLive(room=LOUNGE), ErrorCode.WRONG_PHASE),
    "reserve": ("host", ReserveSeat(room=LOUNGE, index=0, identity="guest"), ErrorCode.SEAT_RESERVED),
    "remove": ("host", RemoveParticipant(room=LOUNGE, identity="guest"), ErrorCode.PARTICIPANT_NOT_FOUND),
    "end": ("host", EndRoom(room=LOUNGE), ErrorCode.ROOM_ENDED),
}


@pytest.mark.parametrize("what", TWICE)
def test_what_was_done_is_not_done_twice(what: str) -> None:
    by, command, code = TWICE[what]
    world = a_room("guest")
    world.give(by, command)
    with world.refused(code):
        world.give(by, command)


def test_promoting_twice() -> None:
    world = a_stream("viewer")
    world.give("host", PromoteToStage(room=LOUNGE, identity="viewer"))
    with world.refused(ErrorCode.ALREADY_ON_STAGE):
        world.give("host", PromoteToStage(room=LOUNGE, identity="viewer"))


def test_calls_that_cannot_be() -> None:
    world = CallWorld()
    with world.refused(ErrorCode.CALL_TO_SELF, InvalidInput):
        world.give("ann", StartCall(type=UTDStreamType.AUDIO_CALL, callee="ann"))
    with world.refused(ErrorCode.CALL_NOT_FOUND):
        world.give("ann", AcceptCall(id="call-7"), id="call-7")
    world.start("ann", "bob")
    world.give("ann", EndCall(id="call-1"))
    with world.refused(ErrorCode.CALL_ENDED):
        world.give("ann", EndCall(id="call-1"))
