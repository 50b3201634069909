"""The store that survives its process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .sql_store import SqlStore
from .worker import Worker

if TYPE_CHECKING:
    from .queries import Queries
    from .sqlite import Database

T = TypeVar("T")


class FileStore(SqlStore):
    """SQLite in a file, in a thread of its own. Commits that wait at the same time share one wait for the disk.

    For one engine at a time: a second one on the same file gets `Conflict` where they meet, and tells its own
    subscribers nothing of what the other did.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._worker = Worker(lambda: _connect(self.path), f"store {self.path.name}")

    async def open(self) -> None:
        await self._worker.open()

    async def aclose(self) -> None:
        await self._worker.aclose()

    async def _read(self, operation: Callable[[Queries], T]) -> T:
        return await self._worker.read(operation)

    async def _write(self, operation: Callable[[Queries], T]) -> T:
        return await self._worker.write(operation)


def _connect(path: Path) -> Database:
    from .sqlite import connect_to_file

    return connect_to_file(path)
