"""A deadline on the injected clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from ..errors import DeadlineExceeded, ErrorCode
from .clock import Clock

T = TypeVar("T")


async def within(
    clock: Clock,
    seconds: float | None,
    operation: Awaitable[T],
    message: str | Callable[[], str],
    code: ErrorCode = ErrorCode.DEADLINE_EXCEEDED,
) -> T:
    """The result of `operation`, which is cancelled after `seconds` of `clock`; None waits for as long as it takes.

    Raises `DeadlineExceeded` with `message` (or what it returns then) and `code` when the time runs out, and whatever
    the operation raises.
    """
    if seconds is None:
        return await operation
    timer = anyio.CancelScope()
    raised: Exception | None = None
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
    except ExceptionGroup as group_of_one:
        raised = group_of_one.exceptions[0]
    if raised is not None:
        # Unwrapped out here: raised in the handler, it would take the group for its context and lose its own cause.
        raise raised
    raise DeadlineExceeded(message() if callable(message) else message, code=code)
