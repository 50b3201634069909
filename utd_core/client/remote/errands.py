"""Operations that go on when whoever waits for them gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from copy import copy
from typing import Generic, TypeVar

from ...concurrency import TaskScope
from ...concurrency.shared import begin
from ...errors import UTDStreamException

T = TypeVar("T")


class Errand(Generic[T]):
    """One operation in a task of its own, which ends with its scope. Raises `Closed` when that is not open."""

    def __init__(self, scope: TaskScope, operation: Callable[[], Awaitable[T]], name: str) -> None:
        self._outcome = begin(scope, operation, name=name)

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
