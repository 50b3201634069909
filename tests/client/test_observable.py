"""`Observable[T]`: what readers, callbacks and waiters see, and what a slow or failing one costs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from utd_core.client.state.observable import Observable, Variable
from utd_core.concurrency import Overflow, TaskScope
from utd_core.errors import Closed, DeadlineExceeded
from utd_core.testing import VirtualClock
from utd_core.testing.wait import within

pytestmark = pytest.mark.parity("U8", "U16")


class Owner:
    """Something with a number that changes."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.scope = TaskScope("owner")
        self.number = Variable(0, self.scope, self.clock)

    async def aclose(self) -> None:
        self.number.close()
        await self.scope.aclose()


@pytest.fixture
async def owner() -> AsyncIterator[Owner]:
    owner = Owner()
    await owner.scope.open()
    yield owner
    await owner.aclose()


async def test_a_callback_gets_every_later_value_in_order_and_not_in_the_call_that_sets_it(owner: Owner) -> None:
    seen: list[int] = []
    owner.number.subscribe(seen.append)
    for value in (1, 2, 3):
        owner.number.set(value)
    assert seen == []
    await owner.clock.settle()
    assert seen == [1, 2, 3]


async def test_equal_values_are_not_announced_again(owner: Owner) -> None:
    seen: list[int] = []
    owner.number.subscribe(seen.append)
    assert not owner.number.set(0)
    assert owner.number.set(1)
    assert not owner.number.set(1)
    await owner.clock.settle()
    assert seen == [1]


async def test_after_unsubscribing_no_callback_is_called_not_even_with_what_waited(owner: Owner) -> None:
    seen: list[int] = []
    stop = owner.number.subscribe(seen.append)
    owner.number.set(1)
    stop()
    stop()
    await owner.clock.settle()
    assert seen == []
    assert owner.number.statistics().subscribers == 0


async def test_a_callback_may_unsubscribe_itself(owner: Owner) -> None:
    seen: list[int] = []

    def once(value: int) -> None:
        seen.append(value)
        stop()

    stop = owner.number.subscribe(once)
    owner.number.set(1)
    owner.number.set(2)
    await owner.clock.settle()
    assert seen == [1]


async def test_a_callback_may_set_the_value_it_listens_to(owner: Owner) -> None:
    seen: list[int] = []

    def count_to_three(value: int) -> None:
        seen.append(value)
        if value < 3:
            owner.number.set(value + 1)

    owner.number.subscribe(count_to_three)
    owner.number.set(1)
    await owner.clock.settle()
    assert seen == [1, 2, 3]


async def test_a_failing_callback_is_logged_goes_on_and_stops_nobody(
    owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    def fail_on_one(value: int) -> None:
        if value == 1:
            raise ValueError("not one")
        seen.append(value)

    others: list[int] = []
    owner.number.subscribe(fail_on_one)
    owner.number.subscribe(others.append)
    with caplog.at_level(logging.CRITICAL, logger="utd_core.client"):
        owner.number.set(1)
        owner.number.set(2)
        await owner.clock.settle()
    assert seen == [2]
    assert others == [1, 2]
    assert owner.number.statistics().failed == 1


async def test_a_slow_coroutine_callback_delays_only_itself_and_counts_what_it_lost(owner: Owner) -> None:
    slow: list[int] = []
    fast: list[int] = []

    async def take_a_second(value: int) -> None:
        await owner.clock.sleep(1.0)
        slow.append(value)

    stop = owner.number.subscribe(take_a_second, capacity=2)
    owner.number.subscribe(fast.append)
    for value in range(1, 7):
        owner.number.set(value)
        await owner.clock.settle()
    assert fast == [1, 2, 3, 4, 5, 6]
    await owner.clock.advance(10.0)
    assert slow == [1, 5, 6]
    assert owner.number.statistics().dropped == 3
    stop()
    assert owner.number.statistics().dropped == 3


async def test_overflow_drop_newest_keeps_the_oldest_values(owner: Owner) -> None:
    seen: list[int] = []
    owner.number.subscribe(seen.append, capacity=2, overflow=Overflow.DROP_NEWEST)
    for value in range(1, 6):
        owner.number.set(value)
    await owner.clock.settle()
    assert seen == [1, 2]


async def test_an_iteration_begins_with_the_present_value_and_skips_to_the_latest(owner: Owner) -> None:
    changes = aiter(owner.number)
    assert await anext(changes) == 0
    owner.number.set(1)
    owner.number.set(2)
    assert await anext(changes) == 2
    waiting = asyncio.ensure_future(anext(changes))
    await owner.clock.settle()
    assert not waiting.done()
    owner.number.set(3)
    assert await within(waiting) == 3


async def test_a_value_that_changes_and_changes_back_between_two_looks_is_shown_again(owner: Owner) -> None:
    changes = aiter(owner.number)
    assert await anext(changes) == 0
    owner.number.set(1)
    owner.number.set(0)
    assert await anext(changes) == 0


async def test_an_iteration_ends_with_its_owner_after_the_last_value(owner: Owner) -> None:
    changes = aiter(owner.number)
    assert await anext(changes) == 0
    owner.number.set(1)
    owner.number.close()
    assert [value async for value in changes] == [1]
    assert [value async for value in owner.number] == [1]


async def test_wait_for_is_done_at_once_when_it_holds_already(owner: Owner) -> None:
    assert await owner.number.wait_for(lambda value: value == 0, timeout=0.0) == 0


@pytest.mark.parametrize("timeout", [None, 5.0])
async def test_wait_for_sees_a_value_that_was_replaced_in_the_same_turn(owner: Owner, timeout: float | None) -> None:
    waiting = asyncio.ensure_future(owner.number.wait_for(lambda value: value == 1, timeout))
    await owner.clock.settle()
    owner.number.set(1)
    owner.number.set(2)
    assert await within(waiting) == 1


async def test_wait_for_ends_with_its_deadline_on_the_owners_clock(owner: Owner) -> None:
    waiting = asyncio.ensure_future(owner.number.wait_for(lambda value: value == 1, timeout=30.0))
    await owner.clock.advance(29.9)
    assert not waiting.done()
    await owner.clock.advance(0.2)
    with pytest.raises(
        DeadlineExceeded, match=r"^what was waited for did not happen within 30.0 s; the last value is 0"
    ):
        await waiting


async def test_an_error_names_what_was_waited_for_and_the_last_value(owner: Owner) -> None:
    late = asyncio.ensure_future(owner.number.wait_for(lambda value: value > 8, timeout=1.0, what="a high number"))
    gone = asyncio.ensure_future(owner.number.wait_for(lambda value: value > 9, what="a higher number"))
    await owner.clock.settle()
    owner.number.set(7)
    await owner.clock.advance(1.0)
    with pytest.raises(DeadlineExceeded, match=r"^a high number did not happen within 1.0 s; the last value is 7"):
        await late
    owner.number.set(8)
    owner.number.close()
    with pytest.raises(Closed, match=r"^a higher number cannot happen .* the last value is 8"):
        await gone


async def test_an_error_of_a_mapped_observable_names_the_value_that_its_waiter_sees(owner: Owner) -> None:
    words = owner.number.map(lambda value: "many" * value)
    late = asyncio.ensure_future(words.wait_for(lambda word: word == "few", timeout=1.0, what="the word"))
    await owner.clock.settle()
    owner.number.set(1_000)
    await owner.clock.advance(1.0)
    with pytest.raises(DeadlineExceeded, match=r"the word did not happen .* the last value is 'many") as caught:
        await late
    assert len(str(caught.value)) < 500, "a large value is cut"


async def test_wait_for_raises_what_its_predicate_raises(owner: Owner) -> None:
    def fail_on_one(value: int) -> bool:
        if value == 1:
            raise ValueError("not one")
        return False

    for timeout in (None, 5.0):
        owner.number.set(0)
        waiting = asyncio.ensure_future(owner.number.wait_for(fail_on_one, timeout=timeout))
        await owner.clock.settle()
        owner.number.set(1)
        with pytest.raises(ValueError, match="not one"):
            await waiting


async def test_wait_for_raises_closed_when_the_owner_closes(owner: Owner) -> None:
    waiting = asyncio.ensure_future(owner.number.wait_for(lambda value: value == 1))
    await owner.clock.settle()
    owner.number.close()
    with pytest.raises(Closed):
        await waiting
    with pytest.raises(Closed):
        await owner.number.wait_for(lambda value: value == 1)


async def test_a_cancelled_wait_for_leaves_nothing_behind(owner: Owner) -> None:
    waiting = asyncio.ensure_future(owner.number.wait_for(lambda value: value == 1, timeout=30.0))
    await owner.clock.settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert owner.clock.pending == ()
    assert owner.number._searches == []


async def test_closing_ends_callbacks_that_wait_and_those_that_run(owner: Owner) -> None:
    seen: list[int] = []

    async def slow(value: int) -> None:
        await owner.clock.sleep(1.0)
        seen.append(value)

    owner.number.subscribe(slow)
    owner.number.set(1)
    await owner.clock.settle()
    await owner.aclose()
    await owner.clock.advance(5.0)
    assert seen == []
    assert not owner.number.set(2)
    assert owner.number.value == 1


async def test_a_callback_may_close_the_owner(owner: Owner) -> None:
    async def close(value: int) -> None:
        await owner.aclose()

    owner.number.subscribe(close)
    owner.number.set(1)
    await owner.clock.settle()
    assert not owner.scope.is_open


async def test_values_set_before_the_owner_runs_are_delivered_with_the_next_one() -> None:
    owner = Owner()
    seen: list[int] = []
    owner.number.subscribe(seen.append)
    owner.number.set(1)
    await owner.scope.open()
    owner.number.set(2)
    await owner.clock.settle()
    assert seen == [1, 2]
    await owner.aclose()


async def test_a_mapped_observable_reads_listens_iterates_and_waits_like_its_source(owner: Owner) -> None:
    even: Observable[bool] = owner.number.map(lambda value: value % 2 == 0)
    assert even.value is True
    seen: list[bool] = []
    even.subscribe(seen.append)
    changes = aiter(even)
    assert await anext(changes) is True
    for value in (2, 3, 5, 4):
        owner.number.set(value)
        await owner.clock.settle()
    assert seen == [False, True]
    owner.number.set(7)
    assert await anext(changes) is False
    assert await even.wait_for(lambda value: not value) is False
    assert even.map(str).value == "False"


async def test_a_mapped_observable_keeps_nothing_alive(owner: Owner) -> None:
    for _ in range(100):
        owner.number.map(str)
    assert owner.number.statistics().subscribers == 0
