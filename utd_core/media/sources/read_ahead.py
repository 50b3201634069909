"""Blocking iterators, read in a thread one batch ahead of their reader."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from ...errors import Closed, InvalidInput
from ..worker import Worker

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Batch(Generic[T]):
    """`items`, then more, unless it `ended` there or `error` came."""

    items: list[T]
    ended: bool = False
    error: Exception | None = None


class ReadAhead(Generic[T]):
    """Items of a blocking generator. While one batch is read by the application, the next is made in a thread.

    `make` starts a generator; with `loop` it is called again at every end. A loop that fits in one batch is kept
    in memory and is made once.
    """

    def __init__(self, make: Callable[[], Generator[T]], *, batch: int, loop: bool, name: str) -> None:
        self._make = make
        self._batch = batch
        self._loop = loop
        self._name = name
        self._worker = Worker(f"utd-read-{name}")
        # Touched in the thread only.
        self._generator: Generator[T] | None = None
        self._cycle: list[T] | None = []
        # Touched on the loop only.
        self._items: deque[T] = deque()
        self._pending: asyncio.Future[_Batch[T]] | None = None
        self._ended = False
        self._error: Exception | None = None
        self._closed = False

    async def open(self) -> None:
        """Read the first batch, so that a bad input fails here. Raises what the generator raises at once."""
        try:
            await self._advance()
            if self._error is not None and not self._items:
                raise self._error
        except BaseException:
            await self.aclose()
            raise

    async def get(self) -> T | None:
        """The next item, None at the end. Raises `Closed` after `aclose()`, also when it was waiting.

        What the generator raises comes after the items that it made before.
        """
        while True:
            if self._closed:
                raise Closed(f"{self._name} was closed")
            if self._items:
                if self._pending is None and not self._ended and self._error is None:
                    self._request()
                return self._items.popleft()
            if self._error is not None:
                raise self._error
            if self._ended:
                return self._again()
            await self._advance()

    async def aclose(self) -> None:
        """Close the generator. Idempotent."""
        self._closed = True
        self._items.clear()
        await self._worker.aclose(self._finish)

    def _request(self) -> asyncio.Future[_Batch[T]]:
        self._pending = self._worker.submit(self._fill)
        return self._pending

    async def _advance(self) -> None:
        """Wait for the batch under way. A cancelled reader leaves it to the next one."""
        pending = self._pending or self._request()
        batch = await asyncio.shield(pending)
        if self._pending is pending:
            self._pending = None
            self._ended, self._error = batch.ended, batch.error
            self._items.extend(batch.items)

    def _again(self) -> T | None:
        """The next item of a loop that is held in memory; None when there is no loop."""
        if not self._loop or not self._cycle:
            return None
        self._items.extend(self._cycle)
        return self._items.popleft()

    def _fill(self) -> _Batch[T]:
        """In the thread: the next batch."""
        items: list[T] = []
        try:
            if self._generator is None:
                self._generator = self._make()
            items.extend(islice(self._generator, self._batch))
        except Exception as error:  # noqa: BLE001  # it goes to the reader, after the items before it
            return _Batch(items, ended=True, error=error)
        if len(items) == self._batch:
            self._cycle = None
            return _Batch(items)
        self._finish()
        if not self._loop:
            return _Batch(items, ended=True)
        if self._cycle is None:
            return _Batch(items)
        if not items:
            return _Batch([], error=InvalidInput(f"{self._name} holds no frames, so it cannot be played in a loop"))
        self._cycle = items
        return _Batch(items, ended=True)

    def _finish(self) -> None:
        generator, self._generator = self._generator, None
        if generator is not None:
            generator.close()
