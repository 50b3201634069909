"""Who a socket is: by a user token, by a signature, and until when."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import replace

import jwt
import pytest

from utd_core.engine import Engine
from utd_core.model.commands import CreateSession
from utd_core.server.pusher import CloseCode
from utd_core.server.pusher.signatures import credential, user_text

from .asgi_client import AsgiClient
from .world import PROJECT, World


class TestByToken:
    async def test_is_answered_with_who_it_is(self, world: World) -> None:
        session = await world.engine.execute(CreateSession(identity="ann", name="Ann", device_id="phone"))
        client = await world.connect()
        client.say("pusher:signin", {"token": session.user_token})
        data = await client.hear_data("pusher:signin_success")
        assert json.loads(data["user_data"]) == {"id": "ann", "user_info": {"name": "Ann", "device": "phone"}}

    async def test_with_one_that_is_none_ends_the_connection(self, world: World) -> None:
        token = await world.token("ann")
        head, claims, signature = token.split(".")
        forged = urlsafe_b64encode(json.dumps({"sub": "host", "app": "4711", "exp": 9e9}).encode()).decode().rstrip("=")
        bad = {
            "nonsense": "x",
            "no claims": "a.b.c",
            "truncated": token[:-2],
            "with other claims": f"{head}.{forged}.{signature}",
            "without a signature": f"{head}.{claims}.",
            "without an algorithm": jwt.encode({"sub": "ann", "app": "4711", "exp": 9e9}, "", algorithm="none"),
            "of another key": jwt.encode({"sub": "ann", "app": "4711", "exp": 9e9}, "k" * 32, algorithm="HS256"),
            "of another algorithm": jwt.encode({"sub": "ann", "app": "4711", "exp": 9e9}, "k" * 64, algorithm="HS512"),
        }
        for what, wrong in bad.items():
            client = await world.connect()
            client.say("pusher:signin", {"token": wrong})
            assert await client.closed() == CloseCode.UNAUTHORIZED, what
            assert wrong not in client.reason

    async def test_of_another_engine_ends_the_connection(self, world: World) -> None:
        async with Engine("mock", clock=world.clock) as other:
            token = (await other.execute(CreateSession(identity="ann"))).user_token
        client = await world.connect()
        client.say("pusher:signin", {"token": token})
        assert await client.closed() == CloseCode.UNAUTHORIZED

    async def test_that_expired_ends_the_connection(self) -> None:
        async with World(engine={"user_token_ttl": 10.0}) as world:
            token = await world.token("ann")
            await world.clock.advance(11)
            client = await world.connect()
            client.say("pusher:signin", {"token": token})
            assert await client.closed() == CloseCode.UNAUTHORIZED


class TestBySignature:
    async def test_is_answered_with_what_was_signed(self, world: World) -> None:
        client = await world.connect()
        signed = world.user_auth(client, {"id": "ann", "more": [1]})
        client.say("pusher:signin", signed)
        assert await client.hear_data("pusher:signin_success") == {"user_data": signed["user_data"]}

    async def test_lets_follow_what_the_user_may(self, room: World) -> None:
        client = await room.connect()
        client.say("pusher:signin", room.user_auth(client, {"id": "ann"}))
        await client.hear("pusher:signin_success")
        client.subscribe("private-user.ann")
        await client.hear("pusher_internal:subscription_succeeded")

    async def test_that_does_not_fit_ends_the_connection(self, world: World) -> None:
        other = await world.connect()
        data = '{"id":"ann"}'

        def claims(client: AsgiClient) -> list[dict[str, str]]:
            foreign = credential(replace(PROJECT, secrets=("x",)), user_text(client.socket_id, data))
            return [
                {},
                {"user_data": data},
                {"auth": foreign, "user_data": data},
                {"auth": world.user_auth(client, {"id": "bob"})["auth"], "user_data": data},
                {"auth": world.auth(client, "private-x")["auth"], "user_data": data},
                world.user_auth(other, {"id": "ann"}),
            ]

        for number in range(len(claims(other))):
            client = await world.connect()
            client.say("pusher:signin", claims(client)[number])
            assert await client.closed() == CloseCode.UNAUTHORIZED

    @pytest.mark.parametrize("data", [[], {}, {"id": 7}, {"id": ""}, {"id": "x" * 129}, {"id": None}])
    async def test_of_nobody_ends_the_connection(self, world: World, data: object) -> None:
        client = await world.connect()
        client.say("pusher:signin", world.user_auth(client, data))
        assert await client.closed() == CloseCode.UNAUTHORIZED


async def test_twice_as_the_same_user_is_fine_and_as_another_is_not(world: World) -> None:
    client = await world.user("ann")
    client.say("pusher:signin", {"token": await world.token("ann")})
    await client.hear("pusher:signin_success")
    client.say("pusher:signin", {"token": await world.token("bob")})
    assert (await client.hear("pusher:error"))["data"]["code"] is None
    client.subscribe("private-user.bob")
    await client.hear("pusher:subscription_error")
    assert world.hub.statistics().users == 1


async def test_users_are_counted_once_and_forgotten(world: World) -> None:
    first, second, third = await world.user("ann"), await world.user("ann"), await world.user("bob")
    assert world.hub.statistics().users == 2
    for client in (first, second, third):
        await client.leave()
    assert world.hub.statistics().users == 0


async def test_a_token_is_never_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    token = await world.token("ann")
    client = await world.connect()
    client.say("pusher:signin", {"token": token})
    client.say("pusher:signin", {"token": token[:-1]})
    await client.closed()
    assert token[:-1] not in caplog.text
    assert PROJECT.secret not in caplog.text
