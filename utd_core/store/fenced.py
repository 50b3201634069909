"""A project's store in the hands of the holder of its lease.

Whatever the holder writes is refused once the lease is in another term. What is on its way out is not: a parcel is its
claimer's for a while, whoever that is, and that it was delivered stays true when the lease has gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from ..errors import Deposed
from .base import Commit
from .leases import Fence
from .rows import rows_of
from .sql_outbox import SqlOutbox
from .sql_store import Driver, SqlStore

if TYPE_CHECKING:
    from .queries import Queries

T = TypeVar("T")


class FencedStore(SqlStore):
    """The store of one project, for as long as its lease lasts; a view, see `SqlStore.scoped`.

    Its writes raise `Deposed` afterwards, and shut the fence where nobody had noticed yet.
    """

    def __init__(self, driver: Driver, fence: Fence) -> None:
        super().__init__(driver, fence.lease.project, is_view=True)
        self._fence = fence

    @property
    def fence(self) -> Fence:
        return self._fence

    @property
    def outbox(self) -> SqlOutbox:
        return SqlOutbox(self._read, super()._write)

    async def commit(self, commit: Commit) -> None:
        self._check_open()
        rows = rows_of(commit, self.project)
        rows.terms.append(self._term())
        with self._noticing():
            await self.driver.commit(rows)

    async def _write(self, operation: Callable[[Queries], Awaitable[T]]) -> T:
        from .lease_queries import hold

        term = self._term()

        async def fenced(queries: Queries) -> T:
            await hold(queries.session, [term])
            return await operation(queries)

        with self._noticing():
            return await super()._write(fenced)

    def _term(self) -> dict[str, object]:
        self._fence.check()
        return {"of_project": self.project, "of_term": self._fence.lease.term}

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except Deposed:
            self._fence.shut("its lease is another node's by now")
            raise
