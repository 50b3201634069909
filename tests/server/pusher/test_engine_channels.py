"""Channels of the engine: who may follow them, what comes when, and when it ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from utd_core.errors import Closed, StoreFailed
from utd_core.model.commands import (
    CreateBan,
    EndRoom,
    LeaveRoom,
    LeaveSeat,
    RemoveParticipant,
    StartCall,
    TakeSeat,
    UpdateMetadata,
)
from utd_core.model.stream_type import UTDStreamType
from utd_core.server.pusher import CloseCode
from utd_core.server.pusher.identities import channel_data

from .asgi_client import AsgiClient
from .world import CHANNEL, ROOM, World

SUCCEEDED = "pusher_internal:subscription_succeeded"
REFUSED = "pusher:subscription_error"


async def refused(client: AsgiClient, channel: str) -> str:
    message = await client.hear(REFUSED)
    assert message["channel"] == channel
    return str(json.loads(message["data"])["code"])


async def sit(world: World, times: int = 1) -> None:
    """Two events each time."""
    for _ in range(times):
        await world.do("host", TakeSeat(room=ROOM, index=2))
        await world.do("host", LeaveSeat(room=ROOM))


async def offsets(client: AsgiClient, count: int) -> list[int]:
    return [(await client.hear())["offset"] for _ in range(count)]


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


class TestRecovery:
    @staticmethod
    async def missed(room: World, count: int) -> tuple[str, int]:
        """The place of somebody who then misses this many events (a multiple of two)."""
        client = await room.user("ann")
        client.subscribe(CHANNEL)
        succeeded = await client.hear(SUCCEEDED)
        await client.leave()
        await sit(room, count // 2)
        return succeeded["epoch"], succeeded["offset"]

    @pytest.mark.parametrize("count", [0, 2, 40, 100, 300])
    async def test_replays_everything_that_was_missed_and_goes_on(self, room: World, count: int) -> None:
        epoch, offset = await self.missed(room, count)
        client = await room.user("ann")
        client.subscribe(CHANNEL, recover={"epoch": epoch, "offset": offset})
        succeeded = await client.hear(SUCCEEDED)
        assert (succeeded["recovered"], succeeded["epoch"], succeeded["offset"]) == (True, epoch, offset + count)
        await sit(room)
        assert await offsets(client, count + 2) == list(range(offset + 1, offset + count + 3))
        await client.hear_nothing()

    async def test_after_the_channel_was_forgotten(self, room: World) -> None:
        epoch, offset = await self.missed(room, 10)
        await room.clock.advance(room.settings.linger + 2)
        assert room.hub.channels.is_empty
        await sit(room)
        client = await room.user("ann")
        client.subscribe(CHANNEL, recover={"epoch": epoch, "offset": offset})
        assert (await client.hear(SUCCEEDED))["recovered"] is True
        assert await offsets(client, 12) == list(range(offset + 1, offset + 13))

    @pytest.mark.parametrize(
        ("place", "why"),
        [
            (lambda epoch, offset: {"epoch": epoch, "offset": offset + 100}, "the future"),
            (lambda epoch, offset: {"epoch": "another", "offset": offset}, "another epoch"),
            (lambda epoch, offset: {"epoch": "", "offset": 0}, "no epoch"),
            (lambda epoch, offset: {"epoch": epoch, "offset": 10**30}, "a very distant future"),
        ],
    )
    async def test_of_a_place_that_is_none_is_honestly_refused(self, room: World, place: Any, why: str) -> None:
        epoch, offset = await self.missed(room, 4)
        client = await room.user("ann")
        client.subscribe(CHANNEL, recover=place(epoch, offset))
        succeeded = await client.hear(SUCCEEDED)
        assert (succeeded["recovered"], succeeded["epoch"], succeeded["offset"]) == (False, epoch, offset + 4), why
        await sit(room)
        assert await offsets(client, 2) == [offset + 5, offset + 6]

    @pytest.mark.parametrize(
        "recover",
        [
            [], "yes", 7, {}, {"epoch": "e"}, {"offset": 1}, {"epoch": 1, "offset": 1}, {"epoch": "e", "offset": -1},
            {"epoch": "e", "offset": "1"}, {"epoch": "e", "offset": True}, {"epoch": "e", "offset": 1.5},
        ],
    )  # fmt: skip
    async def test_of_what_is_no_place_is_refused(self, room: World, recover: Any) -> None:
        client = await room.user("ann")
        client.subscribe(CHANNEL, recover=recover)
        assert await refused(client, CHANNEL) == "invalid_input"

    async def test_of_more_than_is_replayed_is_honestly_refused(self) -> None:
        async with World(replay_events=10) as world:
            await world.join("host", as_host=True)
            await world.join("ann")
            epoch, offset = await self.missed(world, 12)
            client = await world.user("ann")
            client.subscribe(CHANNEL, recover={"epoch": epoch, "offset": offset})
            assert (await client.hear(SUCCEEDED))["recovered"] is False

    async def test_of_more_bytes_than_may_wait_is_honestly_refused(self) -> None:
        async with World(queue_bytes=100_000) as world:
            await world.join("host", as_host=True)
            await world.join("ann")
            epoch, offset = await self.missed(world, 0)
            for revision in range(3):
                await world.do("host", UpdateMetadata(room=ROOM, metadata={"x": "y" * 30_000}, revision=revision))
            client = await world.user("ann")
            client.subscribe(CHANNEL, recover={"epoch": epoch, "offset": offset})
            assert (await client.hear(SUCCEEDED))["recovered"] is False
            client.say("pusher:unsubscribe", {"channel": CHANNEL})
            client.subscribe(CHANNEL, recover={"epoch": epoch, "offset": offset + 2})
            assert (await client.hear(SUCCEEDED))["recovered"] is True

    async def test_of_what_the_store_has_lost_is_honestly_refused(self) -> None:
        async with World(engine={"history_events": 5, "history_seconds": 1.0, "prune_interval": 5.0}) as world:
            await world.join("host", as_host=True)
            await world.join("ann")
            epoch, offset = await self.missed(world, 600)
            await world.clock.advance(world.settings.linger + 10)
            client = await world.user("ann")
            client.subscribe(CHANNEL, recover={"epoch": epoch, "offset": offset + 20})
            succeeded = await client.hear(SUCCEEDED)
            assert (succeeded["recovered"], succeeded["offset"]) == (False, offset + 600)

    async def test_from_a_snapshot_that_is_newer_than_what_was_handed_out(self, room: World) -> None:
        """The place of a snapshot is that of the store; the channel's task has not come to the last events yet."""
        first = await room.follower("ann")
        subscription = await room.engine.subscribe(CHANNEL)
        second = await room.user("ann")
        task = asyncio.ensure_future(sit(room, 1))
        second.subscribe(CHANNEL, recover={"epoch": subscription.head.epoch, "offset": subscription.head.offset + 2})
        await task
        succeeded = await second.hear(SUCCEEDED)
        await sit(room, 1)
        heard = await offsets(second, 2)
        start = subscription.head.offset
        if succeeded["recovered"]:
            assert heard == [start + 3, start + 4]
        else:
            assert heard[0] == succeeded["offset"] + 1
        assert await offsets(first, 4) == list(range(start + 1, start + 5))
        room.engine.unsubscribe(subscription)

    async def test_of_many_who_come_back_while_events_go_on(self, room: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("utd_core.server.pusher.engine_channel._KEEP", 4)
        monkeypatch.setattr("utd_core.server.pusher.channel.AT_ONCE", 3)
        epoch, offset = await self.missed(room, 60)
        clients = [await room.user("ann") for _ in range(12)]
        for number, client in enumerate(clients):
            client.subscribe(CHANNEL, recover={"epoch": epoch, "offset": offset + number})
        await sit(room, 20)
        for number, client in enumerate(clients):
            heard: list[int] = []
            succeeded: dict[str, Any] | None = None
            while not heard or heard[-1] < offset + 100:
                message = await client.hear()
                if message["event"] == SUCCEEDED:
                    succeeded = message
                else:
                    heard.append(message["offset"])
            assert succeeded is not None
            assert succeeded["recovered"] is True
            assert heard == list(range(offset + number + 1, offset + 101))

    async def test_is_of_no_use_in_a_channel_of_the_application(self, world: World) -> None:
        client = await world.connect()
        client.subscribe("news", recover={"epoch": "e", "offset": 1})
        assert "recovered" not in await client.hear(SUCCEEDED)


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


class TestBrokenStream:
    async def test_that_can_be_resumed_is_not_noticed(self, room: World) -> None:
        client = await room.follower("ann")
        (channel,) = list(room.hub.channels)
        await sit(room, 1)
        await offsets(client, 2)
        channel._subscription.events.close(Closed("fell behind"))  # type: ignore[attr-defined]
        await sit(room, 3)
        heard = await offsets(client, 6)
        assert heard == list(range(heard[0], heard[0] + 6))
        await client.hear_nothing()

    @pytest.mark.parametrize("error", [StoreFailed("the disk is away"), None])
    async def test_that_cannot_makes_everybody_reconnect(
        self, room: World, monkeypatch: pytest.MonkeyPatch, error: Exception | None
    ) -> None:
        client, elsewhere = await room.follower("ann"), await room.follower("host", "private-user.host")
        (channel,) = [each for each in room.hub.channels if each.name == CHANNEL]
        subscribe = room.engine.subscribe

        async def lossy(name: str, **options: Any) -> Any:
            if error is not None:
                raise error
            return await subscribe(name, capacity=options["capacity"])  # without a place: not recovered

        monkeypatch.setattr(room.engine, "subscribe", lossy)
        channel._subscription.events.close(Closed("fell behind"))  # type: ignore[attr-defined]
        assert await client.closed() == CloseCode.RECONNECT
        await elsewhere.hear_nothing()
        monkeypatch.undo()
        await room.follower("ann")
        await sit(room)

    async def test_by_the_end_of_the_engine_makes_everybody_reconnect(self, room: World) -> None:
        client = await room.follower("ann")
        await room.engine.aclose()
        assert await client.closed() == CloseCode.RECONNECT

    async def test_by_a_fault_of_ours_makes_everybody_reconnect(
        self, room: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = await room.follower("ann")

        def fault(*_: object) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr("utd_core.server.pusher.recent.engine_event", fault)
        await sit(room)
        assert await client.closed() == CloseCode.RECONNECT

    async def test_is_refused_by_an_engine_that_has_ended_as_unavailable(self, room: World) -> None:
        client = await room.user("ann")
        await room.engine.aclose()
        client.subscribe(CHANNEL)
        assert await refused(client, CHANNEL) == "unavailable"


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
