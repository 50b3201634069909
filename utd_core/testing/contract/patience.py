"""How long a test waits, and on which clock; and what runs beside it meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast, overload

from ...concurrency import Clock, SystemClock, TaskScope
from ..clock import VirtualClock
from ..leaks import Snapshot
from ..wait import eventually, within

T = TypeVar("T")

VIRTUAL_WATCHDOG = 30.0
"""Real seconds after which a test in virtual time is given up."""


class Patience:
    """A test never waits for a time; it waits for something to happen, within `patience`.

    `virtual_time`: on a `VirtualClock`, which the waiting itself moves, so patience costs nothing. Otherwise in real
    time, with `scale` times the usual patience.
    """

    patience = 10.0
    """Seconds (of `clock`) within which an expected thing must have happened."""
    quiet = 0.5
    """Seconds (of `clock`) to wait before saying that something did not happen."""
    prompt = 2.0
    """Seconds (of `clock`) that "at once" may take: less than any retry or time-out of a backend."""
    watchdog = 120.0
    """Real seconds after which a test is given up."""

    def __init__(self, *, virtual_time: bool, scale: float = 1.0) -> None:
        self.clock: Clock = VirtualClock() if virtual_time else SystemClock()
        self._scope = TaskScope("contract")
        if virtual_time:
            self.watchdog = VIRTUAL_WATCHDOG
        else:
            self.patience, self.quiet = self.patience * scale, self.quiet * scale
            self.prompt, self.watchdog = self.prompt * scale, self.watchdog * scale

    def background(self, function: Callable[..., Awaitable[Any]], *arguments: Any, name: str | None = None) -> None:
        """Run something beside the test; it ends with the test."""
        self._scope.start(function, *arguments, name=name)

    async def pass_time(self, seconds: float) -> None:
        """Let `seconds` of the backend's time go by."""
        if isinstance(self.clock, VirtualClock):
            await self.clock.advance(seconds)
            await self.clock.settle()
        else:
            await self.clock.sleep(seconds)

    async def settle(self) -> None:
        """Wait as long as it takes to say that nothing more is going to happen."""
        await self.pass_time(self.quiet)

    @overload
    async def eventually(
        self, condition: Callable[[], Awaitable[T]], timeout: float | None = ..., *, what: str = ...
    ) -> T: ...

    @overload
    async def eventually(self, condition: Callable[[], T], timeout: float | None = ..., *, what: str = ...) -> T: ...

    async def eventually(
        self, condition: Callable[[], T | Awaitable[T]], timeout: float | None = None, *, what: str = ""
    ) -> T:
        """The first truthy value of `condition()`, within patience."""
        patient: Callable[[], Any] = condition
        return cast(
            "T", await eventually(patient, self.patience if timeout is None else timeout, clock=self.clock, what=what)
        )

    async def within(self, operation: Awaitable[T], timeout: float | None = None, *, what: str = "") -> T:
        """The result of `operation`, within patience."""
        return await within(operation, self.patience if timeout is None else timeout, clock=self.clock, what=what)

    async def left_nothing(self, before: Snapshot, what: str = "") -> None:
        """Wait until no task, thread or descriptor is there that was not there before."""
        try:
            await self.eventually(lambda: not Snapshot.take().leaked_since(before))
        except AssertionError:
            leaked = "\n  ".join(Snapshot.take().leaked_since(before))
            raise AssertionError(f"{what or 'this'} left behind:\n  {leaked}") from None
