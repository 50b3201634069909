"""Channels of the engine: who may follow them, and what comes when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from utd_core.model.commands import (
    CreateBan,
    StartCall,
    TakeSeat,
)
from utd_core.model.stream_type import UTDStreamType

from .asgi_client import AsgiClient
from .follow import REFUSED, SUCCEEDED, offsets, refused, sit
from .world import CHANNEL, ROOM, World


class TestRight:
    async def test_of_who_is_in_the_room(self, room: World) -> None:
        client = await room.user("ann")
        client.subscribe(CHANNEL)
        succeeded = await client.hear(SUCCEEDED)
        assert succeeded["channel"] == CHANNEL
        assert succeeded["data"] == "{}"
        assert succeeded["offset"] > 0
        assert "recovered" not in succeeded

    async def test_of_nobody_else(self, room: World) -> None:
        client = await room.user("eve")
        for channel, code in (
            (CHANNEL, "not_joined"),
            ("private-room.elsewhere", "room_not_found"),
            ("private-user.ann", "forbidden"),
            ("private-call.none", "call_not_found"),
        ):
            client.subscribe(channel)
            assert await refused(client, channel) == code

    async def test_of_a_call_is_its_parties(self, room: World) -> None:
        call = await room.do("ann", StartCall(callee="host", type=UTDStreamType.AUDIO_CALL))
        channel = f"private-call.{call.call_id}"
        for identity in ("ann", "host"):
            await room.follower(identity, channel)
        eve = await room.user("eve")
        eve.subscribe(channel)
        assert await refused(eve, channel) == "call_not_found"

    async def test_needs_somebody(self, room: World) -> None:
        client = await room.connect()
        client.subscribe(CHANNEL)
        assert await refused(client, CHANNEL) == "unauthenticated"

    async def test_may_be_signed_together_with_who_it_is(self, room: World) -> None:
        client = await room.connect()
        client.subscribe(CHANNEL, **room.auth(client, CHANNEL, {"user_id": "ann"}))
        await client.hear(SUCCEEDED)

    async def test_is_not_had_by_a_signature_for_somebody_who_is_not_there(self, room: World) -> None:
        client = await room.connect()
        client.subscribe(CHANNEL, **room.auth(client, CHANNEL, {"user_id": "eve"}))
        assert await refused(client, CHANNEL) == "not_joined"

    async def test_is_not_had_by_a_signature_that_names_nobody(self, room: World) -> None:
        client = await room.connect()
        client.subscribe(CHANNEL, **room.auth(client, CHANNEL))
        assert await refused(client, CHANNEL) == "unauthenticated"

    @pytest.mark.parametrize("name", ["$server", "$system", "", " ann", 7, None, "a" * 129])
    async def test_is_not_had_by_a_name_that_is_none(self, room: World, name: Any) -> None:
        client = await room.connect()
        client.subscribe(CHANNEL, **room.auth(client, CHANNEL, {"user_id": name}))
        assert await refused(client, CHANNEL) == "invalid_identity"

    async def test_is_not_had_by_signing_in_as_the_server(self, room: World) -> None:
        client = await room.connect()
        client.say("pusher:signin", room.user_auth(client, {"id": "$server"}))
        await client.hear("pusher:signin_success")
        client.subscribe(CHANNEL)
        assert await refused(client, CHANNEL) == "unauthenticated"

    async def test_a_room_whose_name_reads_like_a_signature_deceives_nobody(self, room: World) -> None:
        """`socket:private-room.lounge:{"user_id":"ann",...` may be a room's name, and is signed for who is in there."""
        name = 'lounge:{"user_id":"ann","x":[0'
        await room.join("eve", name, as_host=True)
        eve = await room.connect()
        signed = room.auth(eve, f"private-room.{name}", {"user_id": "eve"})
        eve.subscribe(CHANNEL, auth=signed["auth"], channel_data=f"{name[7:]}:{signed['channel_data']}")
        assert await refused(eve, CHANNEL) == "unauthenticated"
        eve.subscribe(f"private-room.{name}", **signed)
        await eve.hear(SUCCEEDED)

    async def test_is_not_taken_from_a_channel_that_is_refused(self, room: World) -> None:
        client = await room.user("eve")
        for number in range(20):
            client.subscribe(f"private-room.guess-{number}")
            await client.hear(REFUSED)
        assert room.hub.channels.is_empty, "nothing is kept for names that somebody made up"


class TestEvents:
    async def test_carry_their_place_and_what_happened(self, room: World) -> None:
        client = await room.follower("ann")
        await room.do("host", TakeSeat(room=ROOM, index=2))
        event = await client.hear("seat_taken")
        assert json.loads(event.pop("data")) == {"room": ROOM, "index": 2, "identity": "host", "by": "host"}
        head = await room.engine.subscribe(CHANNEL)
        assert event == {
            "event": "seat_taken",
            "channel": CHANNEL,
            "epoch": head.head.epoch,
            "offset": head.head.offset,
            "kind": "room",
            "key": ROOM,
            "at": room.clock.now(),
        }
        room.engine.unsubscribe(head)

    async def test_of_a_call_name_the_call(self, room: World) -> None:
        client = await room.follower("host", "private-user.host")
        call = await room.do("ann", StartCall(callee="host", type=UTDStreamType.AUDIO_CALL))
        event = await client.hear("call_started")
        assert (event["kind"], event["key"]) == ("call", call.call_id)
        assert json.loads(event["data"])["call"] == call.call_id

    async def test_are_numbered_without_a_hole(self, room: World) -> None:
        client = await room.user("ann")
        client.subscribe(CHANNEL)
        head = (await client.hear(SUCCEEDED))["offset"]
        await sit(room, 10)
        assert await offsets(client, 20) == list(range(head + 1, head + 21))

    async def test_are_made_into_a_message_once_for_all_sockets(self, room: World) -> None:
        clients = [await room.follower("ann") for _ in range(5)]
        (channel,) = list(room.hub.channels)
        frames = []
        hand_out = channel.hand_out

        async def watched(frame: Any, skip: str = "") -> None:
            frames.append(frame)
            await hand_out(frame, skip)

        channel.hand_out = watched  # type: ignore[method-assign]  # to look at what passes
        await room.do("host", TakeSeat(room=ROOM, index=2))
        for client in clients:
            await client.hear("seat_taken")
        assert len(frames) == 1

    async def test_need_one_subscription_for_all_sockets(self, room: World) -> None:
        before = room.engine.statistics().subscriptions
        for _ in range(5):
            await room.follower("ann")
        assert room.engine._broker is not None
        assert room.engine._broker.statistics().subscriptions == 1
        assert room.engine.statistics().subscriptions == before + 5, "five rights, as the engine sees it"

    async def test_of_more_sockets_than_are_served_at_once_reach_all(
        self, room: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("utd_core.server.pusher.channel.AT_ONCE", 3)
        clients = [await room.follower("ann") for _ in range(10)]
        await sit(room, 3)
        heard = [await offsets(client, 6) for client in clients]
        assert all(each == heard[0] for each in heard)


class TestCallTalk:
    async def test_goes_between_the_two_parties(self, room: World) -> None:
        call = await room.do("ann", StartCall(callee="host", type=UTDStreamType.AUDIO_CALL))
        channel = f"private-call.{call.call_id}"
        ann, host = await room.follower("ann", channel), await room.follower("host", channel)
        ann.say("client-offer", {"sdp": "v=0"}, channel=channel, id=1)
        assert await host.hear() == {
            "event": "client-offer",
            "channel": channel,
            "data": '{"sdp":"v=0"}',
            "user_id": "ann",
        }
        await ann.hear("utd:accepted")
        await ann.hear_nothing()

    async def test_is_refused_in_rooms_and_to_persons(self, room: World) -> None:
        client = await room.follower("ann")
        client.subscribe("private-user.ann")
        await client.hear(SUCCEEDED)
        for channel in (CHANNEL, "private-user.ann"):
            client.say("client-hello", {}, channel=channel, id=1)
            assert json.loads((await client.hear("utd:refused"))["data"])["code"] == "forbidden"


async def test_a_refusal_carries_its_particulars(room: World) -> None:
    await room.do("host", CreateBan(room=ROOM, identity="ann", reason="noise", duration=60.0))
    client = await room.user("ann")
    client.subscribe(CHANNEL)
    data = json.loads((await client.hear(REFUSED))["data"])
    assert data["code"] == "banned"
    assert data["details"]["reason"] == "noise"


async def test_signing_in_before_the_greeting_is_read_is_fine(room: World) -> None:
    client = AsgiClient(room.app)
    client.say("pusher:signin", {"token": await room.token("ann")})
    client.subscribe(CHANNEL)
    async with client:
        await client.hear("pusher:signin_success")
        await client.hear(SUCCEEDED)
