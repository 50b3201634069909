"""Waiting with a deadline, in real and in virtual time."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from utd_core.concurrency import SystemClock, TaskScope
from utd_core.testing import VirtualClock
from utd_core.testing.wait import eventually, within


async def test_it_returns_the_first_truthy_value() -> None:
    values = iter([0, "", None, "found", "later"])
    assert await eventually(lambda: next(values)) == "found"


async def test_the_condition_may_be_a_coroutine_function() -> None:
    answers = iter([False, True])

    async def ask() -> bool:
        await asyncio.sleep(0)
        return next(answers)

    assert await eventually(ask) is True


async def test_it_says_what_did_not_happen() -> None:
    with pytest.raises(AssertionError, match=r"the dawn did not happen within 0.02 s; the last value is 0"):
        await eventually(lambda: 0, timeout=0.02, what="the dawn")


async def test_a_condition_is_looked_at_once_more_when_time_is_up() -> None:
    clock = VirtualClock()
    assert await eventually(lambda: clock.monotonic() >= 30, timeout=30, clock=clock)


async def test_a_virtual_clock_is_moved_from_sleeper_to_sleeper() -> None:
    clock = VirtualClock()
    rung: list[float] = []

    async def ring() -> None:
        await clock.sleep(30)
        rung.append(clock.monotonic())
        await clock.sleep(1_000)

    scope = TaskScope("ringing")
    await scope.open()
    scope.start(ring)
    began = time.monotonic()
    await eventually(lambda: rung, timeout=60, clock=clock)
    assert rung == [30.0]
    assert clock.monotonic() == 30.0, "it stops where the condition came true"
    assert time.monotonic() - began < 5
    await scope.aclose()


async def test_the_time_out_is_one_of_the_virtual_clock() -> None:
    clock = VirtualClock()
    with pytest.raises(AssertionError):
        await eventually(lambda: False, timeout=3_600, clock=clock)
    assert clock.monotonic() == 3_600


async def test_another_clock_is_polled() -> None:
    clock = SystemClock()
    end = clock.monotonic() + 0.02
    assert await eventually(lambda: clock.monotonic() >= end, clock=clock)


async def test_within_gives_the_result_and_the_error() -> None:
    clock = VirtualClock()

    async def answer() -> int:
        await clock.sleep(5)
        return 42

    async def fail() -> None:
        await clock.sleep(5)
        raise KeyError("why")

    assert await within(answer(), 10, clock=clock) == 42
    with pytest.raises(KeyError, match="why"):
        await within(fail(), 10, clock=clock)


async def test_within_cancels_what_takes_too_long() -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with pytest.raises(AssertionError, match=r"the answer did not happen within 0.02 s"):
        await within(wait(), 0.02, what="the answer")
    assert ended == ["cancelled"]


async def test_within_says_where_everything_waits_that_is_under_way() -> None:
    asked = asyncio.Event()

    async def hear() -> None:
        await asked.wait()

    async def wait() -> None:
        await hear()

    with pytest.raises(AssertionError, match=r"under way are:\n") as raised:
        await within(asyncio.create_task(wait(), name="the waiter"), 0.02)
    assert re.search(
        r"^  the waiter: .*wait at test_wait.py:\d+ > .*hear at test_wait.py:\d+ > Event.wait at locks.py:\d+$",
        str(raised.value),
        re.MULTILINE,
    )


async def test_a_cancelled_wait_cancels_its_operation() -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    task = asyncio.create_task(within(wait(), 100))
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert ended == ["cancelled"]
