"""Blocking calls of one object keep their order, are never entered twice, and are never lost."""

from __future__ import annotations

import asyncio
import threading

import pytest

from utd_core.errors import Closed
from utd_core.media.worker import Worker
from utd_core.testing import VirtualClock


async def test_calls_are_made_one_after_the_other_and_off_the_loop() -> None:
    worker, made, inside = Worker("test"), [], threading.Lock()

    def call(number: int) -> int:
        assert threading.current_thread() is not threading.main_thread()
        assert inside.acquire(blocking=False), "entered twice"
        made.append(number)
        inside.release()
        return number

    futures = [worker.submit(call, number) for number in range(50)]
    assert await asyncio.gather(*futures) == list(range(50))
    assert made == list(range(50))
    await worker.aclose()


async def test_a_cancelled_caller_leaves_but_its_call_is_made() -> None:
    worker, gate, made = Worker("test"), threading.Event(), []

    def call() -> None:
        gate.wait(10)
        made.append(1)

    caller = asyncio.create_task(worker.run(call))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled()
    assert not made
    gate.set()
    await worker.aclose()
    assert made == [1]


async def test_a_cancelled_closer_still_closes() -> None:
    worker, gate, made = Worker("test"), threading.Event(), []
    worker.submit(gate.wait, 10)
    closer = asyncio.create_task(worker.aclose(lambda: made.append("last")))
    await asyncio.sleep(0)
    closer.cancel()
    await asyncio.wait([closer])
    gate.set()
    await worker.aclose(lambda: made.append("another"))
    assert made == ["last"]


async def test_an_error_goes_to_its_caller_and_the_next_call_is_made() -> None:
    worker = Worker("test")
    broken, fine = worker.submit(int, "x"), worker.submit(int, "7")
    assert await fine == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await broken
    await worker.aclose()


async def test_every_closer_sees_why_closing_failed() -> None:
    worker = Worker("test")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await worker.aclose(lambda: 1 // 0)
    with pytest.raises(Closed, match="test was closed"):
        worker.submit(int)


async def test_a_virtual_clock_waits_for_the_worker() -> None:
    clock, worker, done = VirtualClock(), Worker("test"), []

    async def play() -> None:
        for _ in range(5):
            await worker.run(lambda: None)
            await clock.sleep(1)
            done.append(clock.monotonic())

    task = asyncio.create_task(play())
    await clock.advance(10)
    assert done == [1, 2, 3, 4, 5]
    await task
    await worker.aclose()
