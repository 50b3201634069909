"""Replay meets live: whatever the order of things, a subscriber misses nothing and gets nothing twice.

A seed decides who moves when: committing, publishing (late, doubled, out of order, or never), subscribing,
reading, leaving and coming back, while the store takes its time with every answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utd_core.broker import LocalBroker, Recover, Subscription
from utd_core.errors import Closed
from utd_core.model.room import HostReturned
from utd_core.store import Commit, Envelope, Head, open_store
from utd_core.store.sql_store import SqlStore

from .publisher import CHANNEL, commit, read


class SlowStore:
    """A store whose answers to `head` and `history` are on their way for some turns of the loop, before and after."""

    def __init__(self, store: SqlStore, random: Random) -> None:
        self._store = store
        self._random = random

    async def head(self, channel: str) -> Head:
        head: Head = await self._slowly(lambda: self._store.head(channel))
        return head

    async def history(self, channel: str, epoch: str, after: int, limit: int) -> Any:
        return await self._slowly(lambda: self._store.history(channel, epoch, after, limit))

    async def _slowly(self, ask: Callable[[], Any]) -> Any:
        await self._turns()
        answer = await ask()
        await self._turns()
        return answer

    async def _turns(self) -> None:
        for _ in range(self._random.choice([0, 0, 1, 2, 5])):
            await asyncio.sleep(0)


class Follower:
    """Reads one channel, goes away and comes back, and checks each event against the last."""

    def __init__(self, broker: LocalBroker, random: Random) -> None:
        self._broker = broker
        self._random = random
        self.place: Recover | None = None
        self.subscription: Subscription | None = None
        self.snapshots = 0

    async def come(self) -> None:
        capacity = self._random.choice([3, 10, 1_000])
        self.subscription = subscription = await self._broker.subscribe(CHANNEL, recover=self.place, capacity=capacity)
        if subscription.recovered:
            assert self.place is not None
        else:
            # What a client does: it reads a snapshot, as of the head.
            self.snapshots += 1
            self.place = Recover(subscription.head.epoch, subscription.head.offset)

    def read(self) -> None:
        assert self.subscription is not None
        assert self.place is not None
        while (envelope := self.subscription.events.get_nowait()) is not None:
            assert envelope.offset == self.place.offset + 1, "no gap, nothing twice"
            self.place = Recover(envelope.epoch, envelope.offset)

    def go(self) -> None:
        assert self.subscription is not None
        self.read()
        self._broker.unsubscribe(self.subscription)
        self.subscription = None

    async def live(self, steps: int) -> None:
        for _ in range(steps):
            if self.subscription is None:
                await self.come()
            elif self._random.random() < 0.4:
                self.go()
            elif self._random.random() < 0.7:
                self.read()
            for _ in range(self._random.choice([0, 1, 3])):
                await asyncio.sleep(0)

    async def catch_up(self, until: int) -> None:
        for _ in range(20):
            if self.subscription is None or self.subscription.events.closed:
                if self.subscription is not None:
                    self.go()
                await self.come()
            for _ in range(30):
                await asyncio.sleep(0)
            self.read()
            if self.place is not None and self.place.offset == until:
                return
        raise AssertionError(f"stuck at {self.place}, the head is {until}")


async def publish_oddly(store: SqlStore, broker: LocalBroker, random: Random, total: int, *, lose: bool) -> None:
    waiting: list[Envelope] = []
    offset = 0
    epoch = (await store.head(CHANNEL)).epoch
    while offset < total:
        count = min(random.choice([1, 1, 2, 7]), total - offset)
        committed = [
            Envelope(CHANNEL, epoch, offset + n, "room", "lobby", 0.0, HostReturned(str(offset + n)))
            for n in range(1, count + 1)
        ]
        await store.commit(Commit(events=committed))
        offset += count
        if random.random() < 0.7:
            broker.publish([*waiting, *committed])
            waiting.clear()
        else:
            waiting += committed
            random.shuffle(waiting)
            gone = waiting if lose else []
            broker.publish(waiting[::2])
            waiting = [envelope for envelope in waiting[1::2] if not gone or random.random() < 0.5]
        for _ in range(random.choice([0, 1, 2, 4])):
            await asyncio.sleep(0)
    # The last event is always published: nothing else would tell that those before it are missing.
    last = [Envelope(CHANNEL, epoch, offset + 1, "room", "lobby", 0.0, HostReturned("last"))]
    await store.commit(Commit(events=last))
    broker.publish([*waiting, *last])


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32), lose=st.booleans())
def test_no_gap_and_nothing_twice_between_replay_and_live_whatever_the_order(seed: int, lose: bool) -> None:
    async def check() -> None:
        random = Random(seed)
        async with open_store() as store:
            # Small bounds, so that the store has to help out.
            broker = LocalBroker(SlowStore(store, random), per_channel=4, in_all=6)  # type: ignore[arg-type]  # all it uses
            await broker.open()
            followers = [Follower(broker, random) for _ in range(3)]
            async with asyncio.TaskGroup() as group:
                group.create_task(publish_oddly(store, broker, random, 40, lose=lose))
                for follower in followers:
                    group.create_task(follower.live(15))
            until = (await store.head(CHANNEL)).offset
            for follower in followers:
                await follower.catch_up(until)
            assert broker.statistics().recent <= 6
            await broker.aclose()

    asyncio.run(check())


async def at_a_wait(store: SqlStore, method: str, monkeypatch: pytest.MonkeyPatch, then: Callable[[], Any]) -> None:
    """Have `then` happen once, after the store has read and before its answer arrives."""
    original = getattr(type(store), method)

    async def interrupted(self: SqlStore, *arguments: Any) -> Any:
        answer = await original(self, *arguments)
        monkeypatch.undo()
        await then()
        return answer

    monkeypatch.setattr(type(store), method, interrupted)


async def test_publish_between_reading_the_history_and_going_live(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = LocalBroker(store, per_channel=4)
    await broker.open()
    broker.publish(await commit(store, 10))

    async def publish_more() -> None:
        broker.publish(await commit(store, 3))

    await at_a_wait(store, "history", monkeypatch, publish_more)
    epoch = (await store.head(CHANNEL)).epoch
    subscription = await broker.subscribe(CHANNEL, recover=Recover(epoch, 1))
    assert subscription.recovered
    assert read(subscription) == list(range(2, 14))
    await broker.aclose()


async def test_publish_of_more_than_is_kept_between_reading_the_history_and_going_live(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = LocalBroker(store, per_channel=4)
    await broker.open()
    broker.publish(await commit(store, 10))

    async def publish_more() -> None:
        broker.publish(await commit(store, 9))

    await at_a_wait(store, "history", monkeypatch, publish_more)
    epoch = (await store.head(CHANNEL)).epoch
    subscription = await broker.subscribe(CHANNEL, recover=Recover(epoch, 1))
    assert (subscription.recovered, subscription.head.offset) == (False, 19), "honest: it must read a snapshot"
    await broker.aclose()


async def test_publish_of_more_than_the_reader_may_fall_behind_while_the_history_is_read(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = LocalBroker(store, per_channel=8)
    await broker.open()
    broker.publish(await commit(store, 20))

    async def publish_more() -> None:
        broker.publish(await commit(store, 3))

    await at_a_wait(store, "history", monkeypatch, publish_more)
    epoch = (await store.head(CHANNEL)).epoch
    subscription = await broker.subscribe(CHANNEL, recover=Recover(epoch, 9), capacity=12)
    assert (subscription.recovered, subscription.head.offset) == (False, 23)
    assert not subscription.events.closed
    await broker.aclose()


async def test_publish_between_reading_the_head_and_going_live(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = LocalBroker(store)
    await broker.open()
    await commit(store, 5)

    async def publish_more() -> None:
        broker.publish(await commit(store, 2))

    await at_a_wait(store, "head", monkeypatch, publish_more)
    subscription = await broker.subscribe(CHANNEL)
    assert subscription.head.offset == 7
    broker.publish(await commit(store))
    assert read(subscription) == [8]
    await broker.aclose()


async def test_commit_before_the_history_is_read_and_publish_after_it(store: SqlStore) -> None:
    """The store tells of events that the broker has not published: they come live, and only then."""
    broker = LocalBroker(store, per_channel=2)
    await broker.open()
    broker.publish(await commit(store, 6))
    unpublished = await commit(store, 2)
    subscription = await broker.subscribe(CHANNEL, recover=Recover(unpublished[0].epoch, 1))
    assert read(subscription) == [2, 3, 4, 5, 6]
    broker.publish(unpublished)
    assert read(subscription) == [7, 8]
    await broker.aclose()


async def test_close_while_missing_events_are_read(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = LocalBroker(store)
    await broker.open()
    subscription = await broker.subscribe(CHANNEL)
    events = await commit(store, 3)
    await at_a_wait(store, "history", monkeypatch, broker.aclose)
    broker.publish([events[2]])
    with pytest.raises(Closed):
        await subscription.events.get()
