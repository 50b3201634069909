"""The virtual clock keeps its four rules; see the header of `utd_core/testing/clock.py`."""

from __future__ import annotations

import asyncio
import contextlib
import time

import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_core.concurrency import Clock, TaskScope
from utd_core.errors import DeadlineExceeded
from utd_core.testing import VirtualClock

delays = st.lists(st.integers(min_value=1, max_value=10_000_000), min_size=1, max_size=30)


def test_is_a_clock() -> None:
    clock: Clock = VirtualClock(start=1_000.0)
    assert clock.now() == 1_000.0
    assert clock.monotonic() == 0.0


@given(delays=delays)
def test_sleepers_wake_in_order_of_deadline_then_of_falling_asleep(delays: list[int]) -> None:
    async def check() -> None:
        clock = VirtualClock()
        woken: list[tuple[int, int]] = []

        async def sleeper(index: int, delay: int) -> None:
            await clock.sleep(delay / 1e6)
            assert round(clock.monotonic() * 1e6) == delay, "a sleeper sees exactly its deadline"
            woken.append((delay, index))

        async with asyncio.TaskGroup() as group:
            for index, delay in enumerate(delays):
                group.create_task(sleeper(index, delay))
            await clock.settle()
            assert clock.pending == tuple(sorted(delay / 1e6 for delay in delays))
            await clock.advance(10.0)
        assert woken == sorted((delay, index) for index, delay in enumerate(delays))
        assert clock.monotonic() == 10.0
        assert clock.pending == ()

    asyncio.run(check())


@given(steps=delays, cuts=st.lists(st.integers(min_value=0, max_value=5_000_000), max_size=10))
def test_one_long_advance_is_the_same_as_many_short_ones(steps: list[int], cuts: list[int]) -> None:
    async def run(advances: list[int]) -> list[float]:
        clock = VirtualClock()
        seen: list[float] = []

        async def walker() -> None:
            for step in steps:
                await clock.sleep(step / 1e6)
                seen.append(clock.monotonic())

        async with asyncio.TaskGroup() as group:
            task = group.create_task(walker())
            for advance in advances:
                await clock.advance(advance / 1e6)
            task.cancel()
        return seen

    assert asyncio.run(run(cuts)) == asyncio.run(run([sum(cuts)]))


@given(delays=delays, data=st.data())
def test_cancelled_sleepers_vanish_and_nobody_else_is_disturbed(delays: list[int], data: st.DataObject) -> None:
    cancelled = data.draw(st.sets(st.integers(0, len(delays) - 1)))

    async def check() -> None:
        clock = VirtualClock()
        woken: list[int] = []

        async def sleeper(index: int) -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await clock.sleep(delays[index] / 1e6)
                woken.append(index)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(sleeper(index)) for index in range(len(delays))]
            await clock.settle()
            for index in cancelled:
                tasks[index].cancel()
            left = [index for index in range(len(delays)) if index not in cancelled]
            assert clock.pending == tuple(sorted(delays[index] / 1e6 for index in left))
            await clock.advance(10.0)
        assert sorted(woken) == left

    asyncio.run(check())


async def test_a_woken_task_that_sleeps_again_is_woken_again_inside_the_same_advance() -> None:
    clock = VirtualClock()
    ticks: list[float] = []

    async def ticker() -> None:
        while True:
            await clock.sleep(0.02)
            ticks.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        task = group.create_task(ticker())
        await clock.advance(1.0)
        task.cancel()
    assert ticks == [round(0.02 * n, 6) for n in range(1, 51)]


async def test_a_chain_of_tasks_settles_before_the_next_deadline() -> None:
    """Woken tasks hand on through queues, events and new tasks; all of it belongs to the first deadline."""
    clock = VirtualClock()
    log: list[tuple[str, float]] = []
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def first() -> None:
        await clock.sleep(1.0)
        queue.put_nowait(0)

    async def relay() -> None:
        for _ in range(200):
            value = await queue.get()
            await asyncio.sleep(0)
            queue.put_nowait(value + 1)
        log.append(("relayed", clock.monotonic()))

    async def second() -> None:
        await clock.sleep(1.000_001)
        log.append(("second", clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for function in (first, relay, second):
            group.create_task(function())
        await clock.advance(2.0)
    assert log == [("relayed", 1.0), ("second", 1.000_001)]


async def test_thirty_seconds_of_ringing_take_milliseconds() -> None:
    clock = VirtualClock()
    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        ringing = group.create_task(clock.sleep(30.0))
        await clock.advance(30.0)
        assert ringing.done()
    assert time.perf_counter() - begin < 0.5


async def test_a_unix_deadline_with_float_error_is_not_missed() -> None:
    clock = VirtualClock(start=1_700_000_000.0)
    await clock.advance(0.1)
    expires_at = clock.now() + 30.0
    await clock.advance(0.2)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(clock.sleep(expires_at - clock.now()))
        await clock.advance(29.8)
        assert task.done()


async def test_time_stands_still_while_a_thread_works() -> None:
    clock = VirtualClock()
    seen: list[float] = []

    async def worker() -> None:
        await clock.sleep(1.0)
        await asyncio.to_thread(time.sleep, 0.02)
        seen.append(clock.monotonic())
        await anyio.to_thread.run_sync(time.sleep, 0.02)
        seen.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        group.create_task(worker())
        group.create_task(clock.sleep(2.0))
        await clock.advance(3.0)
    assert seen == [1.0, 1.0]


async def test_time_stands_still_while_held() -> None:
    clock = VirtualClock()
    loop = asyncio.get_running_loop()

    async def outside() -> None:
        with clock.hold():
            done = loop.create_future()
            loop.call_later(0.02, done.set_result, None)
            await done
            assert clock.monotonic() == 0.0

    async with asyncio.TaskGroup() as group:
        group.create_task(outside())
        await clock.advance(5.0)


async def test_a_loop_that_does_not_show_its_queue_settles_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utd_core.testing.clock._ready_queue", lambda loop: None)
    clock = VirtualClock()
    ticks: list[float] = []

    async def ticker() -> None:
        while True:
            await clock.sleep(0.5)
            for _ in range(50):
                await asyncio.sleep(0)
            ticks.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        task = group.create_task(ticker())
        await clock.advance(2.0)
        task.cancel()
    assert ticks == [0.5, 1.0, 1.5, 2.0]


async def test_two_tasks_that_advance_at_once_do_not_wait_for_each_other_forever() -> None:
    clock = VirtualClock()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(clock.advance(1.0))
        group.create_task(clock.advance(2.0))
        group.create_task(clock.settle())
        await clock.settle()
    assert clock.monotonic() == 3.0


async def test_a_woken_task_may_advance_the_clock_itself() -> None:
    clock = VirtualClock()

    async def impatient() -> None:
        await clock.sleep(1.0)
        await clock.advance(1.0)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(impatient())
        await clock.advance(1.5)
    assert clock.monotonic() == 2.5


async def test_a_sleeper_cancelled_at_the_instant_it_is_woken_stays_cancelled() -> None:
    clock = VirtualClock()
    sleeping = asyncio.ensure_future(clock.sleep(1.0))

    async def canceller() -> None:
        await clock.sleep(1.0)
        sleeping.cancel()

    async with asyncio.TaskGroup() as group:
        await asyncio.sleep(0)
        group.create_task(canceller())
        await clock.advance(2.0)
    await asyncio.wait([sleeping])
    assert sleeping.done()
    assert clock.pending == ()


async def test_closing_a_scope_of_sleepers_leaves_no_deadline() -> None:
    clock = VirtualClock()
    scope = TaskScope("sleepers")
    await scope.open()
    for seconds in range(1, 100):
        scope.start(clock.sleep, seconds)
    await clock.settle()
    assert len(clock.pending) == 99
    await scope.aclose()
    assert clock.pending == ()


async def test_advance_until_stops_at_the_first_deadline_that_fulfils_the_condition() -> None:
    clock = VirtualClock()
    seen: list[float] = []

    async def ticker() -> None:
        while len(seen) < 5:
            await clock.sleep(1.0)
            seen.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        group.create_task(ticker())
        assert await clock.advance_until(lambda: len(seen) == 3) == 3.0
        with pytest.raises(DeadlineExceeded, match=r"within 0\.5 s"):
            await clock.advance_until(lambda: len(seen) == 4, limit=0.5)
        assert clock.monotonic() == 3.5
        await clock.advance(10.0)
        with pytest.raises(DeadlineExceeded, match="nobody sleeps"):
            await clock.advance_until(lambda: False)


async def test_sleep_of_zero_or_less_yields_once() -> None:
    clock = VirtualClock()
    order: list[str] = []

    async def other() -> None:
        order.append("other")

    async with asyncio.TaskGroup() as group:
        group.create_task(other())
        await clock.sleep(-1.0)
        order.append("sleeper")
    assert order == ["other", "sleeper"]
    assert clock.monotonic() == 0.0


async def test_the_past_is_refused() -> None:
    with pytest.raises(ValueError, match="does not go backwards"):
        await VirtualClock().advance(-0.1)


async def test_a_task_that_never_blocks_is_reported_instead_of_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utd_core.testing.clock._MOST_TURNS", 500)
    clock = VirtualClock()

    async def spinner() -> None:
        while True:
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(spinner())
        with pytest.raises(RuntimeError, match="still runs after 500 turns"):
            await clock.settle()
        task.cancel()
