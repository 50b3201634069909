"""`within`: an operation with a deadline on the injected clock."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from utd_core.concurrency import within
from utd_core.errors import DeadlineExceeded, ErrorCode
from utd_core.testing import VirtualClock


class Slow:
    """Operations that take a second of a clock."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.cancelled = 0

    async def answer(self) -> int:
        try:
            await self.clock.sleep(1.0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return 42

    async def fail(self) -> int:
        await self.clock.sleep(1.0)
        raise KeyError("no") from OSError("the reason")


async def test_the_result_comes_before_the_deadline() -> None:
    slow = Slow()
    answering = asyncio.ensure_future(within(slow.clock, 2.0, slow.answer(), "late"))
    await slow.clock.advance(1.0)
    assert await answering == 42
    assert slow.clock.pending == (), "the timer is gone"


async def test_without_seconds_it_takes_as_long_as_it_takes() -> None:
    slow = Slow()
    answering = asyncio.ensure_future(within(slow.clock, None, slow.answer(), "late"))
    await slow.clock.settle()
    assert len(slow.clock.pending) == 1
    await slow.clock.advance(1.0)
    assert await answering == 42


@pytest.mark.parametrize("seconds", [None, 2.0])
async def test_what_the_operation_raises_comes_out_as_it_is(seconds: float | None) -> None:
    slow = Slow()
    failing = asyncio.ensure_future(within(slow.clock, seconds, slow.fail(), "late"))
    await slow.clock.advance(1.0)
    with pytest.raises(KeyError) as caught:
        await failing
    assert isinstance(caught.value.__cause__, OSError)


async def test_an_operation_that_is_late_is_cancelled() -> None:
    slow = Slow()
    expiring = asyncio.ensure_future(within(slow.clock, 0.5, slow.answer(), "late", ErrorCode.GRANT_TIMEOUT))
    await slow.clock.advance(0.5)
    with pytest.raises(DeadlineExceeded, match="late") as caught:
        await expiring
    assert caught.value.code == ErrorCode.GRANT_TIMEOUT
    assert slow.cancelled == 1
    assert slow.clock.pending == ()


async def test_the_message_may_be_worded_when_the_time_is_over() -> None:
    slow = Slow()
    seen = "nothing"
    expiring = asyncio.ensure_future(within(slow.clock, 0.5, slow.answer(), lambda: f"saw {seen}"))
    await slow.clock.settle()
    seen = "half of it"
    await slow.clock.advance(0.5)
    with pytest.raises(DeadlineExceeded, match="saw half of it"):
        await expiring


async def test_an_answer_in_the_instant_of_the_deadline_is_no_error_when_it_was_first() -> None:
    slow = Slow()
    answering = asyncio.ensure_future(slow.answer())
    await slow.clock.settle()
    waiting = asyncio.ensure_future(within(slow.clock, 1.0, answering, "late"))
    await slow.clock.advance(1.0)
    assert await waiting == 42


async def test_it_is_cancelled_with_its_caller_by_either_kind_of_cancellation() -> None:
    clock = VirtualClock()
    waiting = asyncio.ensure_future(within(clock, 9.0, asyncio.Event().wait(), "late"))
    await clock.settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with anyio.CancelScope() as scope:
        scope.cancel()
        await within(clock, 9.0, asyncio.Event().wait(), "late")
    assert scope.cancelled_caught
    assert clock.pending == ()
