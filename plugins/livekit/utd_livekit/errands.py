"""Work that must come to its end although whoever asked for it was cancelled.

The SDK's `connect` may never be cancelled: the native library panics and ends the whole process 15 s later. Other calls
may, and then leave half of what they did. So each runs as a task of its own, and the caller waits beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from utd_core.errors import Closed

T = TypeVar("T")


class Errands:
    """Those of one connection or backend, named in words for people."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._under_way: set[asyncio.Task[Any]] = set()

    @property
    def is_busy(self) -> bool:
        """Some are under way."""
        return bool(self._under_way)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin it; `wait` for it, or not. What it raises is nobody's loss when nobody waits."""
        task = asyncio.create_task(work, name=f"{self._name}:{getattr(work, '__name__', 'errand')}")
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return task

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result. Cancelled, the caller goes and the work goes on."""
        return await self.wait(self.start(work))

    async def wait(self, task: asyncio.Task[T]) -> T:
        """The result of one that was started. Raises `Closed` when `finish` gave it up."""
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if task.cancelled() and caller is not None and not caller.cancelling():
                raise Closed(f"{self._name} was closed meanwhile") from None
            raise

    async def finish(self, within: float | None = None) -> None:
        """Wait until all have ended; those that take longer than `within` seconds are cancelled."""
        own = asyncio.current_task()
        while waiting := [task for task in self._under_way if task is not own]:
            _, late = await asyncio.wait(waiting, timeout=within)
            for task in late:
                task.cancel()

    async def wait_for_all(self, within: float) -> None:
        """Wait until all have ended, at most `within` seconds; none is cancelled."""
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=within)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()


class Once(Generic[T]):
    """An errand for all who want what comes of it: the first begins it, and it is not cancelled with anybody. Begun
    again by whoever comes after it failed."""

    def __init__(self, errands: Errands, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._errands = errands
        self._work = work
        self._task: asyncio.Task[T] | None = None

    async def done(self) -> T:
        """What comes of it. Raises what it raises, and `Closed` when the errands were given up."""
        if self._task is None or _has_failed(self._task):
            self._task = self._errands.start(self._work())
        return self._task.result() if self._task.done() else await self._errands.wait(self._task)

    async def over(self) -> T | None:
        """What came of it, when it is not under way any more; None where it failed, or nobody ever began it."""
        if self._task is None:
            return None
        await asyncio.wait([self._task])
        return None if _has_failed(self._task) else self._task.result()


def _has_failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
