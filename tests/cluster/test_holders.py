"""The node that holds the project ends, dies, sleeps or is cut off: another one goes on, and nobody misses anything."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from utd_core.errors import Closed, StoreFailed, Unavailable
from utd_core.model.call import CallEnded
from utd_core.model.command import Actor
from utd_core.model.commands import RemoveParticipant, StartCall
from utd_core.model.stream_type import UTDStreamType
from utd_core.server.hosting.host import INTERVAL
from utd_core.server.pusher import CloseCode
from utd_core.store.base import Head
from utd_core.store.sql_store import SqlStore

from .world import CHANNEL, HOST, PROJECT, ROOM, TAKEOVER, World

ENDED = "pusher:subscription_error"


class TestHolders:
    async def test_one_that_ends_is_followed_by_whoever_is_asked_next(self, world: World) -> None:
        first, second, third = await world.start_three()
        client = await third.follow("host")
        await first.aclose()
        await world.run(second.sit(4))
        # The socket's node looks for a holder as well, so either of them may be it.
        assert second.holds != third.holds
        await world.clock.settle()
        assert (await client.hear())["event"] == "seat_taken"
        await client.hear_nothing()

    async def test_one_that_dies_is_a_delay_and_no_error(self, world: World) -> None:
        first, second, third = await world.start_three()
        client = await third.follow("host")
        await second.sit(1)
        place = (await client.hear())["offset"]
        first.isolate()
        began = world.clock.monotonic()
        await world.run(second.stand())
        assert world.clock.monotonic() - began < TAKEOVER
        await world.run(third.sit(2))
        await world.clock.settle()
        assert [(await client.hear())["offset"] for _ in range(2)] == [place + 1, place + 2]
        assert second.holds or third.holds

    async def test_one_that_is_off_the_bus_only_makes_way_for_a_node_that_is_asked_and_its_sockets_go_elsewhere(
        self, world: World
    ) -> None:
        first, second, third = await world.start_three()
        near, far = await first.follow("host"), await second.follow("host")
        await second.sit(1)
        place = (await near.hear())["offset"]
        assert (await far.hear())["offset"] == place
        await world.clock.advance(5)
        first.cable.cut()
        began = world.clock.monotonic()
        await world.run(second.stand())
        assert world.clock.monotonic() - began < TAKEOVER
        assert [node.holds for node in (first, second, third)] == [False, True, False]
        assert first.host.cluster.statistics().made_way == 1
        assert (await far.hear())["offset"] == place + 1
        await world.eventually(lambda: near.code == CloseCode.RECONNECT, "its sockets to be sent elsewhere", 2)
        await world.run(third.sit(2))
        assert (await far.hear())["offset"] == place + 2
        await first.cable.mend()
        await world.run(first.stand())
        await world.clock.advance(30)
        assert [node.holds for node in (first, second, third)] == [False, True, False], "it stays where it is"
        assert (await far.hear())["offset"] == place + 3

    async def test_one_that_is_off_the_bus_keeps_what_nobody_else_is_asked_for(self, world: World) -> None:
        first, *_ = await world.start_three()
        near = await first.follow("host")
        await world.clock.advance(5)
        first.cable.cut()
        await world.clock.advance(30)
        await first.sit(1)
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
        await first.sit(1)
        assert (await near.hear())["event"] == "seat_taken"
        for node in nodes:
            await node.cable.mend()
        assert (await world.run(second.http.get("/api/v1/rooms"))).status_code == 200
        assert [node.holds for node in nodes] == [True, False, False]

    async def test_one_that_overslept_keeps_its_sockets(self, world: World) -> None:
        first, second, _ = await world.start_three()
        client = await first.follow("host")
        await first.sit(1)
        place = (await client.hear())["offset"]
        first.isolate()
        await world.run(second.stand())
        assert second.holds
        assert not first.holds
        first.host._tenure._leases = second.host._tenure._leases
        await first.cable.mend()
        await world.run(first.sit(3))
        await world.clock.advance(2)
        assert [(await client.hear())["offset"] for _ in range(2)] == [place + 1, place + 2]
        assert client.code is None

    async def test_one_that_lost_its_lease_may_get_it_back(self, world: World) -> None:
        first, second, _ = await world.start_three()
        client = await first.follow("host")
        far = await second.follow("host")
        await first.sit(1)
        place = (await client.hear())["offset"]
        assert (await far.hear())["offset"] == place
        first.oversleep()
        await world.run(second.stand())
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
        await world.run(second.sit(5))
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
