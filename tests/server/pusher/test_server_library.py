"""The protocol's own server library for Python, unmodified, against a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pusher.errors
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from utd_core.server.pusher import CloseCode

from .live import LiveServer, library_of


@pytest.fixture
async def live() -> AsyncIterator[LiveServer]:
    async with LiveServer() as live:
        yield live


@pytest.fixture
def server(live: LiveServer) -> Iterator[Any]:
    """The application's server."""
    with library_of(live) as server:
        yield server


async def greeted(connection: ClientConnection) -> str:
    message = json.loads(await connection.recv())
    return str(json.loads(message["data"])["socket_id"])


async def say(connection: ClientConnection, event: str, data: Any) -> dict[str, Any]:
    """What a message is answered."""
    await connection.send(json.dumps({"event": event, "data": data}))
    answer: dict[str, Any] = json.loads(await connection.recv())
    return answer


async def test_authenticates_and_triggers(live: LiveServer, server: Any) -> None:
    async with connect(live.url) as ann, connect(live.url) as bob:
        ids = [await greeted(each) for each in (ann, bob)]
        for connection, socket_id in zip((ann, bob), ids, strict=True):
            signed = server.authenticate("private-team", socket_id)
            answer = await say(connection, "pusher:subscribe", {"channel": "private-team", **signed})
            assert answer["event"] == "pusher_internal:subscription_succeeded"
        await asyncio.to_thread(server.trigger, "private-team", "greeting", {"text": "Grüße"})
        for connection in (ann, bob):
            message = json.loads(await connection.recv())
            assert (message["event"], message["channel"]) == ("greeting", "private-team")
            assert json.loads(message["data"]) == {"text": "Grüße"}
        await asyncio.to_thread(server.trigger, "private-team", "greeting", "without ann", ids[0])
        assert json.loads(await bob.recv())["data"] == "without ann"
        batch = [{"channel": "private-team", "name": f"event-{number}", "data": str(number)} for number in range(3)]
        await asyncio.to_thread(server.trigger_batch, batch)
        for number in range(3):
            assert json.loads(await ann.recv())["event"] == f"event-{number}"
    await live.empty()


async def test_asks_who_is_there(live: LiveServer, server: Any) -> None:
    async with connect(live.url) as ann:
        signed = server.authenticate("presence-lobby", await greeted(ann), {"user_id": "ann", "user_info": {"a": 1}})
        answer = await say(ann, "pusher:subscribe", {"channel": "presence-lobby", **signed})
        assert json.loads(answer["data"])["presence"]["hash"] == {"ann": {"a": 1}}
        found = await asyncio.to_thread(server.channels_info, "presence-", ["user_count"])
        assert found == {"channels": {"presence-lobby": {"user_count": 1}}}
        found = await asyncio.to_thread(server.channel_info, "presence-lobby", ["user_count", "subscription_count"])
        assert found == {"occupied": True, "user_count": 1, "subscription_count": 1}
        assert await asyncio.to_thread(server.users_info, "presence-lobby") == {"users": [{"id": "ann"}]}
    await live.empty()


async def test_signs_users_in_sends_to_them_and_ends_their_connections(live: LiveServer, server: Any) -> None:
    async with connect(live.url) as ann:
        signed = server.authenticate_user(await greeted(ann), {"id": "ann", "name": "Ann"})
        assert (await say(ann, "pusher:signin", signed))["event"] == "pusher:signin_success"
        await say(ann, "pusher:subscribe", {"channel": "#server-to-user-ann"})
        await asyncio.to_thread(server.send_to_user, "ann", "private-word", {"x": 1})
        message = json.loads(await ann.recv())
        assert (message["event"], message["channel"]) == ("private-word", "#server-to-user-ann")
        await asyncio.to_thread(server.terminate_user_connections, "ann")
        with pytest.raises(ConnectionClosed) as closed:
            await ann.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == CloseCode.UNAUTHORIZED
    await live.empty()


async def test_is_told_of_its_mistakes_as_it_expects(live: LiveServer, server: Any) -> None:
    for wrong in ({"secret": "x"}, {"key": "x"}, {"app_id": "4712"}):
        with library_of(live, **wrong) as stranger, pytest.raises(pusher.errors.PusherBadAuth):
            await asyncio.to_thread(stranger.trigger, "news", "x", "y")
    with pytest.raises(pusher.errors.PusherBadRequest):
        await asyncio.to_thread(server.trigger, "news", "pusher:ping", "y")
    with pytest.raises(pusher.errors.PusherForbidden):
        await asyncio.to_thread(server.trigger, "private-room.lounge", "x", "y")
    with pytest.raises(pusher.errors.PusherBadStatus):
        await asyncio.to_thread(server.trigger, "news", "x", "y" * 20_000)
