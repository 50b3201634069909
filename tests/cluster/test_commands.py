"""Any node takes any command, whichever of them holds the project; a plan's limits are for all nodes together."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from utd_core.errors import NotFound
from utd_core.model.command import Actor
from utd_core.model.commands import CreateSession, GetRoom, ListParticipants, StartCall
from utd_core.model.seats import SeatLeft
from utd_core.model.stream_type import UTDStreamType
from utd_core.model.wire import PLACE_HEADER
from utd_core.server.projects import ProjectLimits

from .world import CHANNEL, PROJECT, ROOM, World


class TestCommands:
    async def test_go_to_the_one_engine_there_is(self, world: World) -> None:
        first, second, third = await world.start_three()
        await second.sit(3)
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
        await second.sit(0)
        lost = second.cable.lose_one(b"done", topic="answers/")
        await world.run(second.stand())
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
            lost = second.cable.lose_one(b"done", topic="answers/")
            made = await world.run(second.http.post("/api/v1/rooms", json={"room": "lobby", "type": "audio_room"}))
            assert lost
            assert made.status_code == 201
