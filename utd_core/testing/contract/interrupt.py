"""Striking an operation at each of its await points: cancelling it, or closing what it works on.

An operation is run again and again; the n-th run is struck at its n-th suspension, in two ways: as it begins
to wait, and just after what it waits for has happened, before it runs on (the moment in which careless code
loses a result or a resource).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ...errors import UTDStreamException

if TYPE_CHECKING:
    from .harness import Harness

T = TypeVar("T")

MOST_STEPS = 60
"""Await points tried; an operation that waits in a loop has no last one."""


class Moment(StrEnum):
    WAITING = "as it begins to wait"
    WOKEN = "just after it was woken"


@dataclass(frozen=True, slots=True)
class Struck(Generic[T]):
    """How a struck operation ended: a result or an error; `task` is done."""

    step: int
    moment: Moment
    task: asyncio.Task[T]

    @property
    def cancelled(self) -> bool:
        return self.task.cancelled()

    @property
    def error(self) -> BaseException | None:
        return None if self.task.cancelled() else self.task.exception()

    @property
    def result(self) -> T | None:
        """What it returned; None when it was cancelled or failed."""
        return None if self.cancelled or self.error else self.task.result()

    def ended_well(self) -> None:
        """After a close: it returned, or raised an error of this package; nobody cancelled it."""
        assert not self.cancelled, f"{self}: it was cancelled, though nobody cancelled it"
        error = self.error
        assert error is None or isinstance(error, UTDStreamException), f"{self}: a foreign {error!r} came out"

    def __str__(self) -> str:
        return f"struck at await point {self.step}, {self.moment}"


async def at_every_await(
    harness: Harness,
    prepare: Callable[[], Awaitable[Coroutine[Any, Any, T]]],
    strike: Callable[[asyncio.Task[T]], object],
) -> AsyncIterator[Struck[T]]:
    """Run an operation once for each await point and moment, calling `strike(task)` there; yield how it ended.

    `prepare()` sets the stage for one run, undisturbed, and returns the operation, not yet begun. A run that ends
    before its await point is reached is the last one of its moment; it is yielded as well, with nothing struck.
    """
    for moment in Moment:
        for step in range(1, MOST_STEPS + 1):
            stepped = _Stepped(await prepare(), step, moment, strike)
            task = asyncio.create_task(stepped.run())
            stepped.task = task
            try:
                await harness.eventually(
                    task.done, what=f"the end of an operation struck at await point {step}, {moment},"
                )
            finally:
                task.cancel()
            yield Struck(step, moment, task)
            if not stepped.struck:
                break


def cancel(task: asyncio.Task[Any]) -> object:
    """The strike that cancels the operation itself."""
    return task.cancel()


class Closing:
    """The strike that closes something from another task: `Closing(connection.aclose)`."""

    def __init__(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._close = close
        self._tasks: list[asyncio.Task[None]] = []

    def __call__(self, _: asyncio.Task[Any]) -> None:
        self._tasks.append(asyncio.create_task(self._close()))

    async def done(self, harness: Harness) -> None:
        """Close it, if no strike has begun to, and wait until that is done; raises what closing raised."""
        for task in self._tasks or [asyncio.create_task(self._close())]:
            await harness.within(task, what="the end of closing")
        self._tasks.clear()


class _Stepped(Generic[T]):
    """Runs a coroutine and looks at each thing it waits for."""

    def __init__(
        self,
        operation: Coroutine[Any, Any, T],
        step: int,
        moment: Moment,
        strike: Callable[[asyncio.Task[T]], object],
    ) -> None:
        self.struck = False
        self.task: asyncio.Task[T] | None = None
        self._operation = operation
        self._step = step
        self._moment = moment
        self._strike = strike

    async def run(self) -> T:
        return await self

    def __await__(self) -> Generator[Any, Any, T]:
        # The coroutine is driven by hand: what it yields is what it waits for, and is passed on to the loop.
        waiting = self._operation.__await__()
        step, throw, value = 0, None, None
        while True:
            try:
                awaited = waiting.send(value) if throw is None else waiting.throw(throw)
            except StopIteration as stop:
                result: T = stop.value
                return result
            step += 1
            if step == self._step:
                self._arm(awaited)
            try:
                throw, value = None, (yield awaited)
            except BaseException as error:  # noqa: BLE001  # the coroutine gets it, also a cancellation
                throw, value = error, None

    def _arm(self, awaited: Any) -> None:
        if self._moment is Moment.WOKEN and asyncio.isfuture(awaited):
            # Before the task adds its own callback, so the strike comes first when the future is done.
            awaited.add_done_callback(lambda _: self._hit())
        else:
            self._hit()

    def _hit(self) -> None:
        assert self.task is not None
        self.struck = True
        if not self.task.done():
            self._strike(self.task)
