"""A channel that was discarded and begins anew: the same name, another epoch, and offsets from 1 again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from utd_core.broker import LocalBroker, Recover
from utd_core.errors import Closed
from utd_core.store import Commit, Envelope, Head, Remains, StoredState
from utd_core.store.sql_store import SqlStore

from .publisher import CHANNEL, commit, publish, read

OVER = StoredState("room", "lobby", 1, b"{}", None, 0.0)


@pytest.fixture
async def broker(store: SqlStore) -> AsyncIterator[LocalBroker]:
    broker = LocalBroker(store, per_channel=8)
    await broker.open()
    yield broker
    await broker.aclose()


async def begin_anew(store: SqlStore, count: int = 1, epoch: str = "new") -> list[Envelope]:
    """Discard the channel, and commit the first events of the one that takes its name."""
    await store.commit(Commit(states=[(OVER, 0)]))
    assert await store.discard([Remains("room", "lobby", 1, CHANNEL)]) == [True]
    return await go_on(store, count, epoch)


async def go_on(store: SqlStore, count: int = 1, epoch: str = "new") -> list[Envelope]:
    head = await store.head(CHANNEL)
    (event,) = {envelope.event for envelope in await commit(store, 1, "elsewhere")}
    new = [Envelope(CHANNEL, epoch, head.offset + n, "room", "lobby", 0.0, event) for n in range(1, count + 1)]
    await store.commit(Commit(events=new))
    return new


async def test_whoever_read_the_old_channel_gets_what_is_held_and_is_then_cut_off(
    store: SqlStore, broker: LocalBroker
) -> None:
    subscription = await broker.subscribe(CHANNEL)
    await publish(store, broker, 3)
    broker.publish(await begin_anew(store, 2))
    assert read(subscription) == [1, 2, 3]
    with pytest.raises(Closed, match="anew"):
        await subscription.events.get()
    again = await broker.subscribe(CHANNEL)
    assert again.head == Head("new", 2)
    broker.publish(await go_on(store))
    assert read(again) == [3]


async def test_whoever_waits_for_the_first_event_of_all_gets_it_in_whatever_epoch(
    store: SqlStore, broker: LocalBroker
) -> None:
    subscription = await broker.subscribe(CHANNEL)
    broker.publish(await go_on(store, 2, "its own"))
    assert read(subscription) == [1, 2]
    assert not subscription.events.closed


@pytest.mark.parametrize("published", [3, 20])
async def test_a_place_in_the_old_channel_is_never_recovered(
    store: SqlStore, broker: LocalBroker, published: int
) -> None:
    old = (await publish(store, broker, published))[0].epoch
    broker.publish(await begin_anew(store))
    for _ in range(published):
        for offset in range(published + 1):
            again = await broker.subscribe(CHANNEL, recover=Recover(old, offset))
            assert not again.recovered
            broker.unsubscribe(again)
        broker.publish(await go_on(store))
    assert read(await broker.subscribe(CHANNEL, recover=Recover("new", published - 1))) == [published, published + 1]


async def test_events_of_the_old_channel_that_came_too_early_do_not_come_in_the_new_one(
    store: SqlStore, broker: LocalBroker
) -> None:
    subscription = await broker.subscribe(CHANNEL)
    first, second, third = await commit(store, 3)
    broker.publish([first, third])
    broker.publish(await begin_anew(store))
    assert read(subscription) == [1]
    again = await broker.subscribe(CHANNEL)
    broker.publish([replace(second, epoch="new")])
    assert read(again) == [2]


async def test_a_channel_that_begins_anew_while_its_history_is_read_is_not_recovered(
    store: SqlStore, broker: LocalBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = (await publish(store, broker, 20))[0].epoch
    history = store.history

    async def slow(channel: str, epoch: str, after: int, limit: int) -> object:
        found = await history(channel, epoch, after, limit)
        broker.publish(await begin_anew(store))
        return found

    monkeypatch.setattr(store, "history", slow)
    subscription = await broker.subscribe(CHANNEL, recover=Recover(old, 5))
    assert (subscription.recovered, subscription.head) == (False, Head("new", 1))
