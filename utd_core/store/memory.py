"""The store that ends with its process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from ..errors import Closed
from ..model.identifiers import DEFAULT_PROJECT
from .sql_store import SqlStore

if TYPE_CHECKING:
    from .queries import Operation
    from .rows import Rows
    from .sqlite import Database

T = TypeVar("T")


class MemoryStore(SqlStore):
    """SQLite in memory. Operations run where they are called: they wait for no disk and take microseconds."""

    def __init__(self, project: str = DEFAULT_PROJECT) -> None:
        super().__init__(Memory(), project)


class Memory:
    """A `Driver` that runs everything at once."""

    def __init__(self) -> None:
        self._database: Database | None = None
        self._closed = False

    async def open(self) -> None:
        if self._closed:
            raise Closed("the store in memory was closed; make a new one")
        if self._database is None:
            # The first time this loads SQLAlchemy, which the loop should not wait for. A thread cannot be stopped, so
            # whoever is cancelled meanwhile still takes what it brings; not a task, which a loop that ends cancels.
            connecting = asyncio.get_running_loop().run_in_executor(None, _connect)
            connecting.add_done_callback(self._keep)
            await asyncio.shield(connecting)

    async def aclose(self) -> None:
        self._closed = True
        database, self._database = self._database, None
        if database is not None:
            database.close()

    async def read(self, operation: Operation[T]) -> T:
        return self._opened().read(operation)

    async def write(self, operation: Operation[T], *, urgent: bool = False) -> T:
        return self._opened().write(operation)

    async def commit(self, rows: Rows) -> None:
        database = self._opened()
        database.write(database.committing(rows))

    def _keep(self, connecting: asyncio.Future[Database]) -> None:
        if connecting.cancelled() or connecting.exception() is not None:
            return
        if self._closed or self._database is not None:
            connecting.result().close()
        else:
            self._database = connecting.result()

    def _opened(self) -> Database:
        if self._database is None:
            raise Closed("the store in memory is closed" if self._closed else "the store in memory is not open")
        return self._database


def _connect() -> Database:
    from .sqlite import connect_to_memory

    return connect_to_memory()
