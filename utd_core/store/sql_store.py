"""What all SQL stores share: the methods of `Store`, each as an operation on the queries of one project."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from ..concurrency import Clock, SystemClock
from ..errors import Closed, Conflict, InvalidInput
from ..model.identifiers import DEFAULT_PROJECT
from .base import Answer, Commit, Envelope, Head, Remains, StoredState
from .leases import Fence
from .projects import StoredProjects
from .rows import Rows, rows_of
from .sql_leases import SqlLeases
from .sql_outbox import SqlOutbox

if TYPE_CHECKING:
    from .queries import Operation, Queries, Session

T = TypeVar("T")


class Driver(Protocol):
    """Runs operations on a database, each in a transaction.

    Raises `StoreFailed` for whatever the database raises, and `Closed` when it is not open.
    """

    async def open(self) -> None:
        """Connect and migrate. Idempotent."""
        ...

    async def aclose(self) -> None:
        """Finish what was begun and disconnect. Idempotent."""
        ...

    async def read(self, operation: Operation[T]) -> T:
        """The result of an operation that changes nothing. Each of its statements sees what was committed before it."""
        ...

    async def write(self, operation: Operation[T], *, urgent: bool = False) -> T:
        """The result of an operation, once what it did is durable; if it fails, nothing was done. One that is `urgent`
        does not wait for others, however many there are."""
        ...

    async def commit(self, rows: Rows) -> None:
        """Write a commit's rows; commits that wait at the same time may share a transaction, and none fails another."""
        ...


class SqlStore:
    """A `Store` over a driver, for one project.

    The one that made the driver closes it; its `scoped` views of other projects use it as long as it is open.
    """

    def __init__(self, driver: Driver, project: str = DEFAULT_PROJECT, *, is_view: bool = False) -> None:
        self.project = project
        self.driver = driver
        self._is_view = is_view
        self._closed = False
        self._queries: Callable[[Session], Queries] | None = None

    def scoped(self, project: str, *, fence: Fence | None = None) -> SqlStore:
        """The same database as another project sees it: nothing of any other one. Open it before its use.

        With the `fence` of the project's lease, what is written through the view is refused once the lease is over;
        without one, no lease matters.
        """
        if fence is None:
            return SqlStore(self.driver, project, is_view=True)
        if fence.lease.project != project:
            raise InvalidInput(f"the lease is that of project {fence.lease.project!r}, not {project!r}")
        from .fenced import FencedStore

        return FencedStore(self.driver, fence)

    def leases(self, clock: Clock | None = None) -> SqlLeases:
        """Which node works for which project in this database; when the store is open. `clock` tells the time where the
        database does not, which is SQLite: by default the machine's."""
        return SqlLeases(self.driver, clock or SystemClock())

    @property
    def fence(self) -> Fence | None:
        """What guards the writes of this view: nothing, unless it was `scoped` with a fence."""
        return None

    @property
    def projects(self) -> StoredProjects:
        """All projects that a server knows of in this database; when the store is open."""
        return StoredProjects(self.driver)

    async def open(self) -> None:
        if self._closed:
            raise Closed(f"the store of project {self.project!r} was closed; make a new one")
        await self.driver.open()
        if self._queries is None:
            # This loads SQLAlchemy, which opening the driver has done already, where nobody waits for it.
            from .queries import Queries

            self._queries = partial(Queries, project=self.project, epoch=await self._begin())

    async def aclose(self) -> None:
        self._closed = True
        if not self._is_view:
            await self.driver.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def outbox(self) -> SqlOutbox:
        return SqlOutbox(self._read, self._write)

    async def load(self, kind: str, key: str) -> StoredState | None:
        return await self._read(lambda queries: queries.load(kind, key))

    async def commit(self, commit: Commit) -> None:
        self._check_open()
        await self.driver.commit(rows_of(commit, self.project))

    async def due(self, now: float, limit: int = 100) -> list[tuple[str, str, int]]:
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

    async def _read(self, operation: Callable[[Queries], Awaitable[T]]) -> T:
        queries = self._check_open()
        return await self.driver.read(lambda session: operation(queries(session)))

    async def _write(self, operation: Callable[[Queries], Awaitable[T]]) -> T:
        queries = self._check_open()
        return await self.driver.write(lambda session: operation(queries(session)))

    def _check_open(self) -> Callable[[Session], Queries]:
        """What makes the queries of this store's project on a session. Raises `Closed`."""
        if self._closed or self._queries is None:
            state = "closed" if self._closed else "not open"
            raise Closed(f"the store of project {self.project!r} is {state}")
        return self._queries

    async def _begin(self) -> str:
        from .queries import begin_project

        begin = partial(begin_project, project=self.project, fresh=secrets.token_hex(6))
        try:
            return await self.driver.write(begin)
        except Conflict:
            # Another process has opened the project for the first time, a moment ago.
            return await self.driver.read(begin)


def _prune_events(queries: Queries, before: float, keep: int, after: str) -> Awaitable[tuple[int, str | None]]:
    return queries.prune_events(before, keep, after)
