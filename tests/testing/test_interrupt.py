"""Striking an operation at each of its await points."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
import pytest_asyncio

from utd_core.errors import Closed
from utd_core.testing.contract.harness import Harness
from utd_core.testing.contract.interrupt import MOST_STEPS, Closing, Moment, Struck, at_every_await, cancel
from utd_core.testing.contract.target import find_target


@pytest_asyncio.fixture
async def harness() -> AsyncIterator[Harness]:
    target = find_target("mock")
    async with Harness(target.spec, target.open_backend) as harness:
        yield harness


class Walk:
    """An operation of three awaits: a bare one, one for a future, one for a task. `seen`: how far each run came."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    async def prepare(self) -> Coroutine[Any, Any, str]:
        return self.walk()

    async def walk(self) -> str:
        steps: list[str] = []
        self.seen.append(steps)
        steps.append("begun")
        await asyncio.sleep(0)
        steps.append("yielded")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, None)
        await future
        steps.append("woken")
        await asyncio.ensure_future(asyncio.sleep(0))
        steps.append("joined")
        return "arrived"


async def test_every_await_is_struck_once_in_each_moment(harness: Harness) -> None:
    walk = Walk()
    ended = [struck async for struck in at_every_await(harness, walk.prepare, cancel)]
    assert [(struck.step, struck.moment) for struck in ended] == [
        (step, moment) for moment in Moment for step in (1, 2, 3, 4)
    ]
    for struck, steps in zip(ended, walk.seen, strict=True):
        assert len(steps) == struck.step, "it came to the await point and not one step further"
        assert struck.cancelled is (struck.step < 4)
    assert [struck.result for struck in ended if not struck.cancelled] == ["arrived", "arrived"]


async def test_the_woken_moment_is_after_the_thing_happened(harness: Harness) -> None:
    happened: list[bool] = []

    async def operation() -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, "done")
        try:
            await future
        finally:
            happened.append(future.done() and not future.cancelled())

    async def prepare() -> Coroutine[Any, Any, None]:
        return operation()

    moments = [struck.moment async for struck in at_every_await(harness, prepare, cancel) if struck.cancelled]
    assert moments == [Moment.WAITING, Moment.WOKEN]
    assert happened == [False, True, True, True], "waiting, to its end, woken, to its end"


async def test_an_operation_that_refuses_to_be_cancelled_shows_its_result(harness: Harness) -> None:
    async def stubborn() -> int:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return 7
        return 8

    async def prepare() -> Coroutine[Any, Any, int]:
        return stubborn()

    assert [struck.result async for struck in at_every_await(harness, prepare, cancel)] == [7, 8, 7, 8]


async def test_an_operation_without_an_end_is_struck_only_so_often(harness: Harness) -> None:
    async def endless() -> None:
        while True:
            await asyncio.sleep(0)

    async def prepare() -> Coroutine[Any, Any, None]:
        return endless()

    assert len([struck async for struck in at_every_await(harness, prepare, cancel)]) == 2 * MOST_STEPS


async def test_closing_happens_in_another_task_and_is_waited_for(harness: Harness) -> None:
    closed: list[int] = []

    async def close() -> None:
        await asyncio.sleep(0)
        closed.append(1)

    closing = Closing(close)

    async def prepare() -> Coroutine[Any, Any, str]:
        return Walk().walk()

    async for struck in at_every_await(harness, prepare, closing):
        struck.ended_well()
        await closing.done(harness)
        assert closed.pop() == 1
        assert not closed
        assert struck.result == "arrived"


async def struck_by(error: BaseException) -> Struck[None]:
    async def fail() -> None:
        raise error

    task = asyncio.ensure_future(fail())
    await asyncio.wait([task])
    return Struck(1, Moment.WAITING, task)


async def test_only_an_error_of_this_package_ends_well() -> None:
    (await struck_by(Closed("closed"))).ended_well()
    with pytest.raises(AssertionError, match=r"a foreign KeyError\('x'\) came out"):
        (await struck_by(KeyError("x"))).ended_well()
    with pytest.raises(AssertionError, match="nobody cancelled it"):
        (await struck_by(asyncio.CancelledError())).ended_well()
