"""pusher-js as it comes from npm, in Node and in a headless Chromium, against a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.node import packages
from utd_core.model.commands import LeaveSeat, RemoveParticipant, TakeSeat
from utd_core.server.app_settings import AppSettings
from utd_core.server.pusher import CloseCode
from utd_core.server.pusher.heartbeat import Heartbeat
from utd_core.server.pusher.socket import Socket
from utd_core.testing.wait import eventually

from .live import CHANNEL, PROJECT, ROOM, LiveServer, library_of
from .stock_client import StockClient, stock_client


@pytest.fixture(scope="session")
def npm_packages() -> Path:
    return packages()


@pytest.fixture
async def live() -> AsyncIterator[LiveServer]:
    async with LiveServer() as live:
        yield live


@pytest.fixture(params=["node", "chromium"])
async def client(request: pytest.FixtureRequest, live: LiveServer, npm_packages: Path) -> AsyncIterator[StockClient]:
    async with stock_client(live, request.param, npm_packages) as client:
        yield client


@pytest.fixture
async def other(live: LiveServer, npm_packages: Path) -> AsyncIterator[StockClient]:
    async with stock_client(live, "node", npm_packages) as client:
        yield client


async def test_follows_a_room(live: LiveServer, client: StockClient) -> None:
    await client.connect(await live.token("ann"))
    await client.follow(CHANNEL)
    await live.do("host", TakeSeat(room=ROOM, index=3))
    event = await client.hear(channel=CHANNEL, event="seat_taken")
    assert event["data"] == {"room": ROOM, "index": 3, "identity": "host", "by": "host"}


async def test_is_told_that_it_was_removed_and_hears_nothing_more(live: LiveServer, client: StockClient) -> None:
    await client.connect(await live.token("ann"))
    await client.follow(CHANNEL)
    await live.do("host", RemoveParticipant(room=ROOM, identity="ann", reason="noise"))
    await client.hear(channel=CHANNEL, event="participant_removed")
    error = await client.hear(channel=CHANNEL, event="pusher:subscription_error")
    assert error["data"]["status"] == 403
    await live.do("host", TakeSeat(room=ROOM, index=3))
    await client.follow("news")
    assert client.heard(channel=CHANNEL, event="seat_taken") == []


async def test_is_refused_what_it_may_not_follow(live: LiveServer, client: StockClient) -> None:
    await client.connect(await live.token("eve"))
    for channel, status in ((CHANNEL, 409), ("private-user.ann", 403), ("private-team", 403)):
        await client.do("subscribe", channel=channel)
        error = await client.hear(channel=channel, event="pusher:subscription_error")
        assert error["data"]["type"] == "AuthError"
        assert error["data"]["status"] == status


async def test_talks_in_private_and_presence_channels(
    live: LiveServer, client: StockClient, other: StockClient
) -> None:
    for each, name in ((client, "ann"), (other, "bob")):
        # The secret has no place in a client; here it stands for the application's own server.
        headers = {"X-App-Id": PROJECT.app_id, "X-App-Secret": PROJECT.secret}
        data = json.dumps({"user_id": name, "user_info": {"name": name.title()}})
        await each.connect(headers=headers, params={"channel_data": data})
        await each.follow("presence-lobby")
    added = await client.hear(channel="presence-lobby", event="pusher:member_added")
    assert added["data"] == {"id": "bob", "info": {"name": "Bob"}}
    members = await other.do("members", channel="presence-lobby")
    assert (members["count"], members["me"], sorted(members["ids"])) == (2, "bob", ["ann", "bob"])
    await client.follow("private-team")
    await other.follow("private-team")
    for channel in ("presence-lobby", "private-team"):
        assert await other.do("trigger", channel=channel, event="client-hello", data={"text": "hé"})
        assert (await client.hear(channel=channel, event="client-hello"))["data"] == {"text": "hé"}
    await other.do("disconnect")
    removed = await client.hear(channel="presence-lobby", event="pusher:member_removed")
    assert removed["data"]["id"] == "bob"
    assert other.heard(event="client-hello") == [], "nobody hears their own"


async def test_signs_in(live: LiveServer, client: StockClient) -> None:
    await client.connect(await live.token("ann"))
    await client.do("signin")
    await client.follow("news")
    with library_of(live) as server:
        hub = live.mount._hubs[PROJECT.app_id]
        await eventually(lambda: hub.channels.get("#server-to-user-ann"), 20)
        await asyncio.to_thread(server.send_to_user, "ann", "word", {"x": 1})
        assert (await client.hear(what="user", event="word"))["data"] == {"x": 1}
        await asyncio.to_thread(server.terminate_user_connections, "ann")
    assert (await client.hear(what="error"))["code"] == CloseCode.UNAUTHORIZED
    await client.hear(what="state", state="disconnected")


async def test_comes_back_by_itself_when_the_server_drains(live: LiveServer, client: StockClient) -> None:
    first = await client.connect(await live.token("ann"))
    await client.follow(CHANNEL)
    (socket,) = live.mount._hubs[PROJECT.app_id].sockets.values()
    socket.close(CloseCode.RECONNECT, "to another node")
    again = await client.hear(what="state", state="connected")
    assert again["socket"] != first
    await client.hear(channel=CHANNEL, event="pusher:subscription_succeeded")
    await live.do("host", TakeSeat(room=ROOM, index=3))
    await live.do("host", LeaveSeat(room=ROOM))
    await client.hear(channel=CHANNEL, event="seat_left")


async def test_does_not_come_back_when_it_is_told_not_to(live: LiveServer, client: StockClient) -> None:
    await client.do("connect", key="nobody", options=client.options())
    assert (await client.hear(what="error"))["code"] == CloseCode.NO_SUCH_APP
    await client.hear(what="state", state="disconnected")


class TestInAPageOfAnotherOrigin:
    async def test_follows_what_it_may_where_its_origin_is_listed(self, live: LiveServer, npm_packages: Path) -> None:
        listed = AppSettings(origins=(live.origin,))
        async with (
            LiveServer(None, listed, origins=frozenset({live.origin})) as other,
            stock_client(other, "chromium", npm_packages, page=live) as client,
        ):
            await client.connect(await other.token("ann"))
            await client.follow(CHANNEL)
            await other.do("host", TakeSeat(room=ROOM, index=3))
            await client.hear(channel=CHANNEL, event="seat_taken")

    async def test_its_browser_sends_no_token_where_it_is_not(self, live: LiveServer, npm_packages: Path) -> None:
        async with LiveServer() as other, stock_client(other, "chromium", npm_packages, page=live) as client:
            await client.connect(await other.token("ann"))
            await client.do("subscribe", channel=CHANNEL)
            error = await client.hear(channel=CHANNEL, event="pusher:subscription_error")
            assert error["data"]["status"] == 0, "it never came to asking"

    async def test_it_gets_no_socket_where_it_is_not(self, live: LiveServer, npm_packages: Path) -> None:
        async with (
            LiveServer(origins=frozenset({"https://shop.example.com"})) as other,
            stock_client(other, "chromium", npm_packages, page=live) as client,
        ):
            await client.do("connect", key=PROJECT.key, options=client.options())
            assert (await client.hear(what="error"))["code"] == CloseCode.UNAUTHORIZED


async def test_gives_signs_of_life(npm_packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signs = 0
    heard = Heartbeat.heard

    def count(heartbeat: Heartbeat, socket: Socket) -> None:
        nonlocal signs
        signs += 1
        heard(heartbeat, socket)

    monkeypatch.setattr(Heartbeat, "heard", count)
    async with LiveServer(activity_timeout=1.0) as live, stock_client(live, "node", npm_packages) as client:
        await client.connect()
        await eventually(lambda: signs >= 4, 30)
        await client.follow("news")
        assert client.heard(what="state") == [], "it is still connected"
