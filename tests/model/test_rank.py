"""Rank: who may act on whom, for everything that can be done to somebody, whatever the capabilities."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from utd_core.errors import ErrorCode
from utd_core.model.command import Command
from utd_core.model.commands import (
    ClearSeat,
    CreateBan,
    DemoteFromStage,
    LockSeat,
    MakeRequest,
    MoveSeat,
    MuteParticipant,
    MuteSeat,
    OverrideCapability,
    PromoteToStage,
    RemoveParticipant,
    SetRole,
    SetupSeats,
    SwapSeats,
    UnlockSeat,
    UnmuteSeat,
)
from utd_core.model.identifiers import SERVER
from utd_core.model.request import RequestKind
from utd_core.model.roles import Capability, Role
from utd_core.model.room import CapabilityOverridden
from utd_core.model.seats import SeatLockChanged, SeatMuteChanged
from utd_core.model.stream_type import UTDStreamType

from .authorization import attempt, check
from .world import LOUNGE, RoomWorld

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


@pytest.mark.parametrize("capability", Capability, ids=str)
def test_nobody_gives_or_takes_a_capability_that_it_lacks(capability: Capability) -> None:
    world = RoomWorld()
    world.create()
    world.join("actor")
    world.role("actor", Role.HOST)
    world.apply(CapabilityOverridden(Role.HOST, capability, False, SERVER))
    for allowed in (True, False, None):
        command = OverrideCapability(room=LOUNGE, role=Role.SPEAKER, capability=capability, allowed=allowed)
        check(attempt(world, "actor", command), "-")
