"""Channels of the engine after a pause: those who come back, and streams that break."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from utd_core.errors import Closed, StoreFailed
from utd_core.model.commands import (
    UpdateMetadata,
)
from utd_core.server.pusher import CloseCode

from .follow import SUCCEEDED, offsets, refused, sit
from .world import CHANNEL, ROOM, World


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
