"""The `Outbox` of an SQL store, each method an operation on the queries of one project."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from .outbox import DeadLetter, OutboxFigures, Parcel

if TYPE_CHECKING:
    from .queries import Queries

T = TypeVar("T")


class Run(Protocol):
    """Runs an operation in a transaction."""

    async def __call__(self, operation: Callable[[Queries], Awaitable[T]], /) -> T: ...


class SqlOutbox:
    """See `Outbox`."""

    def __init__(self, read: Run, write: Run) -> None:
        self._read = read
        self._write = write

    async def claim(self, endpoint: str, now: float, until: float, limit: int) -> list[Parcel]:
        if not await self._read(lambda queries: queries.outbox.lanes_due(endpoint, now, 1)):
            # Looked for often, and mostly in vain: that need not wait for the disk.
            return []
        return await self._write(lambda queries: queries.outbox.claim(endpoint, now, until, limit))

    async def next_due(self, endpoint: str) -> float | None:
        return await self._read(lambda queries: queries.outbox.next_due(endpoint))

    async def delivered(self, parcel: Parcel, now: float, until: float) -> Parcel | None:
        return await self._write(lambda queries: queries.outbox.delivered(parcel, now, until))

    async def postpone(self, parcel: Parcel, due: float) -> None:
        await self._write(lambda queries: queries.outbox.postpone(parcel, due))

    async def hand_back(self, parcel: Parcel, now: float) -> None:
        await self._write(lambda queries: queries.outbox.hand_back(parcel, now))

    async def bury(self, parcel: Parcel, reason: str, now: float, until: float) -> Parcel | None:
        return await self._write(lambda queries: queries.outbox.bury(parcel, reason, now, until))

    async def dead(self, endpoint: str | None = None, *, after: int = 0, limit: int = 100) -> Sequence[DeadLetter]:
        return await self._read(lambda queries: queries.outbox.dead(endpoint, after, limit))

    async def revive(self, number: int, now: float) -> bool:
        return await self._write(lambda queries: queries.outbox.revive(number, now))

    async def figures(self) -> Mapping[str, OutboxFigures]:
        return await self._read(lambda queries: queries.outbox.figures())

    async def discard(self, endpoint: str) -> int:
        return await self._write(lambda queries: queries.outbox.discard(endpoint))

    async def prune_dead(self, before: float) -> int:
        return await self._write(lambda queries: queries.outbox.prune_dead(before))
