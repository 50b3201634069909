"""What a project's plan holds: the commands that it refuses, and what clients are told of it."""

from __future__ import annotations

import pytest

from utd_core.model.commands import AcceptCall, CreateRoom, CreateSession, EndCall, StartCall
from utd_core.model.stream_type import UTDStreamType
from utd_core.model.wire import error_of
from utd_core.server import ProjectFlags

from .world import World

CALL = StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob")
WITHOUT = ProjectFlags(signaling_enabled=False)


@pytest.mark.parity("G10")
async def test_without_signalling_nobody_is_called(world: World) -> None:
    ann = await world.user("ann")
    world.change(flags=WITHOUT)
    refused = await ann.give(CALL)
    assert (refused.status_code, refused.json()["code"]) == (403, "feature_disabled")
    assert refused.json()["details"] == {"feature": "signaling"}
    error = error_of(403, **{name: refused.json()[name] for name in ("code", "message", "details")})
    assert (error.is_feature_disabled, error.is_forbidden) == (True, True), "as a client has it"
    room = CreateRoom(room="lobby", type=UTDStreamType.AUDIO_ROOM, owner="ann")
    assert (await world.server().give(room)).status_code == 201, "the rest goes on"


async def test_a_call_that_goes_on_is_answered_and_ended(world: World) -> None:
    ann, bob = await world.user("ann"), await world.user("bob")
    id = (await ann.give(CALL)).json()["call_id"]
    world.change(flags=WITHOUT)
    assert [(await bob.give(command)).status_code for command in (AcceptCall(id=id), EndCall(id=id))] == [200, 200]


@pytest.mark.parametrize("enabled", [None, True])
async def test_unknown_is_not_no(world: World, enabled: bool | None) -> None:
    world.change(flags=ProjectFlags(signaling_enabled=enabled, messaging_enabled=enabled))
    assert (await (await world.user("ann")).give(CALL)).status_code == 201


@pytest.mark.parity("G9")
@pytest.mark.parametrize("flags", [ProjectFlags(), ProjectFlags(signaling_enabled=True, messaging_enabled=False)])
async def test_each_session_says_what_the_plan_holds(world: World, flags: ProjectFlags) -> None:
    world.change(flags=flags)
    session = (await world.server().give(CreateSession(identity="ann"))).json()
    told = (session["signaling_enabled"], session["messaging_enabled"])
    assert told == (flags.signaling_enabled, flags.messaging_enabled)
