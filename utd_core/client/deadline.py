"""A deadline on the injected clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import anyio

from ..concurrency import Clock
from ..errors import DeadlineExceeded, ErrorCode

T = TypeVar("T")


async def within(
    clock: Clock,
    seconds: float | None,
    operation: Awaitable[T],
    message: str,
    code: ErrorCode = ErrorCode.DEADLINE_EXCEEDED,
) -> T:
    """The result of `operation`, which is cancelled after `seconds` of `clock`; None waits for as long as it takes.

    Raises `DeadlineExceeded` with `message` and `code` when the time runs out, and whatever the operation raises.
    """
    if seconds is None:
        return await operation
    timer = anyio.CancelScope()
    try:
        async with anyio.create_task_group() as group:

            async def expire() -> None:
                with timer:
                    await clock.sleep(seconds)
                    group.cancel_scope.cancel()

            group.start_soon(expire)
            try:
                return await operation
            finally:
                # From a callback: anyio words each cancellation with a description of the task that asks for it.
                asyncio.get_running_loop().call_soon(timer.cancel)
    except ExceptionGroup as failure:
        # A task group wraps what is raised in it, also when there is only one.
        raise failure.exceptions[0] from None
    raise DeadlineExceeded(message, code=code)
