"""What all SQL stores share: the methods of `Store`, each as an operation on the queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from .base import Answer, Commit, Envelope, Head, Remains, StoredState
from .rows import rows_of

if TYPE_CHECKING:
    from .queries import Queries

T = TypeVar("T")


class SqlStore(ABC):
    """A `Store`; a subclass says where and how an operation runs."""

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def aclose(self) -> None: ...

    @abstractmethod
    async def _read(self, operation: Callable[[Queries], T]) -> T:
        """The result of an operation that changes nothing."""

    @abstractmethod
    async def _write(self, operation: Callable[[Queries], T]) -> T:
        """The result of an operation, once what it did is durable; if it fails, nothing was done."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def load(self, kind: str, key: str) -> StoredState | None:
        return await self._read(lambda queries: queries.load(kind, key))

    async def commit(self, commit: Commit) -> None:
        rows = rows_of(commit)
        await self._write(lambda queries: queries.commit(rows))

    async def due(self, now: float, limit: int = 100) -> list[tuple[str, str]]:
        return await self._read(lambda queries: queries.due(now, limit))

    async def next_deadline(self) -> float | None:
        return await self._read(lambda queries: queries.next_deadline())

    async def states(
        self, kind: str, *, after: str = "", limit: int = 100, ended: bool | None = False
    ) -> list[StoredState]:
        return await self._read(lambda queries: queries.states(kind, after, limit, ended))

    async def ended(self, before: float, limit: int = 100) -> list[tuple[str, str, int]]:
        return await self._read(lambda queries: queries.ended(before, limit))

    async def discard(self, remains: Sequence[Remains]) -> list[bool]:
        return await self._write(lambda queries: queries.discard(remains))

    async def head(self, channel: str) -> Head:
        return await self._read(lambda queries: queries.head(channel))

    async def history(self, channel: str, epoch: str, after: int, limit: int) -> Sequence[Envelope] | None:
        return await self._read(lambda queries: queries.history(channel, epoch, after, limit))

    async def answer(self, actor: str, key: str) -> Answer | None:
        return await self._read(lambda queries: queries.answer(actor, key))

    async def prune(self, before: float, keep: int, *, answers_before: float | None = None) -> int:
        total = 0
        after: str | None = ""
        while after is not None:
            deleted, after = await self._write(partial(_prune_events, before=before, keep=keep, after=after))
            total += deleted
        oldest = before if answers_before is None else answers_before
        while deleted := await self._write(lambda queries: queries.prune_answers(oldest)):
            total += deleted
        return total


def _prune_events(queries: Queries, before: float, keep: int, after: str) -> tuple[int, str | None]:
    return queries.prune_events(before, keep, after)
