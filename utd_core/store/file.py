"""The store that survives its process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..model.identifiers import DEFAULT_PROJECT
from .sql_store import SqlStore
from .worker import Worker

if TYPE_CHECKING:
    from .sqlite import Database


class FileStore(SqlStore):
    """SQLite in a file, in a thread of its own. Commits that wait at the same time share one wait for the disk.

    For one process at a time: a second one on the same file gets `Conflict` where they meet, and tells its own
    subscribers nothing of what the other did.
    """

    def __init__(self, path: str | Path, project: str = DEFAULT_PROJECT) -> None:
        self.path = Path(path)
        super().__init__(Worker(lambda: _connect(self.path), f"store {self.path.name}"), project)


def _connect(path: Path) -> Database:
    from .sqlite import connect_to_file

    return connect_to_file(path)
