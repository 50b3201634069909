"""Every command is allowed or refused to every role exactly as the matrix in `authorization.py` says.

The matrix is written by hand and knows nothing of the declarations of the commands, so either can be found wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from utd_core.errors import ErrorCode, UTDStreamException
from utd_core.model.bans import Ban, BanMade, BanScope
from utd_core.model.codec import dump
from utd_core.model.command import Actor, Aggregate, Command, Context
from utd_core.model.commands import (
    COMMANDS,
    AcceptCall,
    BusyCall,
    CancelCall,
    EndCall,
    GetCall,
    ListCalls,
    RejectCall,
    RingCall,
    StartCall,
)
from utd_core.model.identifiers import SERVER
from utd_core.model.project import Project
from utd_core.model.roles import Capability, Role
from utd_core.model.room import CapabilityOverridden
from utd_core.model.rules import decide_project
from utd_core.model.stream_type import UTDStreamType

from .authorization import ROLES, Row, attempt, call_rows, check, room_rows
from .scenes import SCENES, arrange
from .world import CallWorld

ROWS = room_rows()
USERS = [role for role in Role if role is not Role.OWNER]


def name_of(value: object) -> str | None:
    return value.name if isinstance(value, Row) else getattr(value, "value", None)


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


@pytest.mark.parametrize(("row", "scope"), list(product(ROWS, BanScope)), ids=name_of)
def test_a_ban_takes_the_way_in_and_gives_nothing(row: Row, scope: BanScope) -> None:
    world, actor, command = arrange(row.name, "stranger")
    if scope is BanScope.PROJECT:
        world.ban_everywhere(actor)
    elif world.state is not None:
        world.apply(BanMade(Ban("ban-1", actor, scope, "", SERVER, world.now)))
    refusal = attempt(world, actor, command)
    comes_in = row.command == "join_room" or (row.command == "create_room" and scope is BanScope.PROJECT)
    check(refusal, "-" if comes_in else row.allowed["stranger"])
    assert not comes_in or (refusal is not None and refusal.code == ErrorCode.BANNED)


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
