"""Every command is allowed or refused to every role exactly as the matrix in `authorization.py` says.

The matrix is written by hand and knows nothing of the declarations of the commands, so either can be found wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from utd_core.errors import ErrorCode, UTDStreamException
from utd_core.model.codec import dump
from utd_core.model.command import Actor, Aggregate, Command, Context
from utd_core.model.commands import (
    COMMANDS,
    AcceptCall,
    BusyCall,
    CancelCall,
    ClearSeat,
    CreateBan,
    DemoteFromStage,
    EndCall,
    GetCall,
    ListCalls,
    LockSeat,
    MakeRequest,
    MoveSeat,
    MuteParticipant,
    MuteSeat,
    OverrideCapability,
    PromoteToStage,
    RejectCall,
    RemoveParticipant,
    RingCall,
    SetRole,
    SetupSeats,
    StartCall,
    SwapSeats,
    UnlockSeat,
    UnmuteSeat,
)
from utd_core.model.identifiers import SERVER
from utd_core.model.project import Project
from utd_core.model.request import RequestKind
from utd_core.model.roles import Capability, Role
from utd_core.model.room import CapabilityOverridden
from utd_core.model.rules import decide_project
from utd_core.model.seats import SeatLockChanged, SeatMuteChanged
from utd_core.model.stream_type import UTDStreamType

from .authorization import ROLES, Row, call_rows, room_rows
from .scenes import SCENES, arrange
from .world import LOUNGE, CallWorld, RoomWorld, says_what_to_do

ROWS = room_rows()
STATUS = {"-": 403, "x": 409, "o": 409, "!": 404}
CODE = {"x": ErrorCode.NOT_JOINED, "o": ErrorCode.ROOM_NOT_LIVE, "!": ErrorCode.CALL_NOT_FOUND}
USERS = [role for role in Role if role is not Role.OWNER]


def name_of(value: object) -> str | None:
    return value.name if isinstance(value, Row) else getattr(value, "value", None)


def attempt(world: RoomWorld, actor: str, command: Command) -> UTDStreamException | None:
    """The refusal of the command, None where it is allowed."""
    try:
        if command.spec.aggregate is Aggregate.PROJECT or getattr(command, "room", LOUNGE) is None:
            decide_project(Project(), command, Context(Actor(actor), world.now, new_id="ban-1"))
        else:
            world.decide(actor, command)
    except UTDStreamException as refusal:
        return refusal
    return None


def check(refusal: UTDStreamException | None, mark: str) -> None:
    """The matrix says `+`, or which refusal it is."""
    # A rule that looks further has something else to say, but not about who asks.
    if refusal is not None and refusal.code == ErrorCode.BAN_NOT_FOUND:
        refusal = None
    if mark == "+":
        assert refusal is None, refusal
        return
    assert refusal is not None, "allowed"
    assert refusal.status_code == STATUS[mark], refusal
    assert refusal.code == CODE.get(mark, refusal.code), refusal
    assert says_what_to_do(refusal), refusal


def test_every_command_stands_in_a_matrix() -> None:
    assert {row.command for row in [*ROWS, *call_rows()]} == set(COMMANDS)
    assert {row.name for row in ROWS} == set(SCENES)


@pytest.mark.parametrize(("row", "role"), list(product(ROWS, ROLES)), ids=name_of)
def test_a_role_may_give_exactly_the_commands_that_the_matrix_says(row: Row, role: str) -> None:
    if row.allowed[role] == ".":
        return
    world, actor, command = arrange(row.name, role)
    before = None if world.state is None else dump(world.state)
    check(attempt(world, actor, command), row.allowed[role])
    assert (None if world.state is None else dump(world.state)) == before


@pytest.mark.parametrize("row", [row for row in ROWS if row.name in COMMANDS], ids=name_of)
def test_the_declared_capability_is_the_one_of_the_matrix(row: Row) -> None:
    declared = COMMANDS[row.name].spec.capability
    assert declared is None or row.needs == {declared}


GUARDED = [row for row in ROWS if row.needs]


@pytest.mark.parametrize(("row", "role"), list(product(GUARDED, USERS)), ids=name_of)
def test_a_room_can_take_a_capability_from_a_role(row: Row, role: Role) -> None:
    for capability in row.needs:
        world, actor, command = arrange(row.name, role.value)
        world.apply(CapabilityOverridden(role, capability, False, SERVER))
        check(attempt(world, actor, command), row.lacking)


@pytest.mark.parametrize(("row", "role"), list(product(GUARDED, USERS)), ids=name_of)
def test_a_room_can_give_a_capability_to_a_role_but_no_rank(row: Row, role: Role) -> None:
    world, actor, command = arrange(row.name, role.value)
    for capability in row.needs:
        world.apply(CapabilityOverridden(role, capability, True, SERVER))
    refusal = attempt(world, actor, command)
    if row.on_a_person and role is Role.AUDIENCE:
        assert refusal is not None
        assert refusal.code == ErrorCode.OUTRANKED
    else:
        check(refusal, "+")


@pytest.mark.parametrize("row", GUARDED, ids=name_of)
def test_the_owner_and_the_server_lose_nothing(row: Row) -> None:
    for role in ("owner", "server"):
        world, actor, command = arrange(row.name, role)
        world.room.overrides = {some: dict.fromkeys(Capability, False) for some in Role}
        if row.allowed[role] != ".":
            check(attempt(world, actor, command), row.allowed[role])


def test_a_host_without_manage_seats_cannot_set_up_seats_by_joining() -> None:
    world, actor, command = arrange("join_room:with_seats", "host")
    world.apply(CapabilityOverridden(Role.HOST, Capability.MANAGE_SEATS, False, SERVER))
    check(attempt(world, actor, command), "-")


@pytest.mark.parametrize("row", [row for row in ROWS if row.allowed["stranger"] == "x"], ids=name_of)
def test_whoever_must_be_in_the_room_must_be_so_with_any_role(row: Row) -> None:
    world, actor, command = arrange(row.name, "owner")
    world.present.pop(actor)
    check(attempt(world, actor, command), "x")


# Rank: who may act on whom, for everything that can be done to somebody.

ORDER = ("audience", "speaker", "admin", "host", "owner")


def seated(world: RoomWorld) -> None:
    world.seat("target", 3)
    world.apply(SeatMuteChanged(3, "target", True, False, SERVER))


def locked_in_part(world: RoomWorld) -> None:
    world.seat("target", 3)
    world.apply(SeatLockChanged(3, False, True, False, "target", SERVER))


def seated_beside(world: RoomWorld) -> None:
    world.seat("target", 3)
    world.seat("other", 1)


def staged(world: RoomWorld) -> None:
    world.stage("target")


def not_staged(world: RoomWorld) -> None:
    world.room.stage.pop("target", None)


ACTS: dict[str, tuple[Callable[[RoomWorld], None], Command]] = {
    "move": (seated, MoveSeat(room=LOUNGE, index=2, identity="target")),
    "swap": (seated_beside, SwapSeats(room=LOUNGE, first=1, second=3)),
    "clear": (seated, ClearSeat(room=LOUNGE, index=3)),
    "lock_out": (seated, LockSeat(room=LOUNGE, index=3)),
    "lock_audio": (seated, LockSeat(room=LOUNGE, index=3, take=False, audio=True)),
    "unlock_audio": (locked_in_part, UnlockSeat(room=LOUNGE, index=3, take=False, audio=True)),
    "mute_seat": (seated, MuteSeat(room=LOUNGE, index=3, audio=False, video=True)),
    "unmute_seat": (seated, UnmuteSeat(room=LOUNGE, index=3)),
    "mute": (seated, MuteParticipant(room=LOUNGE, identity="target", audio=None, video=True)),
    "remove_the_seat": (seated, SetupSeats(room=LOUNGE, seat_count=1)),
    "ask_to_open": (seated, MakeRequest(room=LOUNGE, kind=RequestKind.OPEN_MICROPHONE, to="target")),
    "take_the_role": (seated, SetRole(room=LOUNGE, identity="target", role=Role.AUDIENCE)),
    "remove": (seated, RemoveParticipant(room=LOUNGE, identity="target")),
    "ban": (seated, CreateBan(room=LOUNGE, identity="target")),
    "promote": (not_staged, PromoteToStage(room=LOUNGE, identity="target")),
    "demote": (staged, DemoteFromStage(room=LOUNGE, identity="target")),
    "mute_on_stage": (staged, MuteParticipant(room=LOUNGE, identity="target")),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(("mine", "theirs"), list(product(ORDER, ORDER)))
def test_nobody_acts_on_somebody_of_the_same_or_a_higher_rank(act: str, mine: str, theirs: str) -> None:
    arranged, command = ACTS[act]
    world = RoomWorld()
    on_stage = act in ("promote", "demote", "mute_on_stage")
    world.create(UTDStreamType.LIVE_STREAM if on_stage else UTDStreamType.AUDIO_ROOM)
    world.join("actor", "target", "other")
    # Everybody may do everything, as far as capabilities go: what is left is rank.
    world.room.overrides = {role: dict.fromkeys(Capability, True) for role in Role}
    world.room.roles = {
        identity: Role(role)
        for identity, role in (("actor", mine), ("target", theirs), ("other", "audience"))
        if role != "audience"
    }
    arranged(world)
    above = ORDER.index(mine) > ORDER.index(theirs)
    if act == "swap" and mine == "audience":
        above = False
    refusal = attempt(world, "actor", command)
    if above:
        assert refusal is None, refusal
    else:
        assert refusal is not None, "allowed"
        assert (refusal.code, refusal.status_code) == (ErrorCode.OUTRANKED, 403)


@pytest.mark.parametrize(("mine", "given"), list(product(ORDER, ORDER)))
def test_nobody_gives_a_role_of_the_own_rank_or_above_but_the_owner_gives_ownership_away(mine: str, given: str) -> None:
    world = RoomWorld()
    world.create()
    world.join("actor", "target")
    world.room.overrides = {role: dict.fromkeys(Capability, True) for role in Role}
    world.role("actor", Role(mine))
    command = SetRole(room=LOUNGE, identity="target", role=Role(given))
    refusal = attempt(world, "actor", command)
    # The target is audience, on whom somebody of the audience does not act in the first place.
    if ORDER.index(mine) > ORDER.index(given) or mine == given == "owner":
        assert refusal is None, refusal
    else:
        assert refusal is not None, "allowed"
        assert refusal.code == ErrorCode.OUTRANKED


@pytest.mark.parametrize(("mine", "changed"), list(product(ORDER, ORDER)))
def test_nobody_changes_what_the_own_rank_or_a_higher_one_may_do(mine: str, changed: str) -> None:
    world = RoomWorld()
    world.create()
    world.join("actor")
    world.room.overrides = {role: dict.fromkeys(Capability, True) for role in Role}
    world.role("actor", Role(mine))
    refusal = attempt(
        world,
        "actor",
        OverrideCapability(room=LOUNGE, role=Role(changed), capability=Capability.ASK, allowed=False),
    )
    if ORDER.index(mine) > ORDER.index(changed):
        assert refusal is None, refusal
    else:
        assert refusal is not None, "allowed"
        assert refusal.status_code == 403


@pytest.mark.parametrize("capability", Capability, ids=name_of)
def test_nobody_gives_or_takes_a_capability_that_it_lacks(capability: Capability) -> None:
    world = RoomWorld()
    world.create()
    world.join("actor")
    world.role("actor", Role.HOST)
    world.apply(CapabilityOverridden(Role.HOST, capability, False, SERVER))
    for allowed in (True, False, None):
        command = OverrideCapability(room=LOUNGE, role=Role.SPEAKER, capability=capability, allowed=allowed)
        check(attempt(world, "actor", command), "-")


# Calls have sides instead of roles.

PEOPLE = {"caller": "ann", "callee": "bob", "other": "eve", "server": SERVER}
CALL_COMMANDS: dict[str, Callable[[str], Command]] = {
    "start_call": lambda id: StartCall(type=UTDStreamType.AUDIO_CALL, callee="dan"),
    "get_call": lambda id: GetCall(id=id),
    "list_calls": lambda id: ListCalls(),
    "ring_call": lambda id: RingCall(id=id),
    "accept_call": lambda id: AcceptCall(id=id),
    "reject_call": lambda id: RejectCall(id=id),
    "busy_call": lambda id: BusyCall(id=id),
    "cancel_call": lambda id: CancelCall(id=id),
    "end_call": lambda id: EndCall(id=id),
}


@pytest.mark.parametrize(("row", "side"), list(product(call_rows(), PEOPLE)), ids=name_of)
def test_a_side_of_a_call_may_give_exactly_the_commands_that_the_matrix_says(row: Row, side: str) -> None:
    world = CallWorld()
    if row.name != "start_call":
        world.start("ann", "bob")
    command: Any = CALL_COMMANDS[row.name]("call-1")
    before = {id: dump(call) for id, call in world.calls.items()}
    try:
        if command.spec.aggregate is Aggregate.PROJECT:
            decide_project(Project(), command, Context(Actor(PEOPLE[side]), world.now))
        else:
            world.give(PEOPLE[side], command)
    except UTDStreamException as refusal:
        check(refusal, row.allowed[side])
        assert {id: dump(call) for id, call in world.calls.items()} == before
    else:
        assert row.allowed[side] == "+"
