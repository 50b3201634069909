"""Engines of several projects on one media backend: rooms of one name are different rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from utd_core.engine import Engine
from utd_core.engine.media.media_scope import ProjectControl, prefix_of
from utd_core.errors import InvalidInput
from utd_core.media.backend import JoinTicket
from utd_core.media.faults import Fault
from utd_core.model.command import Actor
from utd_core.model.commands import EndRoom, GetRoom, JoinRoom, RemoveParticipant, TakeSeat
from utd_core.model.identifiers import MAX_APP_ID, MAX_MEDIA_NAME, MAX_NAME, check_media_name
from utd_core.model.stream_type import UTDStreamType

from .world import MICROPHONE, ROOM, World

PROJECTS = ("embedded", "shop", "shop2")


@pytest.fixture
async def engines(world: World) -> AsyncIterator[dict[str, Engine]]:
    """An engine for each project, on one media server; that of the world is `embedded`."""
    engines = {"embedded": world.engine}
    for app_id in PROJECTS[1:]:
        engines[app_id] = Engine(
            "mock", clock=world.clock, media_settings={"server": world.server}, app_id=app_id, settings=world.settings
        )
        await engines[app_id].__aenter__()
    yield engines
    for engine in engines.values():
        await engine.aclose()


async def test_each_has_its_own_people(world: World, engines: dict[str, Engine]) -> None:
    for number, (app_id, engine) in enumerate(engines.items()):
        for guest in range(number + 1):
            join = JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM, as_host=guest == 0)
            ticket = await engine.execute(join, actor=Actor(f"{app_id}-{guest}"))
            assert ticket.room_name == ROOM
            await world.media.connect(JoinTicket(ticket.url, ticket.token, ticket.expires_at))
    await world.advance(60)
    assert set(world.server.rooms) == {ROOM, f"$shop/{ROOM}", f"$shop2/{ROOM}"}
    for number, engine in enumerate(engines.values()):
        assert (await engine.execute(GetRoom(room=ROOM))).participants == number + 1


async def test_permissions_removals_and_ends_reach_nobody_else(world: World, engines: dict[str, Engine]) -> None:
    ann = Actor("ann")
    for engine in engines.values():
        ticket = await engine.execute(JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM, as_host=True), actor=ann)
        await world.media.connect(JoinTicket(ticket.url, ticket.token, ticket.expires_at))
    await world.settle()
    await engines["shop"].execute(TakeSeat(room=ROOM), actor=ann)
    await world.settle()
    speaks = {name for name, room in world.server.rooms.items() if MICROPHONE in room.participants["ann"].grant.publish}
    assert speaks == {f"$shop/{ROOM}"}
    await engines["shop2"].execute(RemoveParticipant(room=ROOM, identity="ann"))
    await engines["embedded"].execute(EndRoom(room=ROOM))
    await world.advance(60)
    assert {name: set(room.participants) for name, room in world.server.rooms.items()} == {
        f"$shop/{ROOM}": {"ann"},
        f"$shop2/{ROOM}": set(),
    }
    assert (await engines["shop"].execute(GetRoom(room=ROOM))).participants == 1


async def test_a_room_that_the_backend_lost_is_lost_for_its_project(world: World, engines: dict[str, Engine]) -> None:
    join = JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM, as_host=True)
    for engine in engines.values():
        ticket = await engine.execute(join, actor=Actor("ann"))
        await world.media.connect(JoinTicket(ticket.url, ticket.token, ticket.expires_at))
    await world.settle()
    await world.media.inject(Fault.SERVER_LEAVE, f"$shop/{ROOM}", "ann")
    await world.advance(60)
    assert [(await engine.execute(GetRoom(room=ROOM))).participants for engine in engines.values()] == [1, 0, 1]


def test_the_longest_names_fit_a_media_backend() -> None:
    longest = prefix_of("a" * MAX_APP_ID) + "r" * MAX_NAME
    assert len(longest) == MAX_MEDIA_NAME
    assert check_media_name(longest, "room name", "invalid_name") == longest  # type: ignore[arg-type]  # not raised


def test_no_room_of_a_project_is_taken_for_another_s(world: World) -> None:
    control = world.media.control
    rooms = [ROOM, "call:1", "shop/room", "$shop/room", "$shop/call:1", "$shop/a/b", "$shop2/room", "$other", "$"]
    own = {app_id: [ProjectControl(control, app_id).own(room) for room in rooms] for app_id in PROJECTS}
    assert own["embedded"] == [ROOM, "call:1", "shop/room", *[None] * 6]
    assert own["shop"] == [*[None] * 3, "room", "call:1", "a/b", *[None] * 3]
    assert own["shop2"] == [*[None] * 6, "room", None, None]


@pytest.mark.parametrize("app_id", ["", "a/b", "$a", "a b", "x" * 64, None])
def test_an_app_id_that_would_break_that_is_refused(app_id: str) -> None:
    with pytest.raises(InvalidInput, match="app id"):
        Engine("mock", app_id=app_id)
