"""A home for the background tasks of one long-lived object.

An anyio task group must be left by the task that entered it, yet an engine or a session may be closed
from any task (a signal handler, a test fixture's teardown, another session). So the task group lives in
a host task of its own: structure inside, an idempotent `aclose()` from anywhere outside.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from functools import partial
from typing import Any

import anyio
import anyio.abc

from ..errors import Closed

log = logging.getLogger("utd_core")


class TaskScope:
    """Runs tasks until `aclose()`; afterwards none is left.

    A task that fails is logged and ends alone: one subscriber's mistake must not end a room. None has the context
    variables of whoever started it: it outlives that one, and would speak in the name of a request that is long over.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._group: anyio.abc.TaskGroup | None = None
        self._host: asyncio.Task[None] | None = None
        self._stop: asyncio.Event | None = None
        self._ready = asyncio.Event()
        self._closed = False
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Start the host task; every caller returns once it runs. Raises `Closed` if the scope was closed before."""
        if self._closed:
            raise Closed(f"{self.name} was closed; make a new one")
        if self._host is None:
            self._stop = asyncio.Event()
            self._host = asyncio.create_task(self._run(self._ready, self._stop), name=f"{self.name}:scope")
        await self._ready.wait()

    async def _run(self, ready: asyncio.Event, stop: asyncio.Event) -> None:
        async with anyio.create_task_group() as group:
            self._group = group
            ready.set()
            await stop.wait()
            self._group = None
            group.cancel_scope.cancel()

    def start(self, function: Callable[..., Awaitable[Any]], *args: Any, name: str | None = None) -> None:
        """Run `function(*args)` in the background. Raises `Closed` when the scope is not open."""
        # A task that begins while the others are being cancelled would never run.
        if self._group is None or self._closed:
            raise Closed(f"{self.name} is not open")
        task_name = f"{self.name}:{name or function.__name__}"
        Context().run(partial(self._group.start_soon, self._guard, function, args, name=task_name))

    async def _guard(self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await function(*args)
        except Exception:
            log.exception("background task of %s failed", self.name)
        finally:
            self._tasks.discard(task)

    @property
    def is_open(self) -> bool:
        return self._group is not None and not self._closed

    async def aclose(self) -> None:
        """Cancel every task and wait until all have ended.

        Idempotent and safe from any task. Called from a task of this scope (a callback that closes its own
        session) it asks for the end and returns at once; that task is cancelled at its next await.
        """
        self._closed = True
        if self._host is None or self._stop is None:
            return
        self._stop.set()
        if asyncio.current_task() in self._tasks:
            return
        host = self._host
        # Shielded: a cancelled closer must not leave the tasks running half cancelled.
        await asyncio.shield(asyncio.wait([host]))
