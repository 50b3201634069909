"""Questions that come together go together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from copy import copy
from typing import Generic, TypeVar

from ...concurrency import TaskScope
from ...errors import Closed

T = TypeVar("T")
R = TypeVar("R")

MOST_AT_ONCE = 500


class Gathering(Generic[T, R]):
    """Asks `send` about many items at a time: those that come while one question is under way go with the next.

    `send` answers in the order of the items. What it raises, each of those who wait for it is raised.
    """

    def __init__(self, scope: TaskScope, send: Callable[[Sequence[T]], Awaitable[Sequence[R]]]) -> None:
        self._scope = scope
        self._send = send
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._asking = False

    async def ask(self, item: T) -> R:
        """The answer to one item. Raises what `send` raises, and `Closed` where the scope is not open."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if not self._asking:
            self._scope.start(self._run)
            self._asking = True
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                asked = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
                try:
                    answers = await self._send([item for item, _ in asked])
                except Exception as error:  # noqa: BLE001  # those who asked are told
                    _fail(asked, error)
                except BaseException:
                    _fail(asked, _closed())
                    raise
                else:
                    for (_, waiter), answer in zip(asked, answers, strict=True):
                        if not waiter.done():
                            waiter.set_result(answer)
        finally:
            self._asking = False
            # There are some only where the scope ends, and with it whoever would ask for them.
            _fail(self._waiting, _closed())
            self._waiting.clear()


def _fail(asked: Iterable[tuple[object, asyncio.Future[R]]], error: Exception) -> None:
    for _, waiter in asked:
        if not waiter.done():
            # Each gets an error of its own: a traceback belongs to one task.
            waiter.set_exception(copy(error))


def _closed() -> Closed:
    return Closed("the connection to the holder was closed")
