"""Projects that nobody needs: their engines are closed, and opened again for whoever comes, at whatever moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.postgres import PostgresServer
from utd_core.bus import LocalMessages
from utd_core.model.call import UTDCallStatus
from utd_core.model.command import Actor
from utd_core.model.commands import CreateRoom, GetCall, GetRoom, ListRooms, StartCall
from utd_core.model.stream_type import UTDStreamType
from utd_core.server.cluster import Relay
from utd_core.server.hosting import INTERVAL, Hosting
from utd_core.store import open_store
from utd_core.testing.wait import eventually

from .test_hosting import World, found

AUDIO_ROOM = UTDStreamType.AUDIO_ROOM
IDLE = 60.0
STEPS = 40
"""More than closing a project takes on a store in memory."""


@pytest.fixture(params=["memory", "postgresql"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    target = None
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        target = server.url()
    async with open_store(target) as store:
        world = World(store)
        yield world
        await world.media.aclose()


async def rested(world: World, hosting: Hosting, app_id: str) -> None:
    """Let time go by until the project rests, and its engine is closed."""
    running = hosting.running[app_id]
    for _ in range(10):
        await world.clock.advance(IDLE / 2)
        await world.clock.settle()
        if app_id not in hosting.running:
            await eventually(lambda: not running.engine.is_open)
            return
    raise AssertionError(f"project {app_id} does not rest")


async def test_a_project_that_nobody_needs_gives_its_lease_back_and_is_opened_for_the_next_one(world: World) -> None:
    await world.create("shop")
    async with world.hosting(idle=IDLE) as hosting:
        engine = (await found(hosting, "shop")).engine
        await engine.execute(CreateRoom(room="lobby", type=AUDIO_ROOM, owner="ann"))
        before = hosting.running["shop"].engine
        await world.clock.advance(IDLE - 2 * INTERVAL)
        await world.clock.settle()
        assert "shop" in hosting.running
        await rested(world, hosting, "shop")
        holders = world.store.leases(world.clock)
        for _ in range(100):
            if await holders.holder_of("shop") is None:
                break
            await asyncio.sleep(0.01)
        assert await holders.holder_of("shop") is None
        assert (await engine.execute(GetRoom(room="lobby"))).room.name == "lobby"
        assert hosting.running["shop"].engine is not before


async def test_who_is_in_a_room_or_follows_something_keeps_a_project_awake(world: World) -> None:
    for app_id in ("club", "shop", "forum"):
        await world.create(app_id)
    async with world.hosting(idle=IDLE) as hosting:
        await world.talk(hosting, "club")
        shop = (await found(hosting, "shop")).engine
        admission = await shop.admit("private-user.ann", lambda error: None, actor=Actor("ann"))
        forum = (await found(hosting, "forum")).engine
        subscription = await forum.subscribe("private-user.ann", actor=Actor("ann"))
        for _ in range(4):
            await world.clock.advance(IDLE)
            await world.clock.settle()
        assert sorted(hosting.running) == ["club", "forum", "shop"]
        shop.dismiss(admission)
        forum.unsubscribe(subscription)
        await rested(world, hosting, "shop")
        await eventually(lambda: list(hosting.running) == ["club"])


async def test_the_deadlines_of_a_project_that_rests_fire(world: World) -> None:
    await world.create("shop")
    async with world.hosting(idle=1.0) as hosting:
        engine = (await found(hosting, "shop")).engine
        start = StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob", ring_timeout=30.0)
        call = await engine.execute(start, actor=Actor("ann"))
        await world.clock.advance(120)
        for _ in range(100):
            await world.clock.advance(INTERVAL)
            await world.clock.settle()
            if "shop" not in hosting.running:
                break
        over = await engine.execute(GetCall(id=call.call_id), actor=Actor("ann"))
        assert over.status is UTDCallStatus.MISSED


@pytest.mark.parametrize("world", ["memory"], indirect=True)
async def test_a_request_that_comes_while_a_project_is_being_closed_waits_and_is_answered_by_the_next_engine(
    world: World,
) -> None:
    await world.create("shop")
    async with world.hosting(idle=IDLE) as hosting:
        engine = (await found(hosting, "shop")).engine
        relay = engine
        assert isinstance(relay, Relay)
        for step in range(STEPS):
            closed = hosting.running["shop"].engine
            while hosting.running:
                relay.rest(0.0)
                await asyncio.sleep(0)
            for _ in range(step):
                await asyncio.sleep(0)
            # Without a key: nobody may be told that it is not known whether it was done.
            both = [engine.execute(CreateRoom(room=f"{step}-{n}", type=AUDIO_ROOM, owner="ann")) for n in (1, 2)]
            await asyncio.gather(*both)
            assert hosting.running["shop"].engine is not closed
        assert len((await engine.execute(ListRooms(limit=100))).data) == 2 * STEPS


async def test_a_node_that_asks_for_a_project_just_as_another_one_lets_it_rest_becomes_its_holder(
    world: World,
) -> None:
    await world.create("shop")
    async with AsyncExitStack() as stack:
        bus = LocalMessages()
        await stack.enter_async_context(bus)
        one = await stack.enter_async_context(world.hosting(idle=IDLE, bus=bus))
        other = await stack.enter_async_context(world.hosting(idle=IDLE, bus=bus))
        await (await found(one, "shop")).engine.execute(CreateRoom(room="lobby", type=AUDIO_ROOM, owner="ann"))
        await rested(world, one, "shop")
        asking = asyncio.create_task((await found(other, "shop")).engine.execute(GetRoom(room="lobby")))
        while not asking.done():
            await world.clock.advance(0.1)
            await asyncio.sleep(0.001)
        assert (await asking).room.name == "lobby"
        assert list(other.running) == ["shop"]
        assert not one.running
