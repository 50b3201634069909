"""A socket on any node hears everything in order, whichever node holds the project and whatever the bus loses."""

from __future__ import annotations

import json

from tests.server.pusher.asgi_client import AsgiClient
from utd_core.model.commands import RemoveParticipant

from .world import CHANNEL, HOST, PROJECT, ROOM, Node, World

ENDED, SUCCEEDED = "pusher:subscription_error", "pusher_internal:subscription_succeeded"


async def all_follow_on(node: Node, place: int, again: AsgiClient, behind: AsgiClient) -> None:
    """Whoever came back hears what comes after `place`; whoever was behind hears that place too, and nothing twice."""
    await node.stand()
    assert (await again.hear())["offset"] == place + 1
    assert [(await behind.hear())["offset"] for _ in range(2)] == [place, place + 1]


class TestSockets:
    async def test_hear_what_happens_on_any_node_in_order(self, world: World) -> None:
        nodes = await world.start_three()
        followers = [await node.follow("host") for node in nodes]
        for turn in range(12):
            await nodes[turn % 3].sit(turn % 8)
            await nodes[(turn + 1) % 3].stand()
        await world.clock.settle()
        heard = [[(await each.hear())["offset"] for _ in range(24)] for each in followers]
        assert heard[0] == list(range(heard[0][0], heard[0][0] + 24))
        assert heard[1] == heard[2] == heard[0]

    async def test_recover_on_another_node_what_they_missed(self, world: World) -> None:
        first, second, _ = await world.start_three()
        before = await first.follow("host")
        await second.sit(1)
        place = await before.hear()
        for _ in range(5):
            await first.stand()
            await first.sit(1)
        after = await second.come_back("host", place)
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
        await first.sit(1)
        place = await ahead.hear()
        again = await second.come_back("host", place)
        await world.clock.settle()
        second.cable.drop = lambda topic, message: False
        for message in late:
            await second.host.cluster._hear(message)
        succeeded = await again.hear(SUCCEEDED)
        assert (succeeded["recovered"], succeeded["offset"]) == (True, place["offset"])
        await all_follow_on(first, place["offset"], again, behind)

    async def test_that_were_faster_than_a_stream_which_broke_miss_nothing(self, world: World) -> None:
        first, second, _ = await world.start_three()
        ahead, behind = await first.follow("host"), await second.follow("host")
        second.cable.drop = lambda topic, message: topic.endswith("/streams")
        await first.sit(1)
        place = await ahead.hear()
        again = await second.come_back("host", place)
        await world.clock.settle()
        second.cable.drop = lambda topic, message: False
        succeeded = await world.run(again.hear(SUCCEEDED))
        assert (succeeded["recovered"], succeeded["offset"]) == (True, place["offset"])
        await all_follow_on(first, place["offset"], again, behind)

    async def test_do_not_wait_for_a_place_that_nobody_ever_was_at(self, world: World) -> None:
        first, second, _ = await world.start_three()
        ahead = await first.follow("host")
        await second.follow("host")
        await first.sit(1)
        place = await ahead.hear()
        now = world.clock.monotonic()
        again = await second.come_back("host", place, further=1)
        assert (await again.hear(SUCCEEDED))["recovered"] is False
        assert world.clock.monotonic() == now

    async def test_are_let_in_and_go_by_the_word_of_the_holder(self, world: World) -> None:
        first, second, _ = await world.start_three()
        stranger = await second.connect("eve")
        stranger.subscribe(CHANNEL)
        assert json.loads((await stranger.hear(ENDED))["data"])["code"] == "not_joined"
        await world.join(second, "ann")
        client = await second.follow("ann")
        await first.sit(2)
        await (await first.relay()).execute(RemoveParticipant(room=ROOM, identity="ann"), actor=HOST)
        await first.stand()
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
        await first.sit(0)
        place = (await client.hear())["offset"]
        for lost in (Losing(every=1), Losing(every=2)):
            second.cable.drop = lost
            for _ in range(3):
                await first.stand()
                await first.sit(0)
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
        await first.sit(0)
        place = (await client.hear())["offset"]
        first.cable.cut()
        second.cable.cut()
        await first.stand()
        refused = await world.run(second.http.get("/api/v1/rooms"))
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"]
        await first.cable.mend()
        await second.cable.mend()
        await world.clock.advance(5)
        await second.sit(0)
        await world.clock.settle()
        assert [(await client.hear())["offset"] for _ in range(2)] == [place + 1, place + 2]
        assert first.holds
