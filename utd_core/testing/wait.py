"""Waiting in tests: for a condition, with a deadline, never for a time.

With a `VirtualClock` the wait moves the clock itself, from one sleeper's deadline to the next, so a wait of
30 s takes milliseconds; with any other clock it polls in real time.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

from ..concurrency import Clock
from .clock import VirtualClock
from .tasks import under_way

T = TypeVar("T")

POLL = 0.01
"""Seconds between two looks at a condition in real time."""


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], timeout: float = ..., *, clock: Clock | None = ..., what: str = ...
) -> T: ...


@overload
async def eventually(
    condition: Callable[[], T], timeout: float = ..., *, clock: Clock | None = ..., what: str = ...
) -> T: ...


async def eventually(
    condition: Callable[[], T | Awaitable[T]],
    timeout: float = 5.0,
    *,
    clock: Clock | None = None,
    what: str = "",
) -> T:
    """The first truthy value of `condition()`, which may be a coroutine function.

    `timeout`: seconds of `clock` (a `VirtualClock` is moved forward), or real seconds without one.
    Raises `AssertionError` that says what was waited for, and the last value, when it runs out.
    """
    loop = asyncio.get_running_loop()
    now = loop.time if clock is None else clock.monotonic
    end = now() + timeout
    if isinstance(clock, VirtualClock):
        await clock.settle()
    while not (value := await _value(condition)):
        left = end - now()
        if left <= 0:
            raise AssertionError(
                f"{what or _name(condition)} did not happen within {timeout} s; the last value is {value!r}"
            )
        await _pause(clock, left)
    return value


async def within(operation: Awaitable[T], timeout: float = 5.0, *, clock: Clock | None = None, what: str = "") -> T:
    """The result of `operation`, which must end within `timeout` seconds; else it is cancelled.

    `clock` as in `eventually`: a `VirtualClock` is moved, where `utd_core.concurrency.within` only waits on it. Raises
    `AssertionError`, which says where every task waits, when the time runs out, and whatever the operation raises.
    """
    task = asyncio.ensure_future(operation)
    try:
        await eventually(task.done, timeout, clock=clock, what=what or f"the end of {_name(operation)}")
    except AssertionError as error:
        raise AssertionError("\n  ".join((f"{error}; under way are:", *under_way()))) from None
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=POLL * 100)
    return task.result()


async def _pause(clock: Clock | None, left: float) -> None:
    if clock is None:
        await asyncio.sleep(min(POLL, left))
    elif isinstance(clock, VirtualClock):
        pending = clock.pending
        await clock.advance(min(left, pending[0] - clock.monotonic()) if pending else left)
        await clock.settle()
    else:
        await clock.sleep(min(POLL, left))


async def _value(condition: Callable[[], T | Awaitable[T]]) -> T:
    value = condition()
    if inspect.isawaitable(value):
        return await value
    return value


def _name(thing: object) -> str:
    return getattr(thing, "__qualname__", None) or type(thing).__name__
