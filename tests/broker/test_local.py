"""What a subscriber gets, and what the broker keeps."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from utd_core.broker import Broker, LocalBroker, Recover
from utd_core.errors import Closed, StoreFailed
from utd_core.store import Head
from utd_core.store.sql_store import SqlStore
from utd_core.testing.wait import eventually

from .publisher import CHANNEL, commit, publish, read


@pytest.fixture
async def broker(store: SqlStore) -> AsyncIterator[LocalBroker]:
    broker = LocalBroker(store, per_channel=8, in_all=20)
    await broker.open()
    yield broker
    await broker.aclose()


async def epoch_of(store: SqlStore) -> str:
    return (await store.head(CHANNEL)).epoch


def test_is_a_broker() -> None:
    _: type[Broker] = LocalBroker


class TestLive:
    async def test_events_come_in_order_and_by_reference(self, store: SqlStore, broker: LocalBroker) -> None:
        first, second = [await broker.subscribe(CHANNEL) for _ in range(2)]
        other = await broker.subscribe("private-room.other")
        published = await publish(store, broker, 3)
        for envelope in published:
            assert first.events.get_nowait() is envelope
        assert read(second) == [1, 2, 3]
        assert read(other) == []

    async def test_a_subscription_begins_after_its_head(self, store: SqlStore, broker: LocalBroker) -> None:
        epoch = await epoch_of(store)
        before = await broker.subscribe(CHANNEL)
        assert (before.head, before.recovered) == (Head(epoch, 0), False)
        await publish(store, broker, 2)
        after = await broker.subscribe(CHANNEL)
        assert (after.head, after.recovered) == (Head(epoch, 2), False)
        await publish(store, broker)
        assert read(after) == [3]

    async def test_a_subscription_begins_after_what_was_published_before_the_broker(self, store: SqlStore) -> None:
        await commit(store, 5)
        broker = LocalBroker(store)
        await broker.open()
        subscription = await broker.subscribe(CHANNEL)
        assert subscription.head.offset == 5
        await publish(store, broker)
        assert read(subscription) == [6]
        await broker.aclose()

    async def test_unsubscribing_ends_the_queue_and_can_be_repeated(self, store: SqlStore, broker: LocalBroker) -> None:
        subscription = await broker.subscribe(CHANNEL)
        await publish(store, broker)
        broker.unsubscribe(subscription)
        broker.unsubscribe(subscription)
        await publish(store, broker)
        assert [envelope.offset async for envelope in subscription.events] == [1]

    async def test_a_slow_reader_gets_what_is_held_and_then_an_error(
        self, store: SqlStore, broker: LocalBroker
    ) -> None:
        slow = await broker.subscribe(CHANNEL, capacity=3)
        quick = await broker.subscribe(CHANNEL, capacity=3)
        for _ in range(5):
            await publish(store, broker)
            read(quick)
        assert read(slow) == [1, 2, 3]
        with pytest.raises(Closed, match="read faster"):
            await slow.events.get()
        assert not quick.events.closed
        assert broker.statistics().cut_off == 1
        assert broker.statistics().subscriptions == 1
        again = await broker.subscribe(CHANNEL, recover=Recover(slow.head.epoch, 3))
        assert again.recovered
        assert read(again) == [4, 5]

    async def test_a_reader_that_closed_its_queue_is_forgotten(self, store: SqlStore, broker: LocalBroker) -> None:
        subscription = await broker.subscribe(CHANNEL)
        subscription.events.close()
        await publish(store, broker)
        assert broker.statistics().subscriptions == 0
        broker.unsubscribe(subscription)


class TestRecovery:
    async def test_from_memory(self, store: SqlStore, broker: LocalBroker, monkeypatch: pytest.MonkeyPatch) -> None:
        published = await publish(store, broker, 20)
        monkeypatch.setattr(type(store), "history", None)
        subscription = await broker.subscribe(CHANNEL, recover=Recover(published[0].epoch, 12))
        assert subscription.recovered
        assert subscription.events.get_nowait() is published[12]
        assert read(subscription) == [14, 15, 16, 17, 18, 19, 20]

    async def test_from_the_store_where_memory_does_not_reach(self, store: SqlStore, broker: LocalBroker) -> None:
        epoch = (await publish(store, broker, 20))[0].epoch
        for offset in (0, 5, 11):
            subscription = await broker.subscribe(CHANNEL, recover=Recover(epoch, offset))
            assert subscription.recovered
            assert read(subscription) == list(range(offset + 1, 21))

    async def test_from_the_store_after_a_restart(self, store: SqlStore, broker: LocalBroker) -> None:
        epoch = (await commit(store, 5))[0].epoch
        subscription = await broker.subscribe(CHANNEL, recover=Recover(epoch, 2))
        await publish(store, broker)
        assert subscription.recovered
        assert read(subscription) == [3, 4, 5, 6]

    async def test_nothing_was_missed(self, store: SqlStore, broker: LocalBroker) -> None:
        epoch = (await publish(store, broker, 3))[0].epoch
        subscription = await broker.subscribe(CHANNEL, recover=Recover(epoch, 3))
        assert subscription.recovered
        assert read(subscription) == []
        never = await broker.subscribe("private-user.bob", recover=Recover(epoch, 0))
        assert never.recovered

    @pytest.mark.parametrize("offset", [4, 1_000, -1])
    async def test_an_offset_that_never_was_is_not_recovered(
        self, store: SqlStore, broker: LocalBroker, offset: int
    ) -> None:
        epoch = (await publish(store, broker, 3))[0].epoch
        subscription = await broker.subscribe(CHANNEL, recover=Recover(epoch, offset))
        assert (subscription.recovered, subscription.head.offset) == (False, 3)
        await publish(store, broker)
        assert read(subscription) == [4]

    async def test_another_epoch_is_not_recovered(self, store: SqlStore, broker: LocalBroker) -> None:
        await publish(store, broker, 3)
        assert not (await broker.subscribe(CHANNEL, recover=Recover("another", 2))).recovered

    async def test_what_was_pruned_is_not_recovered(self, store: SqlStore, broker: LocalBroker) -> None:
        epoch = (await publish(store, broker, 20))[0].epoch
        await store.prune(before=1.0, keep=10)
        assert not (await broker.subscribe(CHANNEL, recover=Recover(epoch, 9))).recovered
        assert (await broker.subscribe(CHANNEL, recover=Recover(epoch, 10))).recovered

    async def test_more_than_the_reader_may_fall_behind_is_not_replayed(
        self, store: SqlStore, broker: LocalBroker
    ) -> None:
        epoch = (await publish(store, broker, 20))[0].epoch
        assert not (await broker.subscribe(CHANNEL, recover=Recover(epoch, 14), capacity=5)).recovered
        exactly = await broker.subscribe(CHANNEL, recover=Recover(epoch, 15), capacity=5)
        assert exactly.recovered
        assert not exactly.events.closed


class TestOrder:
    async def test_events_that_are_published_out_of_order_arrive_in_order(
        self, store: SqlStore, broker: LocalBroker
    ) -> None:
        subscription = await broker.subscribe(CHANNEL)
        one, two, three = await commit(store, 3)
        broker.publish([one])
        broker.publish([three])
        assert read(subscription) == [1]
        broker.publish([two])
        assert read(subscription) == [2, 3]
        assert broker.statistics().mended == 0

    async def test_an_event_that_is_published_twice_arrives_once(self, store: SqlStore, broker: LocalBroker) -> None:
        subscription = await broker.subscribe(CHANNEL)
        one, two, three = await commit(store, 3)
        broker.publish([one, one, three, three, two, one, two, three])
        assert read(subscription) == [1, 2, 3]

    async def test_an_event_that_is_never_published_is_read_from_the_store(
        self, store: SqlStore, broker: LocalBroker
    ) -> None:
        subscription = await broker.subscribe(CHANNEL)
        events = await commit(store, 30)
        broker.publish(events[:2])
        broker.publish([events[24]])
        broker.publish([events[29]])
        await eventually(lambda: len(subscription.events) == 30)
        assert read(subscription) == list(range(1, 31))
        assert broker.statistics().mended == 26
        await publish(store, broker)
        assert read(subscription) == [31]

    async def test_events_that_cannot_be_had_end_the_subscription_with_an_error(
        self, store: SqlStore, broker: LocalBroker
    ) -> None:
        subscription = await broker.subscribe(CHANNEL)
        events = await commit(store, 5)
        await store.prune(before=1.0, keep=1)
        broker.publish([events[0], events[4]])
        await eventually(lambda: subscription.events.closed)
        assert read(subscription) == [1]
        with pytest.raises(Closed, match="subscribe again"):
            await subscription.events.get()
        assert broker.statistics().lost == 1
        again = await broker.subscribe(CHANNEL, recover=Recover(events[0].epoch, 1))
        assert (again.recovered, again.head.offset) == (False, 5)
        await publish(store, broker)
        assert read(again) == [6]

    async def test_a_store_that_fails_while_events_are_missing_ends_the_subscription(
        self, store: SqlStore, broker: LocalBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fails(*_: object) -> None:
            raise StoreFailed("away")

        subscription = await broker.subscribe(CHANNEL)
        events = await commit(store, 3)
        monkeypatch.setattr(type(store), "history", fails)
        broker.publish([events[2]])
        with pytest.raises(Closed):
            await subscription.events.get()
        monkeypatch.undo()
        again = await broker.subscribe(CHANNEL, recover=Recover(events[0].epoch, 0))
        assert read(again) == [1, 2, 3]

    async def test_too_many_events_before_their_turn_are_not_kept(self, store: SqlStore, broker: LocalBroker) -> None:
        subscription = await broker.subscribe(CHANNEL)
        events = await commit(store, 20)
        broker.publish(events[1:])
        assert subscription.events.closed
        assert broker.statistics().lost == 1
        await publish(store, broker)
        assert broker.statistics().recent <= 20


class TestBounds:
    async def test_each_channel_keeps_its_newest_events(self, store: SqlStore, broker: LocalBroker) -> None:
        await publish(store, broker, 30)
        assert broker.statistics().recent == 8

    async def test_the_channel_that_was_quiet_longest_is_forgotten_first(
        self, store: SqlStore, broker: LocalBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in "abcd":
            await publish(store, broker, 6, name)
            await publish(store, broker, 1, "a")
        statistics = broker.statistics()
        assert statistics.recent <= 20
        assert statistics.channels == 3
        epoch = await epoch_of(store)
        monkeypatch.setattr(type(store), "history", None)
        assert (await broker.subscribe("a", recover=Recover(epoch, 9))).recovered
        monkeypatch.undo()
        assert read(await broker.subscribe("b", recover=Recover(epoch, 0))) == [1, 2, 3, 4, 5, 6]

    async def test_a_channel_with_subscribers_loses_its_memory_but_not_its_place(
        self, store: SqlStore, broker: LocalBroker
    ) -> None:
        subscription = await broker.subscribe("quiet")
        await publish(store, broker, 3, "quiet")
        for n in range(5):
            await publish(store, broker, 8, f"busy-{n}")
        await publish(store, broker, 1, "quiet")
        assert read(subscription) == [1, 2, 3, 4]

    async def test_nothing_is_kept_of_channels_nobody_published_on(self, store: SqlStore, broker: LocalBroker) -> None:
        for n in range(100):
            broker.unsubscribe(await broker.subscribe(f"private-user.{n}"))
        assert broker.statistics().channels == 0

    async def test_a_subscription_is_small(self, store: SqlStore, broker: LocalBroker) -> None:
        held = [await broker.subscribe(CHANNEL) for _ in range(100)]
        gc.collect()
        tracemalloc.start()
        try:
            held += [await broker.subscribe(CHANNEL) for _ in range(1_000)]
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert size / 1_000 < 1_400, "bytes"


class TestLife:
    async def test_a_broker_that_is_not_open_says_so(self, store: SqlStore) -> None:
        broker = LocalBroker(store)
        with pytest.raises(Closed):
            await broker.subscribe(CHANNEL)
        await broker.aclose()
        await broker.aclose()
        with pytest.raises(Closed):
            await broker.open()
        with pytest.raises(Closed):
            await broker.subscribe(CHANNEL)

    async def test_closing_ends_every_subscription(self, store: SqlStore, broker: LocalBroker) -> None:
        subscriptions = [await broker.subscribe(name) for name in "aab"]
        await publish(store, broker, 1, "a")
        await broker.aclose()
        broker.publish(await commit(store, 1, "a"))
        for subscription, held in zip(subscriptions, (1, 1, 0), strict=True):
            assert len(subscription.events) == held
            for _ in range(held):
                assert (await subscription.events.get()).offset == 1
            with pytest.raises(Closed, match="broker was closed"):
                await subscription.events.get()
        broker.unsubscribe(subscriptions[0])

    async def test_closing_while_somebody_subscribes(self, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
        asked, go_on = asyncio.Event(), asyncio.Event()
        head = type(store).head

        async def waits(self: SqlStore, channel: str) -> Head:
            asked.set()
            await go_on.wait()
            return await head(self, channel)

        monkeypatch.setattr(type(store), "head", waits)
        broker = LocalBroker(store)
        await broker.open()
        subscribing = asyncio.ensure_future(broker.subscribe(CHANNEL))
        await asked.wait()
        await broker.aclose()
        go_on.set()
        with pytest.raises(Closed):
            await subscribing

    async def test_a_failed_or_cancelled_subscription_leaves_nothing(
        self, store: SqlStore, broker: LocalBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fails(*_: object) -> Head:
            raise StoreFailed("away")

        async def hangs(*_: object) -> Head:
            await asyncio.Event().wait()
            raise AssertionError

        monkeypatch.setattr(type(store), "head", fails)
        with pytest.raises(StoreFailed):
            await broker.subscribe(CHANNEL)
        monkeypatch.setattr(type(store), "head", hangs)
        subscribing = asyncio.ensure_future(broker.subscribe(CHANNEL))
        await asyncio.sleep(0)
        assert broker.statistics().channels == 1
        subscribing.cancel()
        await asyncio.wait([subscribing])
        assert broker.statistics().channels == 0
