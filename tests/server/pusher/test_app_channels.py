"""The application's own channels: who may follow them, who is told what, and what clients say to each other."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from utd_core.server.pusher import CloseCode

from .asgi_client import AsgiClient
from .world import PROJECT, World

SUCCEEDED = "pusher_internal:subscription_succeeded"
REFUSED = "pusher:subscription_error"
DEEP = "[" * 500 + "]" * 500


async def follow(world: World, channel: str) -> AsgiClient:
    client = await world.connect()
    client.subscribe(channel, **(world.auth(client, channel) if channel.startswith("private-") else {}))
    await client.hear(SUCCEEDED)
    return client


async def refusal(client: AsgiClient, channel: str) -> tuple[str, int]:
    """The code and the status with which a subscription is refused."""
    message = await client.hear(REFUSED)
    assert message["channel"] == channel
    data = json.loads(message["data"])
    assert data["error"]
    return data["code"], data["status"]


class TestFollowing:
    @pytest.mark.parity("G11")
    async def test_a_public_channel_needs_nothing(self, world: World) -> None:
        client = await world.connect()
        client.subscribe("news")
        assert await client.hear() == {"event": SUCCEEDED, "channel": "news", "data": "{}"}

    async def test_twice_is_said_to_be_a_mistake_and_changes_nothing(self, world: World) -> None:
        client = await follow(world, "news")
        client.subscribe("news")
        assert "existing subscription" in (await client.hear("pusher:error"))["data"]["message"]
        assert world.hub.statistics().subscriptions == 1

    async def test_ends_by_unsubscribing(self, world: World) -> None:
        client, other = await follow(world, "private-team"), await follow(world, "private-team")
        client.say("pusher:unsubscribe", {"channel": "private-team"})
        client.say("pusher:unsubscribe", {"channel": "private-team"})
        await client.hear_nothing()
        other.say("client-hello", {}, channel="private-team")
        await other.hear_nothing()
        await client.hear_nothing()

    async def test_of_too_many_channels_is_refused(self) -> None:
        async with World(channels_per_socket=2) as world:
            client = await world.connect()
            for channel in ("a", "b", "c"):
                client.subscribe(channel)
            await client.hear(SUCCEEDED)
            await client.hear(SUCCEEDED)
            assert await refusal(client, "c") == ("conflict", 409)

    @pytest.mark.parametrize("channel", ["", "two words", "sl/ash", "ünï", "a" * 201, "#server-to-user-", "cache-x"])
    async def test_of_what_is_no_channel_is_refused(self, world: World, channel: str) -> None:
        client = await world.connect()
        client.subscribe(channel)
        message = await client.hear()
        assert message["event"] in (REFUSED, "pusher:error")
        assert world.hub.statistics().subscriptions == 0


class TestPrivate:
    @pytest.mark.parity("G11")
    @pytest.mark.parametrize("channel", ["private-team", "private-encrypted-team"])
    async def test_needs_a_signature_of_the_secret(self, world: World, channel: str) -> None:
        client = await world.connect()
        client.subscribe(channel, **world.auth(client, channel))
        assert (await client.hear(SUCCEEDED))["channel"] == channel

    async def test_takes_every_secret_that_the_project_accepts(self, world: World) -> None:
        client = await world.connect()
        older = replace(PROJECT, secrets=PROJECT.secrets[1:])
        client.subscribe("private-team", **world.auth(client, "private-team", project=older))
        await client.hear(SUCCEEDED)

    async def test_signed_data_goes_with_it(self, world: World) -> None:
        client = await world.connect()
        client.subscribe("private-team", **world.auth(client, "private-team", {"anything": 1}))
        await client.hear(SUCCEEDED)

    async def test_is_refused_without_a_signature_that_fits(self, world: World) -> None:
        client, other = await world.connect(), await world.connect()
        good = world.auth(client, "private-team")["auth"]
        key, _, signature = good.partition(":")
        foreign = replace(PROJECT, secrets=("another secret",))
        bad = {
            "missing": {},
            "empty": {"auth": ""},
            "without its key": {"auth": signature},
            "of another key": {"auth": f"other:{signature}"},
            "truncated": {"auth": good[:-1]},
            "longer": {"auth": good + "0"},
            "in other letters": {"auth": f"{key}:{signature.upper()}"},
            "not ASCII": {"auth": f"{key}:{signature[:-1]}é"},
            "of another secret": world.auth(client, "private-team", project=foreign),
            "of another socket": world.auth(other, "private-team"),
            "of another channel": world.auth(client, "private-tea"),
            "of a user": world.user_auth(client, {"id": "ann"}),
            "with data that was not signed": {"auth": good, "channel_data": "{}"},
        }
        for what, fields in bad.items():
            if what == "in other letters" and signature.upper() == signature:
                continue
            client.subscribe("private-team", **fields)
            assert await refusal(client, "private-team") == ("unauthenticated", 401), what

    async def test_a_signature_without_its_data_is_refused(self, world: World) -> None:
        client = await world.connect()
        signed = world.auth(client, "private-team", {"anything": 1})
        client.subscribe("private-team", auth=signed["auth"])
        assert await refusal(client, "private-team") == ("unauthenticated", 401)

    async def test_a_signature_dies_with_its_socket(self, world: World) -> None:
        first = await world.connect()
        signed = world.auth(first, "private-team")
        await first.leave()
        second = await world.connect()
        second.subscribe("private-team", **signed)
        assert await refusal(second, "private-team") == ("unauthenticated", 401)

    async def test_a_secret_that_was_rotated_out_is_good_no_more(self, world: World) -> None:
        client = await world.connect()
        signed = world.auth(client, "private-team")
        world.place.change(secrets=("a new secret",))
        await world.connect()  # the project is looked up anew
        client.subscribe("private-team", **signed)
        assert await refusal(client, "private-team") == ("unauthenticated", 401)


class TestPresence:
    @pytest.mark.parity("G11")
    async def test_members_are_told_of_each_other(self, world: World) -> None:
        ann = await world.connect()
        data = {"user_id": "ann", "user_info": {"name": "Ann"}}
        ann.subscribe("presence-lobby", **world.auth(ann, "presence-lobby", data))
        succeeded = await ann.hear(SUCCEEDED)
        assert json.loads(succeeded["data"]) == {
            "presence": {"count": 1, "ids": ["ann"], "hash": {"ann": {"name": "Ann"}}}
        }
        bob = await world.member("presence-lobby", "bob", name="Bob")
        assert await ann.hear() == {
            "event": "pusher_internal:member_added",
            "channel": "presence-lobby",
            "data": '{"user_id":"bob","user_info":{"name":"Bob"}}',
        }
        await bob.leave()
        assert await ann.hear() == {
            "event": "pusher_internal:member_removed",
            "channel": "presence-lobby",
            "data": '{"user_id":"bob"}',
        }

    async def test_a_user_with_two_sockets_is_one_member(self, world: World) -> None:
        ann = await world.member("presence-lobby", "ann")
        first, second = await world.member("presence-lobby", "bob"), await world.member("presence-lobby", "bob")
        await ann.hear("pusher_internal:member_added")
        await ann.hear_nothing()
        await first.leave()
        await ann.hear_nothing()
        second.say("pusher:unsubscribe", {"channel": "presence-lobby"})
        assert await ann.hear_data("pusher_internal:member_removed") == {"user_id": "bob"}

    async def test_a_number_is_taken_for_a_user_id(self, world: World) -> None:
        client = await world.connect()
        client.subscribe("presence-lobby", **world.auth(client, "presence-lobby", {"user_id": 7}))
        assert (await client.hear_data(SUCCEEDED))["presence"]["ids"] == ["7"]

    async def test_whoever_is_signed_in_needs_no_data(self, world: World) -> None:
        client = await world.connect()
        client.say("pusher:signin", world.user_auth(client, {"id": "ann", "user_info": {"name": "Ann"}}))
        await client.hear("pusher:signin_success")
        client.subscribe("presence-lobby", **world.auth(client, "presence-lobby"))
        assert (await client.hear_data(SUCCEEDED))["presence"]["hash"] == {"ann": {"name": "Ann"}}

    async def test_is_refused_to_somebody_without_a_name(self, world: World) -> None:
        client = await world.connect()
        client.subscribe("presence-lobby", **world.auth(client, "presence-lobby"))
        assert await refusal(client, "presence-lobby") == ("unauthenticated", 401)

    @pytest.mark.parametrize(
        "data",
        [
            "no JSON", "[]", "{}", '{"user_id":""}', '{"user_id":null}', '{"user_id":true}', '{"user_id":["a"]}',
            json.dumps({"user_id": "x" * 129}), json.dumps({"user_id": "x", "user_info": "y" * 1_100}),
            f'{{"user_id":"x","user_info":{DEEP}}}',
        ],
    )  # fmt: skip
    async def test_signed_data_that_is_none_is_refused(self, world: World, data: str) -> None:
        client = await world.connect()
        client.subscribe("presence-lobby", **world.auth(client, "presence-lobby", data))
        assert (await refusal(client, "presence-lobby"))[1] in (413, 422)

    async def test_holds_no_more_members_than_it_may_but_more_sockets(self) -> None:
        async with World(presence_members=2) as world:
            await world.member("presence-lobby", "ann")
            await world.member("presence-lobby", "bob")
            await world.member("presence-lobby", "bob")
            late = await world.connect()
            late.subscribe("presence-lobby", **world.auth(late, "presence-lobby", {"user_id": "eve"}))
            assert await refusal(late, "presence-lobby") == ("conflict", 409)

    async def test_of_somebody_who_breaks_off_ends(self, world: World) -> None:
        ann, bob = await world.member("presence-lobby", "ann"), await world.member("presence-lobby", "bob")
        await ann.hear("pusher_internal:member_added")
        bob.hang_up()
        await ann.hear("pusher_internal:member_removed")


class TestClientEvents:
    async def test_reach_the_others_and_not_the_sender(self, world: World) -> None:
        ann, bob = await follow(world, "private-team"), await follow(world, "private-team")
        stranger = await world.connect()
        ann.say("client-hello", {"to": "all"}, channel="private-team")
        assert await bob.hear() == {"event": "client-hello", "channel": "private-team", "data": '{"to":"all"}'}
        await ann.hear_nothing()
        await stranger.hear_nothing()

    async def test_say_who_sent_them_in_a_presence_channel(self, world: World) -> None:
        ann, bob = await world.member("presence-lobby", "ann"), await world.member("presence-lobby", "bob")
        bob.say("client-hello", "hi", channel="presence-lobby", user_id="ann")
        await ann.hear("pusher_internal:member_added")
        assert await ann.hear() == {
            "event": "client-hello",
            "channel": "presence-lobby",
            "data": "hi",
            "user_id": "bob",
        }

    @pytest.mark.parametrize(
        ("data", "arrives"),
        [
            ("text", "text"),
            ('{"a":1}', '{"a":1}'),
            ([1, 2.5, None], "[1,2.5,null]"),
            (None, "{}"),
            ("ünï\u2028", "ünï\u2028"),
        ],
    )
    async def test_data_arrives_as_text(self, world: World, data: object, arrives: str) -> None:
        ann, bob = await follow(world, "private-team"), await follow(world, "private-team")
        ann.say("client-hello", data, channel="private-team")
        assert (await bob.hear())["data"] == arrives

    @pytest.mark.parity("G11")
    async def test_with_an_id_are_acknowledged(self, world: World) -> None:
        ann, bob = await follow(world, "private-team"), await follow(world, "private-team")
        for id in ("a-1", 17):
            ann.say("client-hello", {}, channel="private-team", id=id)
            assert await ann.hear() == {"event": "utd:accepted", "channel": "private-team", "data": "{}", "id": id}
            assert "id" not in await bob.hear("client-hello")

    @pytest.mark.parametrize(
        ("channel", "code"),
        [("private-other", "not_joined"), ("news", "forbidden"), ("private-encrypted-team", "forbidden")],
    )
    async def test_without_right_are_refused(self, world: World, channel: str, code: str) -> None:
        client = await follow(world, "news")
        client.subscribe("private-encrypted-team", **world.auth(client, "private-encrypted-team"))
        await client.hear(SUCCEEDED)
        client.say("client-hello", {}, channel=channel, id="7")
        refused = await client.hear("utd:refused")
        assert (refused["channel"], refused["id"]) == (channel, "7")
        assert json.loads(refused["data"])["code"] == code
        client.say("client-hello", {}, channel=channel)
        assert (await client.hear("pusher:error"))["data"]["code"] is None

    async def test_that_are_too_large_are_refused(self, world: World) -> None:
        ann, bob = await follow(world, "private-team"), await follow(world, "private-team")
        for data in ("x" * 10_241, "é" * 5_121, {"x": "y" * 10_240}):
            ann.say("client-hello", data, channel="private-team", id=1)
            assert json.loads((await ann.hear("utd:refused"))["data"])["code"] == "too_large"
        ann.say("client-hello", "x" * 10_240, channel="private-team", id=1)
        await ann.hear("utd:accepted")
        await bob.hear("client-hello")

    async def test_that_are_too_many_are_refused_and_the_connection_stays(self) -> None:
        async with World(client_events_per_second=10, client_event_burst=3) as world:
            ann, bob = await follow(world, "private-team"), await follow(world, "private-team")
            for number in range(4):
                ann.say("client-hello", number, channel="private-team")
            assert (await ann.hear("pusher:error"))["data"]["code"] == CloseCode.CLIENT_EVENT_RATE
            assert [(await bob.hear())["data"] for _ in range(3)] == ["0", "1", "2"]
            ann.say("client-hello", 4, channel="private-team", id=4)
            assert json.loads((await ann.hear("utd:refused"))["data"])["code"] == "rate_limited"
            await world.clock.advance(0.1)
            ann.say("client-hello", 5, channel="private-team")
            assert (await bob.hear())["data"] == "5"

    @pytest.mark.parametrize("event", ["hello", "pusher:hello", "pusher_internal:member_added", "utd:accepted", ""])
    async def test_are_only_those_with_the_prefix(self, world: World, event: str) -> None:
        ann, bob = await follow(world, "private-team"), await follow(world, "private-team")
        ann.say(event, {}, channel="private-team")
        await ann.hear("pusher:error")
        await bob.hear_nothing()

    async def test_come_in_the_order_in_which_they_were_sent(self, world: World) -> None:
        ann, bob = await follow(world, "private-team"), await follow(world, "private-team")
        for number in range(50):
            ann.say("client-count", number, channel="private-team")
        assert [(await bob.hear())["data"] for _ in range(50)] == [str(number) for number in range(50)]


class TestServerToUser:
    async def test_is_for_that_user(self, world: World) -> None:
        client = await world.connect()
        client.subscribe("#server-to-user-ann")
        assert await refusal(client, "#server-to-user-ann") == ("forbidden", 403)
        client.say("pusher:signin", world.user_auth(client, {"id": "ann"}))
        await client.hear("pusher:signin_success")
        client.subscribe("#server-to-user-bob")
        assert await refusal(client, "#server-to-user-bob") == ("forbidden", 403)
        client.subscribe("#server-to-user-ann")
        await client.hear(SUCCEEDED)
