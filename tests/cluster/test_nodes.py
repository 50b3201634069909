"""Any node serves any command and any socket, whichever of them holds the project."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from utd_core.errors import Closed, NotFound, StoreFailed, Unavailable
from utd_core.model.call import CallEnded
from utd_core.model.command import Actor
from utd_core.model.commands import (
    CreateSession,
    GetRoom,
    LeaveSeat,
    ListParticipants,
    RemoveParticipant,
    StartCall,
    TakeSeat,
)
from utd_core.model.seats import SeatLeft
from utd_core.model.stream_type import UTDStreamType
from utd_core.model.wire import PLACE_HEADER
from utd_core.server.hosting.host import INTERVAL
from utd_core.server.projects import ProjectLimits
from utd_core.server.pusher import CloseCode
from utd_core.store.base import Head
from utd_core.store.sql_store import SqlStore

from .world import CHANNEL, PROJECT, ROOM, TAKEOVER, Node, World

ENDED, SUCCEEDED = "pusher:subscription_error", "pusher_internal:subscription_succeeded"
HOST = Actor("host")


async def sit(node: Node, index: int, actor: Actor = HOST) -> None:
    await (await node.relay()).execute(TakeSeat(room=ROOM, index=index), actor=actor)


async def stand(node: Node, actor: Actor = HOST) -> None:
    await (await node.relay()).execute(LeaveSeat(room=ROOM), actor=actor)


class TestCommands:
    async def test_go_to_the_one_engine_there_is(self, world: World) -> None:
        first, second, third = await world.start_three()
        await sit(second, 3)
        snapshot = await (await third.relay()).execute(GetRoom(room=ROOM))
        assert snapshot.room.grid.seats[3].identity == "host"
        assert [node.holds for node in (first, second, third)] == [True, False, False]
        assert second.host.cluster.statistics().forwarded == 1
        assert first.host.cluster.statistics().answered == 2

    async def test_over_http_are_answered_as_by_the_holder(self, world: World) -> None:
        first, second, _ = await world.start_three()
        path = f"/api/v1/rooms/{ROOM}"
        answers = [await node.http.get(path) for node in (first, second)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].content == answers[1].content
        assert answers[0].headers[PLACE_HEADER] == answers[1].headers[PLACE_HEADER]

    async def test_are_refused_with_the_same_words(self, world: World) -> None:
        first, second, _ = await world.start_three()
        errors = []
        for node in (first, second):
            with pytest.raises(NotFound) as caught:
                await (await node.relay()).execute(GetRoom(room="nowhere"))
            errors.append((caught.value.message, caught.value.code, caught.value.status_code, caught.value.details))
        assert errors[0] == errors[1]

    async def test_keep_the_fields_that_were_not_given_apart(self, world: World) -> None:
        """A join without a device is that of the token's."""
        _, second, _ = await world.start_three()
        relay = await second.relay()
        session = await relay.execute(CreateSession(identity="ann", device_id="phone"))
        headers = {"Authorization": f"Bearer {session.user_token}"}
        del second.http.headers["X-App-Id"], second.http.headers["X-App-Secret"]
        joined = await second.http.post("/api/v1/token", json={"room": ROOM, "type": "audio_room"}, headers=headers)
        assert joined.status_code == 200, joined.text
        present = await relay.execute(ListParticipants(room=ROOM))
        assert {each.identity: each.devices for each in present.data}["ann"] == ("phone",)

    async def test_with_one_key_are_done_once_whichever_nodes_they_come_by(self, world: World) -> None:
        nodes = await world.start_three()
        start = StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob")
        relays = [await node.relay() for node in nodes]
        calls = await asyncio.gather(
            *(relay.execute(start, actor=Actor("ann"), idempotency_key="k") for relay in relays for _ in range(3))
        )
        assert len({call.call_id for call in calls}) == 1

    async def test_whose_answer_is_lost_are_not_done_twice(self, world: World) -> None:
        first, second, _ = await world.start_three()
        lost: list[bytes] = []

        def lose_one(topic: str, message: bytes) -> bool:
            if topic.startswith("answers/") and not lost and b"done" in message:
                lost.append(message)
                return True
            return False

        await sit(second, 0)
        second.cable.drop = lose_one
        await world.run(stand(second))
        assert lost
        assert first.host.cluster.statistics().answered == 3, "asked twice"
        store = world.store.scoped(PROJECT.app_id)
        await store.open()
        history = await store.history(CHANNEL, (await store.head(CHANNEL)).epoch, 0, 99)
        assert [type(each.event) for each in history or ()].count(SeatLeft) == 1

    async def test_a_token_of_one_node_is_good_on_all(self, world: World) -> None:
        first, second, _ = await world.start_three()
        session = await (await second.relay()).execute(CreateSession(identity="ann"))
        for node in (first, second):
            async with httpx.AsyncClient(transport=httpx.ASGITransport(node.app), base_url="http://utd") as http:
                answer = await http.get("/api/v1/rooms", headers={"Authorization": f"Bearer {session.user_token}"})
                assert answer.status_code == 200


class TestLimits:
    async def test_of_a_plan_count_the_commands_of_all_nodes_together(self) -> None:
        async with World(limits=ProjectLimits(commands_per_second=1.0, burst=6)) as world:
            nodes = first, second, third = [await world.start() for _ in range(3)]
            for node in (first, second, third, third, second, first):
                assert (await node.http.get("/api/v1/rooms")).status_code == 200
            assert first.holds
            for node in nodes:
                refused = await node.http.get("/api/v1/rooms")
                assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
                assert refused.headers["retry-after"]
            await world.clock.advance(2.1)
            answers = [await node.http.get("/api/v1/rooms") for node in nodes]
            assert [answer.status_code for answer in answers] == [200, 200, 429]

    async def test_of_one_identity_are_not_those_of_the_applications_server(self) -> None:
        async with World(limits=ProjectLimits(identity_commands_per_second=1.0, identity_burst=3)) as world:
            first, second = [await world.start() for _ in range(2)]
            session = await (await first.relay()).execute(CreateSession(identity="ann"))
            ann = {"Authorization": f"Bearer {session.user_token}"}
            said = []
            for node in (first, second, first, second):
                transport = httpx.ASGITransport(node.app)
                async with httpx.AsyncClient(transport=transport, base_url="http://utd", headers=ann) as http:
                    said.append((await http.get("/api/v1/rooms")).status_code)
            assert said == [200, 200, 200, 429]
            assert (await second.http.get("/api/v1/rooms")).status_code == 200

    async def test_do_not_refuse_what_may_be_done_already(self) -> None:
        async with World(limits=ProjectLimits(commands_per_second=0.01, burst=1)) as world:
            first, second = [await world.start() for _ in range(2)]
            await (await first.relay()).find()
            lost: list[bytes] = []

            def lose_one(topic: str, message: bytes) -> bool:
                if topic.startswith("answers/") and not lost and b"done" in message:
                    lost.append(message)
                    return True
                return False

            second.cable.drop = lose_one
            made = await world.run(second.http.post("/api/v1/rooms", json={"room": "lobby", "type": "audio_room"}))
            assert lost
            assert made.status_code == 201


class TestSockets:
    async def test_hear_what_happens_on_any_node_in_order(self, world: World) -> None:
        nodes = await world.start_three()
        followers = [await node.follow("host") for node in nodes]
        for turn in range(12):
            await sit(nodes[turn % 3], turn % 8)
            await stand(nodes[(turn + 1) % 3])
        await world.clock.settle()
        heard = [[(await each.hear())["offset"] for _ in range(24)] for each in followers]
        assert heard[0] == list(range(heard[0][0], heard[0][0] + 24))
        assert heard[1] == heard[2] == heard[0]

    async def test_recover_on_another_node_what_they_missed(self, world: World) -> None:
        first, second, _ = await world.start_three()
        before = await first.follow("host")
        await sit(second, 1)
        place = await before.hear()
        for _ in range(5):
            await stand(first)
            await sit(first, 1)
        after = await second.connect("host")
        after.subscribe(CHANNEL, recover={"epoch": place["epoch"], "offset": place["offset"]})
        assert (await after.hear(SUCCEEDED))["recovered"] is True
        assert [(await after.hear())["offset"] for _ in range(10)] == [place["offset"] + n for n in range(1, 11)]

    async def test_that_were_faster_than_the_stream_to_their_next_node_miss_nothing(self, world: World) -> None:
        first, second, _ = await world.start_three()
        ahead, behind = await first.follow("host"), await second.follow("host")
        late: list[bytes] = []

        def hold_back(topic: str, message: bytes) -> bool:
            if is_held := topic.endswith("/streams"):
                late.append(message)
            return is_held

        second.cable.drop = hold_back
        await sit(first, 1)
        place = await ahead.hear()
        again = await second.connect("host")
        again.subscribe(CHANNEL, recover={"epoch": place["epoch"], "offset": place["offset"]})
        await world.clock.settle()
        second.cable.drop = lambda topic, message: False
        for message in late:
            await second.host.cluster._hear(message)
        succeeded = await again.hear(SUCCEEDED)
        assert (succeeded["recovered"], succeeded["offset"]) == (True, place["offset"])
        await stand(first)
        assert (await again.hear())["offset"] == place["offset"] + 1
        assert [(await behind.hear())["offset"] for _ in range(2)] == [place["offset"], place["offset"] + 1]

    async def test_that_were_faster_than_a_stream_which_broke_miss_nothing(self, world: World) -> None:
        first, second, _ = await world.start_three()
        ahead, behind = await first.follow("host"), await second.follow("host")
        second.cable.drop = lambda topic, message: topic.endswith("/streams")
        await sit(first, 1)
        place = await ahead.hear()
        again = await second.connect("host")
        again.subscribe(CHANNEL, recover={"epoch": place["epoch"], "offset": place["offset"]})
        await world.clock.settle()
        second.cable.drop = lambda topic, message: False
        succeeded = await world.run(again.hear(SUCCEEDED))
        assert (succeeded["recovered"], succeeded["offset"]) == (True, place["offset"])
        await stand(first)
        assert (await again.hear())["offset"] == place["offset"] + 1
        assert [(await behind.hear())["offset"] for _ in range(2)] == [place["offset"], place["offset"] + 1]

    async def test_do_not_wait_for_a_place_that_nobody_ever_was_at(self, world: World) -> None:
        first, second, _ = await world.start_three()
        ahead = await first.follow("host")
        await second.follow("host")
        await sit(first, 1)
        place = await ahead.hear()
        now = world.clock.monotonic()
        again = await second.connect("host")
        again.subscribe(CHANNEL, recover={"epoch": place["epoch"], "offset": place["offset"] + 1})
        assert (await again.hear(SUCCEEDED))["recovered"] is False
        assert world.clock.monotonic() == now

    async def test_are_let_in_and_go_by_the_word_of_the_holder(self, world: World) -> None:
        first, second, _ = await world.start_three()
        stranger = await second.connect("eve")
        stranger.subscribe(CHANNEL)
        assert json.loads((await stranger.hear(ENDED))["data"])["code"] == "not_joined"
        await world.join(second, "ann")
        client = await second.follow("ann")
        await sit(first, 2)
        await (await first.relay()).execute(RemoveParticipant(room=ROOM, identity="ann"), actor=HOST)
        await stand(first)
        await world.clock.settle()
        events = [await client.hear() for _ in range(3)]
        assert [event["event"] for event in events][-1] == ENDED
        assert json.loads(events[-1]["data"])["code"] == "forbidden"
        await client.hear_nothing()

    async def test_that_nobody_follows_any_more_are_not_streamed(self, world: World) -> None:
        first, second, _ = await world.start_three()
        client = await second.follow("host")
        holding = first.host.cluster._holdings[PROJECT.app_id]
        assert list(holding._followers) == [CHANNEL]
        client.say("pusher:unsubscribe", {"channel": CHANNEL})
        await client.hear_nothing()
        # The channel stays at hand for a while, for those who come back.
        await world.eventually(lambda: not holding._followers, "the end of the stream", 120)
        assert not any(stream.admissions for stream in holding._streams.values())


class Losing:
    """Loses every so many messages of streams."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._count = 0

    def __call__(self, topic: str, message: bytes) -> bool:
        if not topic.endswith("/streams"):
            return False
        self._count += 1
        return self._count % self._every == 0


class TestLosses:
    async def test_a_message_of_the_stream_that_is_lost_leaves_no_hole(self, world: World) -> None:
        first, second, _ = await world.start_three()
        client = await second.follow("host")
        await sit(first, 0)
        place = (await client.hear())["offset"]
        for lost in (Losing(every=1), Losing(every=2)):
            second.cable.drop = lost
            for _ in range(3):
                await stand(first)
                await sit(first, 0)
            await world.clock.settle()
            second.cable.drop = lambda topic, message: False
            await world.clock.advance(5)
            offsets = [(await client.hear())["offset"] for _ in range(6)]
            assert offsets == list(range(place + 1, place + 7))
            place += 6
        assert second.host.cluster.statistics().lost >= 2

    async def test_a_bus_that_was_away_leaves_no_hole(self, world: World) -> None:
        first, second, _ = await world.start_three()
        client = await second.follow("host")
        await sit(first, 0)
        place = (await client.hear())["offset"]
        first.cable.cut()
        second.cable.cut()
        await stand(first)
        refused = await world.run(second.http.get("/api/v1/rooms"))
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"]
        await first.cable.mend()
        await second.cable.mend()
        await world.clock.advance(5)
        await sit(second, 0)
        await world.clock.settle()
        assert [(await client.hear())["offset"] for _ in range(2)] == [place + 1, place + 2]
        assert first.holds


class TestHolders:
    async def test_one_that_ends_is_followed_by_whoever_is_asked_next(self, world: World) -> None:
        first, second, third = await world.start_three()
        client = await third.follow("host")
        await first.aclose()
        await world.run(sit(second, 4))
        # The socket's node looks for a holder as well, so either of them may be it.
        assert second.holds != third.holds
        await world.clock.settle()
        assert (await client.hear())["event"] == "seat_taken"
        await client.hear_nothing()

    async def test_one_that_dies_is_a_delay_and_no_error(self, world: World) -> None:
        first, second, third = await world.start_three()
        client = await third.follow("host")
        await sit(second, 1)
        place = (await client.hear())["offset"]
        first.isolate()
        began = world.clock.monotonic()
        await world.run(stand(second))
        assert world.clock.monotonic() - began < TAKEOVER
        await world.run(sit(third, 2))
        await world.clock.settle()
        assert [(await client.hear())["offset"] for _ in range(2)] == [place + 1, place + 2]
        assert second.holds or third.holds

    async def test_one_that_is_off_the_bus_only_makes_way_for_a_node_that_is_asked_and_its_sockets_go_elsewhere(
        self, world: World
    ) -> None:
        first, second, third = await world.start_three()
        near, far = await first.follow("host"), await second.follow("host")
        await sit(second, 1)
        place = (await near.hear())["offset"]
        assert (await far.hear())["offset"] == place
        await world.clock.advance(5)
        first.cable.cut()
        began = world.clock.monotonic()
        await world.run(stand(second))
        assert world.clock.monotonic() - began < TAKEOVER
        assert [node.holds for node in (first, second, third)] == [False, True, False]
        assert first.host.cluster.statistics().made_way == 1
        assert (await far.hear())["offset"] == place + 1
        await world.eventually(lambda: near.code == CloseCode.RECONNECT, "its sockets to be sent elsewhere", 2)
        await world.run(sit(third, 2))
        assert (await far.hear())["offset"] == place + 2
        await first.cable.mend()
        await world.run(stand(first))
        await world.clock.advance(30)
        assert [node.holds for node in (first, second, third)] == [False, True, False], "it stays where it is"
        assert (await far.hear())["offset"] == place + 3

    async def test_one_that_is_off_the_bus_keeps_what_nobody_else_is_asked_for(self, world: World) -> None:
        first, *_ = await world.start_three()
        near = await first.follow("host")
        await world.clock.advance(5)
        first.cable.cut()
        await world.clock.advance(30)
        await sit(first, 1)
        assert (await near.hear())["event"] == "seat_taken"
        assert first.holds

    async def test_one_stays_it_while_the_bus_is_away_for_all_however_much_the_others_are_asked(
        self, world: World
    ) -> None:
        nodes = first, second, third = await world.start_three()
        near = await first.follow("host")
        await world.clock.advance(5)
        for node in nodes:
            node.cable.cut()
        for node in (second, third):
            refused = await world.run(node.http.get("/api/v1/rooms"))
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        await sit(first, 1)
        assert (await near.hear())["event"] == "seat_taken"
        for node in nodes:
            await node.cable.mend()
        assert (await world.run(second.http.get("/api/v1/rooms"))).status_code == 200
        assert [node.holds for node in nodes] == [True, False, False]

    async def test_one_that_overslept_keeps_its_sockets(self, world: World) -> None:
        first, second, _ = await world.start_three()
        client = await first.follow("host")
        await sit(first, 1)
        place = (await client.hear())["offset"]
        first.isolate()
        await world.run(stand(second))
        assert second.holds
        assert not first.holds
        first.host._tenure._leases = second.host._tenure._leases
        await first.cable.mend()
        await world.run(sit(first, 3))
        await world.clock.advance(2)
        assert [(await client.hear())["offset"] for _ in range(2)] == [place + 1, place + 2]
        assert client.code is None

    async def test_one_that_lost_its_lease_may_get_it_back(self, world: World) -> None:
        first, second, _ = await world.start_three()
        client = await first.follow("host")
        far = await second.follow("host")
        await sit(first, 1)
        place = (await client.hear())["offset"]
        assert (await far.hear())["offset"] == place
        first.oversleep()
        await world.run(stand(second))
        await world.clock.advance(2)
        assert first.holds != second.holds
        assert [(await each.hear())["offset"] for each in (client, far)] == [place + 1] * 2

    async def test_whoever_may_follow_no_more_is_told_by_the_next_one(self, world: World) -> None:
        first, second, third = await world.start_three()
        await world.join(first, "ann")
        client = await third.follow("ann")
        first.isolate()
        # While nobody can tell the node of it, ann is removed; her place ends with the old engine.
        await world.clock.advance(TAKEOVER)
        relay = await second.relay()
        await world.run(relay.execute(RemoveParticipant(room=ROOM, identity="ann"), actor=HOST))
        await world.clock.advance(3)
        said = [await client.hear()]
        while said[-1]["event"] != ENDED:
            said.append(await client.hear())
        assert json.loads(said[-1]["data"])["code"] in ("forbidden", "not_joined")

    async def test_who_subscribes_while_the_holder_ends_follows_the_next_one(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second, _ = await world.start_three()
        relay = await second.relay()
        asked, go_on, head = asyncio.Event(), asyncio.Event(), SqlStore.head

        async def slow_head(self: SqlStore, channel: str) -> Head:
            asked.set()
            await go_on.wait()
            return await head(self, channel)

        with monkeypatch.context() as patched:
            patched.setattr(SqlStore, "head", slow_head)
            subscribing = asyncio.ensure_future(relay.subscribe(CHANNEL))
            await asked.wait()
            first.oversleep()
            await world.clock.settle()
            go_on.set()
        await world.eventually(subscribing.done, "the subscription")
        subscription = await subscribing
        await world.run(sit(second, 5))
        await world.eventually(lambda: len(subscription.events), "the event")
        relay.unsubscribe(subscription)

    async def test_a_deadline_that_nobody_holds_is_met_once(self, world: World) -> None:
        first = await world.start()
        start = StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob", ring_timeout=30.0)
        call = await (await first.relay()).execute(start, actor=Actor("ann"))
        await first.aclose()
        nodes = [await world.start() for _ in range(3)]
        await world.clock.advance(29)
        assert not any(node.holds for node in nodes)
        await world.clock.advance(1 + 2 * INTERVAL)
        assert [node.holds for node in nodes].count(True) == 1
        store = world.store.scoped(PROJECT.app_id)
        await store.open()
        history = await store.history(f"private-call.{call.call_id}", call.epoch, 0, 9)
        assert [type(each.event) for each in history or ()].count(CallEnded) == 1

    async def test_only_one_opens_the_project_however_many_are_asked(self, world: World) -> None:
        nodes = [await world.start() for _ in range(5)]

        async def ask_all() -> list[httpx.Response]:
            return await asyncio.gather(*(node.http.get("/api/v1/rooms") for node in nodes for _ in range(4)))

        assert {answer.status_code for answer in await world.run(ask_all())} == {200}
        assert [node.holds for node in nodes].count(True) == 1

    async def test_without_the_others_bus_a_second_node_is_harmless(self, world: World) -> None:
        first = await world.start()
        await world.join(first, "host")
        other = World(world.store)
        other.clock = world.clock
        async with other:
            stranger = await other.start()
            answer = await world.run(stranger.http.get("/api/v1/rooms"))
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert first.holds
            await stranger.aclose()


async def test_no_acknowledged_command_is_lost_and_none_done_twice_while_holders_come_and_go(world: World) -> None:
    nodes = list(await world.start_three())
    acknowledged = refused = 0
    going = True

    async def load(number: int) -> None:
        """Each of them starts calls that end at once: every one is a row of its own."""
        nonlocal acknowledged, refused
        turn = 0
        while going:
            node = nodes[(number + turn) % len(nodes)]
            turn += 1
            try:
                relay = await node.relay()
                start = StartCall(type=UTDStreamType.AUDIO_CALL, callee=f"b{number}.{turn}")
                await relay.execute(start, actor=Actor(f"a{number}.{turn}"), idempotency_key=f"{number}.{turn}")
                acknowledged += 1
            except (Closed, StoreFailed, Unavailable):
                refused += 1
            await world.clock.sleep(0.2)

    loads = [asyncio.ensure_future(load(number)) for number in range(6)]
    for _ in range(4):
        await world.clock.advance(2)
        holder = next((node for node in nodes if node.holds), None)
        if holder is not None:
            nodes.remove(holder)
            nodes.append(await world.start())
            await holder.aclose()
    for _ in range(2):
        await world.clock.advance(2)
        holder = next((node for node in nodes if node.holds), None)
        if holder is not None:
            holder.oversleep()
    going = False
    await world.clock.advance(15)
    await asyncio.gather(*loads)
    store = world.store.scoped(PROJECT.app_id)
    await store.open()
    count, after = 0, ""
    while rows := await store.states("call", after=after, limit=100, ended=None):
        count, after = count + len(rows), rows[-1].key
    assert acknowledged > 100
    # What was refused as unknown may have been done.
    assert acknowledged <= count <= acknowledged + refused
    assert refused < acknowledged / 10
