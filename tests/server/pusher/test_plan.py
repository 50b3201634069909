"""What a project's plan holds, on the application's own channels: sockets, triggers and signatures."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from utd_core.server.projects import ProjectFlags, ProjectLimits
from utd_core.server.pusher.hub import PULSE

from .test_app_channels import follow, refusal
from .test_auth import AUTH, SECRET
from .test_trigger import Server
from .world import CHANNEL, World

WITHOUT = ProjectFlags(signaling_enabled=False)
NEWS = {"name": "headline", "channel": "news", "data": "1"}


@pytest.fixture
async def server(world: World) -> AsyncIterator[Server]:
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield Server(world, http)


class TestWithoutSignalling:
    @pytest.mark.parametrize("channel", ["news", "private-team", "presence-team"])
    async def test_nobody_follows_a_channel_of_the_application(self, world: World, channel: str) -> None:
        world.place.change(flags=WITHOUT)
        client = await world.connect()
        data = {"user_id": "ann"} if channel.startswith("presence-") else None
        client.subscribe(channel, **({} if channel == "news" else world.auth(client, channel, data)))
        assert await refusal(client, channel) == ("feature_disabled", 403)

    async def test_rooms_are_followed_as_ever(self, room: World) -> None:
        room.place.change(flags=WITHOUT)
        await room.follower("host", CHANNEL)

    async def test_client_events_are_refused_on_sockets_that_were_open_before(self, world: World) -> None:
        client, other = await follow(world, "private-team"), await follow(world, "private-team")
        world.place.change(flags=WITHOUT)
        await world.clock.advance(PULSE)
        client.say("client-hello", {}, channel="private-team", id="1")
        refused = await client.hear()
        assert json.loads(refused["data"])["code"] == "feature_disabled"
        await other.hear_nothing()

    async def test_nothing_is_triggered(self, world: World, server: Server) -> None:
        client = await follow(world, "news")
        world.place.change(flags=WITHOUT)
        for answer in (
            await server.trigger(**NEWS),
            await server.ask("POST", "/apps/4711/batch_events", {"batch": [NEWS]}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "feature_disabled")
            assert answer.json()["details"] == {"feature": "signaling"}
        await client.hear_nothing()

    async def test_nothing_is_signed_but_for_rooms(self, room: World, server: Server) -> None:
        room.place.change(flags=WITHOUT)
        client = await room.connect()
        statuses = {}
        for channel in ("private-team", CHANNEL):
            fields = {"socket_id": client.socket_id, "channel_name": channel, "channel_data": '{"user_id": "ann"}'}
            statuses[channel] = (await server.http.post(AUTH, json=fields, headers=SECRET)).status_code
        assert statuses == {"private-team": 403, CHANNEL: 200}


@pytest.mark.parity("G9")
@pytest.mark.parametrize("enabled", [None, True])
async def test_unknown_is_not_no(world: World, server: Server, enabled: bool | None) -> None:
    world.place.change(flags=ProjectFlags(signaling_enabled=enabled))
    client = await follow(world, "news")
    assert (await server.trigger(**NEWS)).status_code == 200
    assert (await client.hear())["event"] == "headline"


async def test_triggers_take_from_the_rate_of_the_project(world: World, server: Server) -> None:
    world.place.change(limits=ProjectLimits(commands_per_second=1.0, burst=2))
    statuses = [(await server.trigger(**NEWS)).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert (await server.trigger(**NEWS)).headers["retry-after"] == "1"
    await world.clock.advance(1)
    assert (await server.trigger(**NEWS)).status_code == 200
