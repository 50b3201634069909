"""The protocol's HTTP API: what the application's server triggers, asks and ends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from utd_core.server.projects import Project
from utd_core.server.pusher import CloseCode
from utd_core.server.pusher.signatures import request_text, sign

from .world import CHANNEL, PROJECT, World

SUCCEEDED = "pusher_internal:subscription_succeeded"


class Server:
    """The application's server."""

    def __init__(self, world: World, http: httpx.AsyncClient) -> None:
        self.world = world
        self.http = http

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        project: Project = PROJECT,
        **query: str,
    ) -> httpx.Response:
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = {
            "auth_key": project.key,
            "auth_timestamp": f"{self.world.clock.now():.0f}",
            "auth_version": "1.0",
            "body_md5": hashlib.md5(content).hexdigest(),
            **query,
        }
        signed["auth_signature"] = sign(project.secret, request_text(method, path, signed))
        headers = {"content-type": "application/json"} if content else {}
        return await self.http.request(method, path, content=content, params=signed, headers=headers)

    async def trigger(self, **fields: Any) -> httpx.Response:
        return await self.ask("POST", "/apps/4711/events", fields)


@pytest.fixture
async def server(world: World) -> AsyncIterator[Server]:
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield Server(world, http)


async def follower(world: World, *channels: str) -> Any:
    client = await world.connect()
    for channel in channels:
        client.subscribe(channel, **(world.auth(client, channel) if channel.startswith("private-") else {}))
        await client.hear(SUCCEEDED)
    return client


class TestTrigger:
    async def test_reaches_everybody_who_follows_the_channel(self, world: World, server: Server) -> None:
        first, second, other = [await follower(world, name) for name in ("news", "news", "other")]
        answer = await server.trigger(name="headline", channel="news", data='{"text":"é"}')
        assert (answer.status_code, answer.json()) == (200, {})
        for client in (first, second):
            assert await client.hear() == {"event": "headline", "channel": "news", "data": '{"text":"é"}'}
        await other.hear_nothing()

    async def test_reaches_several_channels(self, world: World, server: Server) -> None:
        client = await follower(world, "a", "private-b")
        await server.trigger(name="x", channels=["a", "private-b", "nobody"], data="1")
        assert [(await client.hear())["channel"] for _ in range(2)] == ["a", "private-b"]

    async def test_leaves_out_the_socket_that_caused_it(self, world: World, server: Server) -> None:
        cause, other = await follower(world, "news"), await follower(world, "news")
        await server.trigger(name="x", channel="news", data="", socket_id=cause.socket_id)
        await other.hear("x")
        await cause.hear_nothing()

    async def test_to_a_user_reaches_that_user(self, world: World, server: Server) -> None:
        ann, bob = await world.user("ann"), await world.user("bob")
        for client, name in ((ann, "ann"), (bob, "bob")):
            client.subscribe(f"#server-to-user-{name}")
            await client.hear(SUCCEEDED)
        await server.trigger(name="x", channel="#server-to-user-ann", data="1")
        await ann.hear("x")
        await bob.hear_nothing()

    async def test_answers_what_is_asked_of_the_channels(self, world: World, server: Server) -> None:
        await follower(world, "news")
        answer = await server.trigger(name="x", channels=["news", "none"], data="", info="subscription_count")
        assert answer.json() == {
            "channels": {
                "news": {"occupied": True, "subscription_count": 1},
                "none": {"occupied": False, "subscription_count": 0},
            }
        }

    async def test_without_anybody_connected_is_fine(self, server: Server) -> None:
        assert (await server.trigger(name="x", channel="news", data="")).status_code == 200

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({}, 400),
            ({"name": "x", "data": ""}, 400),
            ({"name": "x", "channel": "news"}, 400),
            ({"name": "", "channel": "news", "data": ""}, 400),
            ({"name": "x" * 201, "channel": "news", "data": ""}, 400),
            ({"name": "pusher:ping", "channel": "news", "data": ""}, 400),
            ({"name": "pusher_internal:member_added", "channel": "news", "data": ""}, 400),
            ({"name": "utd:accepted", "channel": "news", "data": ""}, 400),
            ({"name": "x", "channel": "two words", "data": ""}, 400),
            ({"name": "x", "channels": [], "data": ""}, 400),
            ({"name": "x", "channels": "news", "data": ""}, 400),
            ({"name": "x", "channels": [1], "data": ""}, 400),
            ({"name": "x", "channel": "news", "data": "", "socket_id": "7"}, 400),
            ({"name": "x", "channel": "news", "data": "", "info": "passwords"}, 400),
            ({"name": "x", "channel": "news", "data": "x" * 10_241}, 413),
            ({"name": "x", "channel": "news", "data": "é" * 5_121}, 413),
            ({"name": "x", "channels": ["news"] * 101, "data": ""}, 413),
            ({"name": "x", "channel": CHANNEL, "data": ""}, 403),
            ({"name": "x", "channel": "private-user.ann", "data": ""}, 403),
        ],
    )
    async def test_of_what_is_none_is_refused(
        self, room: World, server: Server, fields: dict[str, Any], status: int
    ) -> None:
        client = await follower(room, "news")
        answer = await server.trigger(**fields)
        assert answer.status_code == status
        assert set(answer.json()) >= {"message", "code"}
        await client.hear_nothing()

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"x",
            b"[]",
            b"[" * 10_000,
            b'{"a":NaN}',
            b"\xff",
            rb'{"name":"x","channel":"news","data":"\ud800"}',
            rb'{"name":"\uDFFF","channel":"news","data":""}',
            rb'{"name":"x","channel":"news","data":{"a":["\ud800"]}}',
        ],
        ids=["empty", "x", "list", "deep", "nan", "latin", "half data", "half name", "half within"],
    )
    async def test_of_what_is_no_json_is_refused(self, server: Server, body: bytes) -> None:
        assert (await server.ask("POST", "/apps/4711/events", body)).status_code == 400

    async def test_of_a_huge_body_is_refused_before_it_is_read(self, server: Server) -> None:
        body = b'{"data":"' + b"x" * 2_000_000 + b'"}'
        assert (await server.ask("POST", "/apps/4711/events", body)).status_code == 413


class TestBatch:
    async def test_sends_all_in_order(self, world: World, server: Server) -> None:
        client = await follower(world, "a", "b")
        batch = [{"channel": name, "name": f"x-{name}", "data": ""} for name in "ab"]
        answer = await server.ask("POST", "/apps/4711/batch_events", {"batch": batch})
        assert answer.json() == {}
        assert [(await client.hear())["event"] for _ in range(2)] == ["x-a", "x-b"]

    async def test_with_one_that_is_malformed_sends_none(self, world: World, server: Server) -> None:
        client = await follower(world, "a")
        batch = [{"channel": "a", "name": "x", "data": ""}, {"channel": "a", "data": ""}]
        assert (await server.ask("POST", "/apps/4711/batch_events", {"batch": batch})).status_code == 400
        await client.hear_nothing()

    @pytest.mark.parametrize(
        ("batch", "status"),
        [(None, 400), ({}, 400), ([1], 400), ([{"channel": "a", "name": "x", "data": ""}] * 11, 413)],
    )
    async def test_of_what_is_none_is_refused(self, server: Server, batch: Any, status: int) -> None:
        assert (await server.ask("POST", "/apps/4711/batch_events", {"batch": batch})).status_code == status


class TestQueries:
    async def test_channels_with_somebody_in_them(self, world: World, server: Server) -> None:
        await follower(world, "news", "private-b")
        for user in ("ann", "bob", "bob"):
            await world.member("presence-lobby", user)
        answer = await server.ask("GET", "/apps/4711/channels")
        assert answer.json() == {"channels": {"news": {}, "private-b": {}, "presence-lobby": {}}}
        info = "user_count,subscription_count"
        answer = await server.ask("GET", "/apps/4711/channels", filter_by_prefix="presence-", info=info)
        assert answer.json() == {"channels": {"presence-lobby": {"user_count": 2, "subscription_count": 3}}}

    async def test_one_channel(self, world: World, server: Server) -> None:
        await world.member("presence-lobby", "ann")
        answer = await server.ask("GET", "/apps/4711/channels/presence-lobby", info="user_count")
        assert answer.json() == {"occupied": True, "user_count": 1}
        answer = await server.ask("GET", "/apps/4711/channels/nobody")
        assert answer.json() == {"occupied": False}

    async def test_users_of_a_presence_channel(self, world: World, server: Server) -> None:
        for user in ("ann", "bob", "bob"):
            await world.member("presence-lobby", user)
        answer = await server.ask("GET", "/apps/4711/channels/presence-lobby/users")
        assert answer.json() == {"users": [{"id": "ann"}, {"id": "bob"}]}
        answer = await server.ask("GET", "/apps/4711/channels/presence-nobody/users")
        assert answer.json() == {"users": []}

    @pytest.mark.parametrize(
        ("path", "query"),
        [
            ("/apps/4711/channels", {"info": "user_count"}),
            ("/apps/4711/channels", {"info": "passwords"}),
            ("/apps/4711/channels/news", {"info": "user_count"}),
            ("/apps/4711/channels/news/users", {}),
            ("/apps/4711/channels/two words", {}),
        ],
    )
    async def test_that_make_no_sense_are_refused(self, server: Server, path: str, query: Any) -> None:
        assert (await server.ask("GET", path, **query)).status_code == 400


class TestTermination:
    async def test_ends_every_connection_of_the_user(self, world: World, server: Server) -> None:
        first, second, other = await world.user("ann"), await world.user("ann"), await world.user("bob")
        assert (await server.ask("POST", "/apps/4711/users/ann/terminate_connections", {})).json() == {}
        assert [await client.closed() for client in (first, second)] == [CloseCode.UNAUTHORIZED] * 2
        await other.hear_nothing()

    async def test_finds_the_project_by_its_key(self, world: World, server: Server) -> None:
        client = await world.user("ann")
        assert (await server.ask("POST", "/users/ann/terminate_connections", {})).status_code == 200
        assert await client.closed() == CloseCode.UNAUTHORIZED

    async def test_of_nobody_is_fine(self, server: Server) -> None:
        assert (await server.ask("POST", "/apps/4711/users/nobody/terminate_connections", {})).status_code == 200


class TestRight:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/apps/4711/events"),
            ("POST", "/apps/4711/batch_events"),
            ("GET", "/apps/4711/channels"),
            ("GET", "/apps/4711/channels/news"),
            ("GET", "/apps/4711/channels/presence-a/users"),
            ("POST", "/apps/4711/users/ann/terminate_connections"),
            ("POST", "/users/ann/terminate_connections"),
        ],
    )
    async def test_needs_a_signature(self, server: Server, method: str, path: str) -> None:
        assert (await server.http.request(method, path)).status_code == 401
        forger = Project("4711", PROJECT.key, ("another",))
        assert (await server.ask(method, path, project=forger)).status_code == 401
        stranger = Project("4711", "another", PROJECT.secrets)
        assert (await server.ask(method, path, project=stranger)).status_code == 401
        other = "PUT" if method == "GET" else "DELETE"
        assert (await server.ask(other, path)).status_code == 405

    async def test_to_another_project_is_not_given(self, server: Server) -> None:
        assert (await server.ask("POST", "/apps/4712/events", {})).status_code == 401

    async def test_of_a_suspended_project_rests(self, world: World, server: Server) -> None:
        world.place.change(suspended=True)
        answer = await server.trigger(name="x", channel="news", data="")
        assert (answer.status_code, answer.json()["code"]) == (403, "project_suspended")

    async def test_by_an_old_request_has_run_out(self, world: World, server: Server) -> None:
        for late in (-601, 601):
            sent_at = f"{world.clock.now() + late:.0f}"
            answer = await server.ask("GET", "/apps/4711/channels", auth_timestamp=sent_at)
            assert answer.status_code == 401

    @pytest.mark.parametrize("sent_at", ["", "soon", "-1", "9" * 400, "1e9", "\u0661"])
    async def test_at_no_time_at_all_is_none(self, server: Server, sent_at: str) -> None:
        assert (await server.ask("GET", "/apps/4711/channels", auth_timestamp=sent_at)).status_code == 401

    async def test_is_for_the_signed_body_alone(self, world: World, server: Server) -> None:
        client = await follower(world, "news")
        event = {"name": "x", "channel": "news", "data": "forged"}
        for digest in ("", hashlib.md5(b"another").hexdigest(), hashlib.md5(b"").hexdigest()):
            assert (await server.ask("POST", "/apps/4711/events", event, body_md5=digest)).status_code == 401
        await client.hear_nothing()

    async def test_is_for_the_signed_request_alone(self, world: World, server: Server) -> None:
        path = "/apps/4711/channels"
        query = {"auth_key": PROJECT.key, "auth_timestamp": f"{world.clock.now():.0f}", "auth_version": "1.0"}
        signature = sign(PROJECT.secret, request_text("GET", path, query))
        good = {**query, "auth_signature": signature}
        assert (await server.http.get(path, params=good)).status_code == 200
        assert (await server.http.get(f"{path}/news", params=good)).status_code == 401
        for change in (
            {"auth_signature": signature[:-1]},
            {"auth_signature": signature.upper()},
            {"auth_signature": ""},
            {"auth_version": "2.0"},
            {"info": "user_count"},
        ):
            assert (await server.http.get(path, params={**good, **change})).status_code == 401
        assert (await server.http.get(path, params=[*good.items(), ("auth_version", "1.0")])).status_code == 401

    @pytest.mark.parametrize("path", ["/apps/4711", "/apps/4711/nothing", "/apps/4711/channels/a/b", "/users/ann"])
    async def test_of_what_is_not_there_is_not_asked(self, server: Server, path: str) -> None:
        assert (await server.ask("GET", path)).status_code == 404
