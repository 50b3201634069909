"""When the right to follow a channel of the engine ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from utd_core.model.commands import (
    CreateBan,
    EndRoom,
    LeaveRoom,
    RemoveParticipant,
)
from utd_core.server.pusher import CloseCode
from utd_core.server.pusher.identities import channel_data

from .follow import REFUSED, SUCCEEDED, offsets, refused, sit
from .world import CHANNEL, ROOM, World


class TestEnd:
    async def test_comes_after_the_last_event_when_somebody_is_removed(self, room: World) -> None:
        client = await room.follower("ann")
        await room.do("host", RemoveParticipant(room=ROOM, identity="ann", reason="noise"))
        await sit(room)
        await client.hear("participant_removed")
        end = await client.hear(REFUSED)
        assert json.loads(end["data"]) == {
            "type": "AuthError",
            "error": "removed by host: noise",
            "status": 403,
            "code": "forbidden",
        }
        await client.hear_nothing()

    async def test_comes_to_a_follower_by_signature_too(self, room: World) -> None:
        """The signature says who it is; it gives no right that outlives the engine's."""
        client = await room.connect()
        signed = room.auth(client, CHANNEL, {"user_id": "ann"})
        client.subscribe(CHANNEL, **signed)
        await client.hear(SUCCEEDED)
        await room.do("host", CreateBan(room=ROOM, identity="ann", reason="noise"))
        while (event := await client.hear())["event"] != REFUSED:
            pass
        assert json.loads(event["data"])["code"] == "banned"
        await sit(room)
        await client.hear_nothing()
        client.subscribe(CHANNEL, **signed)
        assert await refused(client, CHANNEL) == "banned"

    async def test_reaches_every_device_and_nobody_else(self, room: World) -> None:
        phone, laptop, host = await room.follower("ann"), await room.follower("ann"), await room.follower("host")
        await room.do("host", RemoveParticipant(room=ROOM, identity="ann"))
        for client in (phone, laptop):
            await client.hear("participant_removed")
            await client.hear(REFUSED)
        await host.hear("participant_removed")
        await sit(room)
        await host.hear("seat_taken")
        for client in (phone, laptop):
            await client.hear_nothing()

    async def test_by_leaving_and_by_the_end_of_the_room_is_no_error(self, room: World) -> None:
        ann, host = await room.follower("ann"), await room.follower("host")
        await room.do("ann", LeaveRoom(room=ROOM))
        assert await ann.hear() == {"event": "utd:unsubscribed", "channel": CHANNEL, "data": "{}"}
        await room.do("host", EndRoom(room=ROOM))
        await host.hear("room_ended")
        await host.hear("utd:unsubscribed")

    async def test_while_events_wait_to_be_handed_out_leaves_out_none_and_adds_none(self, room: World) -> None:
        client = await room.follower("ann")
        (channel,) = list(room.hub.channels)
        hand_out, gate = channel.hand_out, asyncio.Event()

        async def slow(frame: Any, skip: str = "") -> None:
            await gate.wait()
            await hand_out(frame, skip)

        channel.hand_out = slow  # type: ignore[method-assign]  # to hold what passes
        await sit(room, 3)
        await room.do("host", RemoveParticipant(room=ROOM, identity="ann"))
        await sit(room, 3)
        gate.set()
        events = [(await client.hear())["event"] for _ in range(8)]
        assert events == [*["seat_taken", "seat_left"] * 3, "participant_removed", REFUSED]
        await client.hear_nothing()

    async def test_while_an_event_is_handed_out_in_parts(self, room: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("utd_core.server.pusher.channel.AT_ONCE", 1)
        crowd = [await room.follower("host") for _ in range(3)]
        ann = await room.follower("ann")
        crowd += [await room.follower("host") for _ in range(3)]
        await asyncio.gather(sit(room, 4), room.do("host", RemoveParticipant(room=ROOM, identity="ann")))
        heard = []
        while (event := await ann.hear())["event"] != REFUSED:
            heard.append(event["event"])
        assert "participant_removed" in heard
        await ann.hear_nothing()
        for client in crowd:
            places = await offsets(client, 9)
            assert places == list(range(places[0], places[0] + 9))

    async def test_while_somebody_subscribes_is_told_at_once(
        self, room: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = await room.user("ann")
        subscribe, gate = room.engine.subscribe, asyncio.Event()

        async def slow(*args: Any, **options: Any) -> Any:
            await gate.wait()
            return await subscribe(*args, **options)

        monkeypatch.setattr(room.engine, "subscribe", slow)
        client.subscribe(CHANNEL)
        await room.clock.settle()
        await room.do("host", RemoveParticipant(room=ROOM, identity="ann"))
        gate.set()
        assert await refused(client, CHANNEL) == "forbidden"
        await sit(room)
        await client.hear_nothing()

    async def test_of_a_connection_gives_the_right_back(self, room: World) -> None:
        before = room.engine.statistics().subscriptions
        first, second = await room.follower("ann"), await room.follower("ann")
        first.say("pusher:unsubscribe", {"channel": CHANNEL})
        await first.hear_nothing()
        await second.leave()
        assert room.engine.statistics().subscriptions == before

    async def test_of_a_token_sends_its_connection_to_get_a_new_one(self) -> None:
        async with World(engine={"user_token_ttl": 100.0}) as world:
            await world.join("ann", as_host=True)
            client = await world.follower("ann")
            await world.clock.advance(80)
            await client.hear_nothing()
            client.say("pusher:signin", {"token": await world.token("ann")})
            await client.hear("pusher:signin_success")
            await world.clock.advance(80)
            await client.hear_nothing()
            await world.clock.advance(40)
            assert await client.closed() == CloseCode.RECONNECT

    async def test_of_the_token_by_which_a_channel_was_signed(self, room: World) -> None:
        from utd_core.model.command import Actor

        client = await room.connect()
        data = channel_data(Actor("ann"), room.clock.now() + 50)
        client.subscribe(CHANNEL, **room.auth(client, CHANNEL, data))
        await client.hear(SUCCEEDED)
        await room.clock.advance(62)
        assert await client.closed() == CloseCode.RECONNECT
