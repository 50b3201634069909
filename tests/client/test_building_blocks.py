"""Event streams, operation epochs, signals and retry waits."""

from __future__ import annotations

import asyncio
import gc

import pytest

from utd_core.client.policy import RetryPolicy
from utd_core.client.sessions.operations import Operations
from utd_core.client.state.event_stream import EventSource
from utd_core.client.state.signal import Signal
from utd_core.concurrency import Overflow
from utd_core.errors import Closed, Superseded


async def test_every_reader_gets_every_event_from_when_it_was_made() -> None:
    source: EventSource[int] = EventSource()
    first = source.stream.reader()
    source.publish(1)
    second = source.stream.reader()
    source.publish(2)
    source.close()
    assert [event async for event in first] == [1, 2]
    assert [event async for event in second] == [2]
    assert [event async for event in source.stream] == []


async def test_a_slow_reader_loses_by_its_policy_and_counts_it() -> None:
    source: EventSource[int] = EventSource()
    oldest = source.stream.reader(capacity=2)
    strict = source.stream.reader(capacity=2, overflow=Overflow.CLOSE)
    for event in range(4):
        source.publish(event)
    assert (oldest.get_nowait(), oldest.get_nowait(), oldest.get_nowait()) == (2, 3, None)
    assert oldest.statistics().dropped == 2
    assert await anext(strict) == 0
    assert await anext(strict) == 1
    with pytest.raises(Closed):
        await anext(strict)


async def test_a_reader_that_nobody_holds_is_forgotten() -> None:
    source: EventSource[int] = EventSource()

    async def read_one() -> int:
        async for event in source.stream:
            return event
        return -1

    reading = asyncio.ensure_future(read_one())
    await asyncio.sleep(0)
    source.publish(7)
    assert await reading == 7
    del reading
    gc.collect()
    assert len(source.stream._readers) == 0


async def test_closing_a_reader_ends_its_iteration() -> None:
    source: EventSource[int] = EventSource()
    async with source.stream.reader() as reader:
        source.publish(1)
    assert [event async for event in reader] == [1]


async def test_a_later_opposite_operation_ends_one_that_waits() -> None:
    operations = Operations()
    reached: list[str] = []

    async def take() -> None:
        epoch = operations.begin()
        with operations.pending(epoch):
            reached.append("waiting")
            await asyncio.Event().wait()

    taking = asyncio.ensure_future(take())
    await asyncio.sleep(0)
    operations.supersede("the seat was left")
    with pytest.raises(Superseded, match="the seat was left"):
        await taking
    assert reached == ["waiting"]


async def test_an_operation_whose_epoch_is_over_does_not_begin_to_wait() -> None:
    operations = Operations()
    epoch = operations.begin()
    operations.supersede("the session was left")
    with pytest.raises(Superseded), operations.pending(epoch):
        pytest.fail("must not begin")
    with operations.pending(operations.begin()):
        pass


async def test_cancelling_the_caller_is_no_supersession() -> None:
    operations = Operations()

    async def take() -> None:
        with operations.pending(operations.begin()):
            await asyncio.Event().wait()

    taking = asyncio.ensure_future(take())
    await asyncio.sleep(0)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert len(operations._pending) == 0


async def test_a_signal_with_a_count_misses_nothing() -> None:
    signal = Signal()
    seen = signal.count
    signal.notify()
    await signal.wait(seen)
    waiting = asyncio.ensure_future(signal.wait(signal.count))
    await asyncio.sleep(0)
    assert not waiting.done()
    signal.notify()
    await waiting


def test_waits_grow_to_a_limit_and_end_with_patience() -> None:
    policy = RetryPolicy(first_wait=1.0, longest_wait=4.0, patience=12.0, spread=0.0)
    assert list(policy.waits("anybody")) == [1.0, 2.0, 4.0, 4.0]


def test_a_thousand_clients_do_not_come_back_in_the_same_instant() -> None:
    policy = RetryPolicy(first_wait=1.0, spread=0.5)
    first = [next(policy.waits(f"user-{number}")) for number in range(1_000)]
    assert len({round(wait, 3) for wait in first}) > 300
    assert all(1.0 <= wait <= 1.5 for wait in first)
    assert next(policy.waits("user-7")) == first[7]
