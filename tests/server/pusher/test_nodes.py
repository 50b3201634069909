"""Application channels over several nodes: who is there, what is said, and what becomes of it when a node is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Self

import httpx
import pytest

from tests.redis import RedisServer, _private_redis, redis_server
from utd_core.bus import LocalMessages, MessageBus
from utd_core.bus.redis import RedisMessages
from utd_core.server.projects import ProjectLimits
from utd_core.server.pusher import CloseCode
from utd_core.server.pusher.app_channel import AppChannel
from utd_core.server.pusher.peers import GREETING, SILENCE
from utd_core.server.pusher.roster import RETURN_TIME

from .asgi_client import AsgiClient
from .test_trigger import Server
from .world import World

__all__ = ["_private_redis", "redis_server"]

ROOM = "presence-lobby"
ADDED, REMOVED = "pusher_internal:member_added", "pusher_internal:member_removed"


class Nodes:
    """Nodes of one server, each with an engine of its own that nobody asks anything."""

    def __init__(self, *buses: MessageBus) -> None:
        self.buses = buses
        self.worlds: list[World] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for bus in self.buses:
            await self._stack.enter_async_context(bus)
            self.worlds.append(await self._stack.enter_async_context(World(bus=bus)))
        return self

    async def __aexit__(self, *exit: object) -> None:
        await self._stack.aclose()

    def __getitem__(self, number: int) -> World:
        return self.worlds[number]

    async def pass_time(self, seconds: float) -> None:
        """On all of them, in small steps, so that they hear each other."""
        while seconds > 0:
            step = min(seconds, 1.0)
            for world in self.worlds:
                await world.clock.advance(step)
            seconds -= step

    async def server(self, number: int) -> Server:
        http = httpx.AsyncClient(transport=httpx.ASGITransport(self[number].app), base_url="http://test")
        return Server(self[number], await self._stack.enter_async_context(http))


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    first = LocalMessages()
    async with Nodes(first, LocalMessages(beside=first), LocalMessages(beside=first)) as nodes:
        yield nodes


async def join(world: World, user_id: str, **user_info: Any) -> tuple[AsgiClient, list[str]]:
    """A client in the presence channel, and whom it was told to be there."""
    client = await world.connect()
    client.subscribe(ROOM, **world.auth(client, ROOM, {"user_id": user_id, "user_info": user_info}))
    presence = (await client.hear_data("pusher_internal:subscription_succeeded"))["presence"]
    assert presence["count"] == len(presence["ids"]) == len(presence["hash"])
    return client, sorted(presence["ids"])


async def told(client: AsgiClient, event: str) -> str:
    data = await client.hear_data(event)
    return str(data["user_id"])


async def test_whoever_comes_is_told_who_is_on_other_nodes_and_they_are_told(nodes: Nodes) -> None:
    ann, there = await join(nodes[0], "ann", name="Ann")
    assert there == ["ann"]
    bob, there = await join(nodes[1], "bob")
    assert there == ["ann", "bob"]
    assert await told(ann, ADDED) == "bob"
    cid, there = await join(nodes[2], "cid", color="red")
    assert there == ["ann", "bob", "cid"]
    assert await ann.hear_data(ADDED) == await bob.hear_data(ADDED) == {"user_id": "cid", "user_info": {"color": "red"}}
    await bob.leave()
    assert await told(ann, REMOVED) == await told(cid, REMOVED) == "bob"
    await ann.hear_nothing()


class TestConnectionsOfAPlan:
    async def test_count_on_all_nodes_together(self, nodes: Nodes) -> None:
        for world in nodes.worlds:
            world.place.change(limits=ProjectLimits(max_connections=4))
        here = [await nodes[0].connect() for _ in range(2)]
        await nodes.pass_time(1)
        there = [await nodes[1].connect() for _ in range(2)]
        await nodes.pass_time(2)
        for world in nodes.worlds[:2]:
            assert await (await world.connect()).closed() == CloseCode.OVER_QUOTA
        await here[0].leave()
        await nodes.pass_time(1)
        assert (await nodes[1].connect()).socket_id
        for client in there:
            await client.leave()
        await here[1].leave()
        await nodes.pass_time(1)
        assert (await nodes[0].connect()).socket_id, "none is left to be counted there"

    async def test_are_known_to_a_node_that_comes_later_after_a_moment(self, nodes: Nodes) -> None:
        for world in nodes.worlds:
            world.place.change(limits=ProjectLimits(max_connections=2))
        kept = [await nodes[0].connect() for _ in range(2)]
        await nodes.pass_time(2)
        assert (await nodes[2].connect()).socket_id, "it has heard of nobody yet"
        await nodes.pass_time(2)
        assert await (await nodes[2].connect()).closed() == CloseCode.OVER_QUOTA
        assert all(client.code is None for client in kept)

    async def test_of_a_node_that_dies_count_no_longer_than_it_may_be_silent(self, nodes: Nodes) -> None:
        for world in nodes.worlds[:2]:
            world.place.change(limits=ProjectLimits(max_connections=2))
        assert (await nodes[0].connect()).socket_id
        assert (await nodes[1].connect()).socket_id
        await nodes.pass_time(1)
        await nodes[1].hub._scope.aclose()
        await nodes.buses[1].aclose()
        await nodes.pass_time(1)
        assert await (await nodes[0].connect()).closed() == CloseCode.OVER_QUOTA
        await nodes.pass_time(SILENCE + 1)
        assert (await nodes[0].connect()).socket_id


async def test_a_user_on_two_nodes_is_one_member_until_gone_from_both(nodes: Nodes) -> None:
    ann, _ = await join(nodes[0], "ann")
    here, _ = await join(nodes[1], "bob", from_="one")
    assert await told(ann, ADDED) == "bob"
    there, ids = await join(nodes[2], "bob", from_="two")
    assert ids == ["ann", "bob"]
    await nodes.pass_time(1)
    await here.leave()
    await nodes.pass_time(1)
    await ann.hear_nothing()
    await there.leave()
    assert await told(ann, REMOVED) == "bob"


async def test_members_that_come_and_go_at_once_on_all_nodes_are_the_same_everywhere(nodes: Nodes) -> None:
    async def come(number: int) -> None:
        client, _ = await join(nodes[number % 3], f"user-{number}")
        if number % 2:
            await client.leave()

    watching, _ = await join(nodes[0], "watcher")
    await asyncio.gather(*(come(number) for number in range(24)))
    await nodes.pass_time(1)
    expected = sorted(["watcher", *(f"user-{number}" for number in range(0, 24, 2))])
    for number in range(3):
        channel = nodes[number].hub.channels.get(ROOM)
        assert channel is not None
        assert sorted(channel.members or ()) == expected
    seen: set[str] = {"watcher"}
    while not watching.heard.empty():
        message = await watching.hear()
        user_id = json.loads(message["data"])["user_id"]
        (seen.add if message["event"] == ADDED else seen.discard)(user_id)
    assert sorted(seen) == expected


async def test_what_clients_and_the_server_say_is_heard_on_every_node(nodes: Nodes) -> None:
    ann, _ = await join(nodes[0], "ann")
    bob, _ = await join(nodes[1], "bob")
    await told(ann, ADDED)
    ann.say("client-wave", {"to": "all"}, channel=ROOM)
    heard = await bob.hear("client-wave")
    assert (heard["user_id"], json.loads(heard["data"])) == ("ann", {"to": "all"})
    server = await nodes.server(2)
    assert (await server.trigger(name="hello", channels=[ROOM], data="{}", socket_id=ann.socket_id)).status_code == 200
    await bob.hear("hello")
    await ann.hear_nothing()


async def test_a_node_that_ends_takes_its_members_along(nodes: Nodes) -> None:
    ann, _ = await join(nodes[0], "ann")
    await join(nodes[1], "bob")
    assert await told(ann, ADDED) == "bob"
    closing = asyncio.ensure_future(nodes[1].mount.aclose())
    await nodes.pass_time(6)
    await closing
    assert await told(ann, REMOVED) == "bob"


async def test_the_members_of_a_node_that_dies_are_given_up_after_a_while(nodes: Nodes) -> None:
    ann, _ = await join(nodes[0], "ann")
    await join(nodes[1], "bob")
    await join(nodes[2], "cid")
    assert [await told(ann, ADDED), await told(ann, ADDED)] == ["bob", "cid"]
    await nodes.buses[1].aclose()
    await nodes.pass_time(SILENCE)
    await ann.hear_nothing()
    await nodes.pass_time(2 * GREETING)
    assert await told(ann, REMOVED) == "bob"
    _, there = await join(nodes[0], "dan")
    assert there == ["ann", "cid", "dan"]


async def test_a_node_that_was_given_up_and_comes_back_has_its_members_again(nodes: Nodes) -> None:
    ann, _ = await join(nodes[0], "ann")
    await join(nodes[1], "bob")
    assert await told(ann, ADDED) == "bob"
    # Node 1 does nothing for a while.
    await nodes[0].clock.advance(SILENCE + 3 * GREETING)
    assert await told(ann, REMOVED) == "bob"
    await nodes.pass_time(3 * GREETING)
    assert await told(ann, ADDED) == "bob"


async def test_queries_are_answered_for_all_nodes_together(nodes: Nodes) -> None:
    await join(nodes[0], "ann")
    await join(nodes[1], "bob")
    await join(nodes[1], "ann")
    for world in nodes.worlds[:2]:
        client = await world.connect()
        client.subscribe("news")
        await client.hear("pusher_internal:subscription_succeeded")
    # It has no connection of the project, and answers like the others.
    server = await nodes.server(2)
    everything = (await server.ask("GET", "/apps/4711/channels", info="subscription_count")).json()
    assert everything == {"channels": {ROOM: {"subscription_count": 3}, "news": {"subscription_count": 2}}}
    counted = await server.ask("GET", "/apps/4711/channels", filter_by_prefix="presence-", info="user_count")
    assert counted.json() == {"channels": {ROOM: {"user_count": 2}}}
    assert (await server.ask("GET", f"/apps/4711/channels/{ROOM}/users")).json() == {
        "users": [{"id": "ann"}, {"id": "bob"}]
    }
    assert (await server.ask("GET", "/apps/4711/channels/nobody")).json() == {"occupied": False}
    told_all = await server.trigger(name="hello", channels=["news", "nobody"], data="{}", info="subscription_count")
    assert told_all.json() == {
        "channels": {
            "news": {"occupied": True, "subscription_count": 2},
            "nobody": {"occupied": False, "subscription_count": 0},
        }
    }


async def test_the_connections_of_a_user_end_on_every_node(nodes: Nodes) -> None:
    clients = []
    for world in nodes.worlds[:2]:
        client = await world.connect()
        client.say("pusher:signin", world.user_auth(client, {"id": "ann"}))
        await client.hear("pusher:signin_success")
        clients.append(client)
    server = await nodes.server(2)
    assert (await server.ask("POST", "/apps/4711/users/ann/terminate_connections", {})).status_code == 200
    assert [await client.closed() for client in clients] == [4009, 4009]


class TestOverRedis:
    @pytest.fixture
    async def nodes(self, redis_server: RedisServer) -> AsyncIterator[Nodes]:
        async with Nodes(RedisMessages(redis_server.url), RedisMessages(redis_server.url)) as nodes:
            yield nodes

    async def test_nobody_is_added_or_removed_where_nobody_moved_while_redis_restarted(
        self, redis_server: RedisServer, nodes: Nodes
    ) -> None:
        ann, _ = await join(nodes[0], "ann")
        bob, there = await join(nodes[1], "bob")
        assert there == ["ann", "bob"]
        assert await told(ann, ADDED) == "bob"
        await asyncio.to_thread(redis_server.restart)
        await until_back(nodes)
        await nodes.pass_time(2 * RETURN_TIME)
        await ann.hear_nothing()
        await bob.hear_nothing()

    async def test_no_ghost_stays_and_nobody_is_missing_after_redis_was_away(
        self, redis_server: RedisServer, nodes: Nodes
    ) -> None:
        ann, _ = await join(nodes[0], "ann")
        bob, _ = await join(nodes[1], "bob")
        await join(nodes[1], "cid")
        assert [await told(ann, ADDED), await told(ann, ADDED)] == ["bob", "cid"]
        await asyncio.to_thread(redis_server.stop)
        # A channel that is open goes on, on each node by itself.
        await bob.leave()
        _, there = await join(nodes[0], "dan")
        assert "bob" in there, "node 0 cannot know"
        assert await told(ann, ADDED) == "dan"
        await asyncio.to_thread(redis_server.start)
        await until_back(nodes)
        await nodes.pass_time(2 * RETURN_TIME)
        assert await told(ann, REMOVED) == "bob"
        for world in nodes.worlds:
            channel = world.hub.channels.get(ROOM)
            assert channel is not None
            assert sorted(channel.members or ()) == ["ann", "cid", "dan"]


async def until_back(nodes: Nodes) -> None:
    """All find Redis again, and hear what the others have to say; no time passes but the machine's."""
    async with asyncio.timeout(20):
        while not all(bus.statistics().interruptions for bus in nodes.buses):
            await asyncio.sleep(0.01)
        for world in nodes.worlds:
            channel = world.hub.channels.get(ROOM)
            assert isinstance(channel, AppChannel)
            assert channel.roster is not None
            # It has begun anew, and has heard everything since.
            while not (channel.roster._asked and channel.roster._heard):
                await asyncio.sleep(0.01)
