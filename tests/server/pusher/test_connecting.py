"""Who gets a connection, what everybody is told first, and how the others are turned away."""

from __future__ import annotations

import json
import re

import pytest

from utd_core.engine import Engine
from utd_core.errors import StoreFailed
from utd_core.server.projects import Hosted, ProjectLimits
from utd_core.server.pusher import CloseCode
from utd_core.testing.wait import within

from .world import World


class TestGreeting:
    async def test_a_client_is_told_its_id_and_the_activity_timeout_in_whole_seconds(self) -> None:
        async with World(activity_timeout=45.5) as world:
            client = await world.connect()
            assert re.fullmatch(r"\d+\.\d+", client.socket_id)
            assert json.loads(client.greeting["data"]) == {"socket_id": client.socket_id, "activity_timeout": 45}

    async def test_no_two_connections_have_one_id(self, world: World) -> None:
        ids = {(await world.connect()).socket_id for _ in range(50)}
        assert len(ids) == 50

    @pytest.mark.parametrize("path", ["/app/key", "/app/key/", "/app/4711"])
    async def test_a_project_is_found_by_key_and_by_app_id(self, world: World, path: str) -> None:
        client = await world.connect(path=path)
        assert client.socket_id

    @pytest.mark.parametrize("version", [5, 6, 7])
    async def test_older_versions_that_clients_ask_for_are_fine(self, world: World, version: int) -> None:
        client = await world.connect(query=f"protocol={version}")
        assert client.socket_id


class TestRefusal:
    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"path": "/app/nobody"}, CloseCode.NO_SUCH_APP),
            ({"path": "/app/"}, CloseCode.PATH_NOT_FOUND),
            ({"path": "/app/key/more"}, CloseCode.PATH_NOT_FOUND),
            ({"query": ""}, CloseCode.NO_VERSION),
            ({"query": "protocol="}, CloseCode.NO_VERSION),
            ({"query": "protocol=seven"}, CloseCode.INVALID_VERSION),
            ({"query": "protocol=-7"}, CloseCode.INVALID_VERSION),
            ({"query": "protocol=٧"}, CloseCode.INVALID_VERSION),
            ({"query": "protocol=" + "9" * 100}, CloseCode.INVALID_VERSION),
            ({"query": "protocol=4"}, CloseCode.UNSUPPORTED_VERSION),
            ({"query": "protocol=8"}, CloseCode.UNSUPPORTED_VERSION),
        ],
    )
    async def test_says_why(self, world: World, options: dict[str, str], code: CloseCode) -> None:
        client = await world.connect(**options)
        assert client.greeting["event"] == "pusher:error"
        assert client.greeting["data"]["code"] == code
        assert await client.closed() == code
        assert client.reason == client.greeting["data"]["message"]
        assert world.mount.statistics().refused == {code: 1}

    async def test_of_a_suspended_project(self, world: World) -> None:
        world.place.change(suspended=True)
        assert await (await world.connect()).closed() == CloseCode.SUSPENDED

    async def test_beyond_what_the_plan_holds(self, world: World) -> None:
        world.place.change(limits=ProjectLimits(max_connections=2))
        first, _ = await world.connect(), await world.connect()
        assert await (await world.connect()).closed() == CloseCode.OVER_QUOTA
        await first.leave()
        assert (await world.connect()).socket_id

    async def test_beyond_what_an_address_may_have(self) -> None:
        async with World(connections_per_address=2) as world:
            first, _ = await world.connect(), await world.connect()
            assert await (await world.connect()).closed() == CloseCode.OVER_CAPACITY
            assert (await world.connect(address="192.0.2.2")).socket_id
            await first.leave()
            assert (await world.connect()).socket_id

    async def test_beyond_what_one_may_have_who_takes_another_ipv6_address_each_time(self) -> None:
        async with World(connections_per_address=2) as world:
            held = [await world.connect(address=f"2600:1f18:1:2::{number}") for number in (1, 2)]
            assert all(client.socket_id for client in held)
            assert await (await world.connect(address="2600:1f18:1:2:ffff::3")).closed() == CloseCode.OVER_CAPACITY
            assert (await world.connect(address="2600:1f18:1:3::1")).socket_id

    async def test_of_pages_whose_origin_is_not_allowed(self) -> None:
        async with World(origins={"https://here.example"}) as world:
            assert (await world.connect(origin="https://here.example")).socket_id
            assert (await world.connect()).socket_id, "what is no browser sends no origin"
            others = ("https://there.example", "https://here.example.there.example", "https://nothere.example")
            for origin in (*others, "http://here.example", "https://here.example:444", "null"):
                assert await (await world.connect(origin=origin)).closed() == CloseCode.UNAUTHORIZED

    async def test_while_the_projects_cannot_be_looked_up(self, world: World) -> None:
        world.place.error = StoreFailed("the disk is away")
        client = await world.connect()
        assert await client.closed() == CloseCode.OVER_CAPACITY
        assert "disk" not in client.reason

    async def test_once_the_server_is_ending(self, world: World) -> None:
        await world.connect()
        await world.mount.drain()
        assert await (await world.connect()).closed() == CloseCode.RECONNECT


class TestEnd:
    async def test_of_the_server_sends_everybody_to_another_node(self, world: World) -> None:
        clients = [await world.connect() for _ in range(5)]
        await world.mount.drain()
        assert [await client.closed() for client in clients] == [CloseCode.RECONNECT] * 5

    async def test_of_the_server_does_not_wait_for_those_who_do_not_read(self, world: World) -> None:
        client = await world.connect()
        client.stop_reading()
        await within(world.mount.drain(), timeout=world.settings.close_timeout + 1, clock=world.clock)
        await world.clock.settle()
        assert world.hub.sockets == {}

    async def test_of_a_project_ends_its_connections(self, world: World) -> None:
        client = await world.connect()
        world.place.hosted = None
        await world.clock.advance(world.settings.inspect_interval + 2)
        assert await client.closed() == CloseCode.NO_SUCH_APP

    async def test_by_suspension_ends_its_connections(self, world: World) -> None:
        client = await world.connect()
        world.place.change(suspended=True)
        await world.clock.advance(world.settings.inspect_interval + 2)
        assert await client.closed() == CloseCode.SUSPENDED

    async def test_leaves_nothing_behind(self, world: World) -> None:
        client = await world.connect()
        client.subscribe("news")
        await client.hear("pusher_internal:subscription_succeeded")
        await client.leave()
        statistics = world.hub.statistics()
        assert (statistics.connections, statistics.channels, statistics.subscriptions) == (0, 0, 0)


async def test_a_closed_store_at_the_look_ends_nobody(world: World) -> None:
    client = await world.connect()
    world.place.error = StoreFailed("the disk is away")
    await world.clock.advance(world.settings.inspect_interval + 2)
    await client.hear_nothing()


async def test_messages_before_the_greeting_is_read_are_not_lost(world: World) -> None:
    client = await world.connect()
    client.say_text(json.dumps({"event": "pusher:ping"}))
    assert await client.hear("pusher:pong")


async def test_a_server_that_ends_before_anybody_came_sends_them_on(world: World) -> None:
    await world.mount.drain()
    assert await (await world.connect()).closed() == CloseCode.RECONNECT


async def test_an_engine_that_has_ended_sends_on_those_who_sign_in(world: World) -> None:
    client, token = await world.connect(), await world.token("ann")
    await world.engine.aclose()
    client.say("pusher:signin", {"token": token})
    assert await client.closed() == CloseCode.RECONNECT


async def test_a_project_on_another_engine_leaves_the_old_one(world: World) -> None:
    """A project that was closed and opened again."""
    before = await world.connect()
    async with Engine("mock", clock=world.clock, app_id=world.project.app_id) as engine:
        world.place.hosted = Hosted(world.project, engine)
        after = await world.connect()
        assert await before.closed() == CloseCode.RECONNECT
        await after.hear_nothing()
        await world.app.aclose()
