"""Operations that are given up end where they wait, and others do not."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.concurrency.pending import Pending


async def operation(pending: Pending, result: asyncio.Future[str]) -> str:
    with pending.under_way() as scope:
        return await result
    assert scope.cancelled_caught
    return "given up"


async def test_all_that_are_under_way_are_given_up_and_whatever_begins_later_is_not() -> None:
    pending, result = Pending(), asyncio.get_running_loop().create_future()
    first = [asyncio.ensure_future(operation(pending, result)) for _ in range(3)]
    await asyncio.sleep(0)
    assert len(pending) == 3
    pending.give_up()
    assert await asyncio.gather(*first) == ["given up"] * 3
    assert len(pending) == 0
    later = asyncio.ensure_future(operation(pending, asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    assert not later.done()
    pending.give_up()
    assert await later == "given up"


async def test_one_that_has_its_result_keeps_it() -> None:
    pending, result = Pending(), asyncio.get_running_loop().create_future()
    result.set_result("done")
    assert await operation(pending, result) == "done"
    pending.give_up()


async def test_a_caller_that_is_cancelled_is_not_told_that_it_was_given_up() -> None:
    pending, result = Pending(), asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(operation(pending, result))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(pending) == 0
