"""Operations that go on when whoever waits for them gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from copy import copy
from typing import Generic, TypeVar

from ...concurrency import TaskScope
from ...errors import Closed, UTDStreamException

T = TypeVar("T")


class Errand(Generic[T]):
    """One operation in a task of its own, which ends with its scope. Raises `Closed` when that is not open."""

    def __init__(self, scope: TaskScope, operation: Callable[[], Awaitable[T]], name: str) -> None:
        self._outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        scope.start(self._run, operation, scope.name, name=name)

    @property
    def is_settled(self) -> bool:
        return self._outcome.done()

    async def settled(self) -> None:
        """Wait for its end, whatever that is."""
        if not self._outcome.done():
            await asyncio.wait([self._outcome])

    async def result(self) -> T:
        """What the operation answers or raises, for each caller anew; `Closed` when its scope ended first."""
        await self.settled()
        error = self._outcome.exception()
        if isinstance(error, UTDStreamException):
            raise copy(error) from error
        return self._outcome.result()

    async def _run(self, operation: Callable[[], Awaitable[T]], scope: str) -> None:
        try:
            self._outcome.set_result(await operation())
        except Exception as error:  # noqa: BLE001  # it is raised where the result is wanted
            self._fail(error)
        finally:
            if not self._outcome.done():
                self._fail(Closed(f"{scope} was closed"))

    def _fail(self, error: Exception) -> None:
        self._outcome.set_exception(error)
        # Nobody may be left who waits for it; that is no reason for a warning.
        self._outcome.exception()


class Shared(Generic[T]):
    """An operation that is under way once at most: whoever wants it meanwhile gets the same outcome."""

    def __init__(self, scope: TaskScope, operation: Callable[[], Awaitable[T]], name: str) -> None:
        self._scope = scope
        self._operation = operation
        self._name = name
        self._errand: Errand[T] | None = None

    async def __call__(self) -> T:
        """Raises what the operation raises, and `Closed`."""
        if self._errand is None:
            self._errand = Errand(self._scope, self._once, self._name)
        return await self._errand.result()

    async def _once(self) -> T:
        try:
            return await self._operation()
        finally:
            self._errand = None
