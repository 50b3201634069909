"""Roles, rank and capabilities. Every command for every role stands in `test_authorization.py`."""

from __future__ import annotations

from itertools import pairwise

import pytest

from utd_core.errors import ErrorCode, Forbidden
from utd_core.model.commands import (
    ClearSeat,
    CreateBan,
    LockSeat,
    MuteParticipant,
    MuteSeat,
    OverrideCapability,
    RemoveParticipant,
    SetRole,
    TakeSeat,
    UnmuteSeat,
)
from utd_core.model.grants import grant_of
from utd_core.model.identifiers import SERVER
from utd_core.model.roles import DEFAULT_CAPABILITIES, Capability, Role, capabilities_of

from ..rulebook import rule
from ..world import LOUNGE, a_room, a_stream, kinds


@rule("Rank: owner > host > admin > speaker > audience.")
def test_the_order_of_ranks() -> None:
    order = [Role.OWNER, Role.HOST, Role.ADMIN, Role.SPEAKER, Role.AUDIENCE]
    assert sorted(Role, key=lambda role: role.rank, reverse=True) == order
    assert len({role.rank for role in Role}) == len(Role)


@rule(
    "Nobody acts on somebody of the same or a higher rank, so an admin never acts on a host or the owner.",
)
@pytest.mark.parametrize("above", [Role.OWNER, Role.HOST, Role.ADMIN])
def test_an_admin_never_acts_on_the_owner_a_host_or_another_admin(above: Role) -> None:
    world = a_room("admin", "target")
    world.role("admin", Role.ADMIN)
    world.role("target", above)
    world.seat("target", 0)
    for command in (
        RemoveParticipant(room=LOUNGE, identity="target"),
        CreateBan(room=LOUNGE, identity="target"),
        MuteParticipant(room=LOUNGE, identity="target"),
        MuteSeat(room=LOUNGE, index=0),
        ClearSeat(room=LOUNGE, index=0),
        LockSeat(room=LOUNGE, index=0),
    ):
        with world.refused(ErrorCode.OUTRANKED, Forbidden):
            world.give("admin", command)


@rule("Acting on oneself is not a question of rank.")
def test_an_admin_may_mute_itself_and_clear_its_own_seat() -> None:
    world = a_room("admin")
    world.role("admin", Role.ADMIN)
    world.seat("admin", 0)
    world.give("admin", MuteSeat(room=LOUNGE, index=0))
    world.give("admin", UnmuteSeat(room=LOUNGE, index=0))
    world.give("admin", ClearSeat(room=LOUNGE, index=0))
    assert world.seat_of("admin") is None


@rule("A capability is a named right to give a kind of command.")
def test_without_the_capability_the_refusal_names_it() -> None:
    world = a_room("guest")
    with pytest.raises(Forbidden) as refusal:
        world.give("guest", ClearSeat(room=LOUNGE, index=0))
    assert refusal.value.details == {"capability": "manage_seats", "role": "audience"}


@rule("Each role has a default set; a room may override single capabilities of a role, in both directions.")
def test_a_room_overrides_single_capabilities_in_both_directions_and_goes_back() -> None:
    world = a_room("guest")
    taken = OverrideCapability(room=LOUNGE, role=Role.AUDIENCE, capability=Capability.TAKE_SEAT, allowed=False)
    world.give("host", taken)
    with world.refused(ErrorCode.FORBIDDEN, Forbidden):
        world.give("guest", TakeSeat(room=LOUNGE))
    given = OverrideCapability(room=LOUNGE, role=Role.AUDIENCE, capability=Capability.MANAGE_SEATS, allowed=True)
    world.give("host", given)
    world.give("guest", LockSeat(room=LOUNGE, index=3))
    for capability in (Capability.TAKE_SEAT, Capability.MANAGE_SEATS):
        back = OverrideCapability(room=LOUNGE, role=Role.AUDIENCE, capability=capability, allowed=None)
        assert kinds(world.give("host", back)) == ["capability_overridden"]
    assert world.room.overrides == {}
    assert capabilities_of(Role.AUDIENCE, world.room.overrides) == DEFAULT_CAPABILITIES[Role.AUDIENCE]


@rule("Each role has a default set; a room may override single capabilities of a role, in both directions.")
def test_the_default_sets_grow_with_the_rank() -> None:
    by_rank = [DEFAULT_CAPABILITIES[role] for role in sorted(Role, key=lambda role: role.rank)]
    assert all(lower <= higher for lower, higher in pairwise(by_rank))
    assert by_rank[-1] == set(Capability)


@rule("The owner's set cannot be reduced, or nobody could undo a mistake.")
def test_the_owner_keeps_every_capability() -> None:
    world = a_room()
    for by in ("host", SERVER):
        with world.refused(ErrorCode.FORBIDDEN, Forbidden):
            command = OverrideCapability(room=LOUNGE, role=Role.OWNER, capability=Capability.BAN, allowed=False)
            world.give(by, command)
    assert capabilities_of(Role.OWNER, {Role.OWNER: {Capability.BAN: False}}) == set(Capability)


@rule(
    "Capabilities never let anybody publish: that is what a seat, a stage place or a call side does (`grants.py`).",
)
def test_a_host_without_a_place_does_not_publish() -> None:
    world = a_room("speaker")
    world.role("speaker", Role.SPEAKER)
    assert not world.grant("host").can_publish
    assert not world.grant("speaker").can_publish
    world.give("speaker", TakeSeat(room=LOUNGE))
    assert world.grant("speaker").can_publish
    stream = a_stream("viewer")
    stream.room.overrides = {Role.AUDIENCE: dict.fromkeys(Capability, True)}
    assert not grant_of(stream.room, "viewer").can_publish


def test_the_owner_gives_ownership_away_and_is_a_host_afterwards() -> None:
    world = a_room("heir")
    world.give("host", SetRole(room=LOUNGE, identity="heir", role=Role.OWNER))
    assert world.room.roles == {"heir": Role.OWNER, "host": Role.HOST}
    with world.refused(ErrorCode.OUTRANKED, Forbidden):
        world.give("host", SetRole(room=LOUNGE, identity="heir", role=Role.AUDIENCE))


def test_nobody_changes_the_own_role() -> None:
    world = a_room()
    with world.refused(ErrorCode.FORBIDDEN, Forbidden):
        world.give("host", SetRole(room=LOUNGE, identity="host", role=Role.AUDIENCE))


def test_a_role_that_is_held_already_changes_nothing() -> None:
    world = a_room("guest")
    world.role("guest", Role.SPEAKER)
    assert world.give("host", SetRole(room=LOUNGE, identity="guest", role=Role.SPEAKER)) == []


def test_blocking_needs_the_capability_to_ban() -> None:
    world = a_room("admin", "guest")
    world.role("admin", Role.ADMIN)
    without = OverrideCapability(room=LOUNGE, role=Role.ADMIN, capability=Capability.BAN, allowed=False)
    world.give("host", without)
    with world.refused(ErrorCode.FORBIDDEN, Forbidden):
        world.give("admin", RemoveParticipant(room=LOUNGE, identity="guest", block=True))
    world.give("admin", RemoveParticipant(room=LOUNGE, identity="guest"))
    assert "guest" not in world.present
