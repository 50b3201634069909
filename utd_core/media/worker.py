"""Blocking calls of one object (a decoder, an encoder, a file), one after the other, off the event loop.

They run on the loop's own thread pool, so a thousand open files are not a thousand threads; a blocking library is
never entered twice at a time for one object, and its calls keep their order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from ..errors import Closed

T = TypeVar("T")


class Worker:
    """A queue of blocking calls. It holds no thread while there is nothing to do."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._last: asyncio.Future[Any] | None = None

    def submit(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Queue a call and go on. It is made even if nobody waits for it. Raises `Closed`."""
        if self._last is not None:
            raise Closed(f"{self._name} was closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        # The caller may be cancelled before it reads an error, which asyncio would then log as forgotten.
        future.add_done_callback(_retrieve)
        self._calls.append((partial(function, *args), future))
        if len(self._calls) == 1:
            self._start()
        return future

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Make a call and wait for it. A cancelled caller leaves at once; the call is still made, in order."""
        return await asyncio.shield(self.submit(function, *args))

    async def aclose(self, last: Callable[[], object] | None = None) -> None:
        """Make one last call after all others, and wait for it. Idempotent.

        The last call is queued before the first await, so it is made even if the closer is cancelled.
        Raises what it raised, to every closer.
        """
        if self._last is None:
            self._last = self.submit(last or _nothing)
        await asyncio.shield(self._last)

    def _start(self) -> None:
        call, _ = self._calls[0]
        asyncio.get_running_loop().run_in_executor(None, call).add_done_callback(self._finished)

    def _finished(self, running: asyncio.Future[Any]) -> None:
        _, future = self._calls.popleft()
        if running.cancelled():
            future.cancel()
        elif not future.done():  # done: its waiter was cancelled without a shield
            if error := running.exception():
                future.set_exception(error)
            else:
                future.set_result(running.result())
        if self._calls:
            self._start()


def _nothing() -> None:
    return None


def _retrieve(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
