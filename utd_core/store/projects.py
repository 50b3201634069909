"""What a server knows of the projects in its database, beside what the projects themselves have there.

Secrets are bytes that only whoever wrote them can read; flags and limits are JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .sql_store import Driver


@dataclass(frozen=True, slots=True)
class StoredProject:
    """A project as it was last written. `version` rises with every change, from 1."""

    app_id: str
    key: str
    secrets: bytes
    name: str
    flags: str
    limits: str
    suspended: bool
    version: int


Change = Callable[[StoredProject], StoredProject]
"""Makes another project of the one that is there. It only computes, as it may be called several times."""


class StoredProjects:
    """The projects in the database of an open store. Raises as a `Store` does."""

    def __init__(self, driver: Driver) -> None:
        # Loads SQLAlchemy, as opening the store has done.
        from . import project_queries

        self._driver = driver
        self._queries = project_queries

    async def all(self) -> list[StoredProject]:
        """Every project, by app id."""
        return await self._driver.read(self._queries.load_all)

    async def changes(self) -> int:
        """How often projects were made, changed or deleted: where it is the same, so are `versions`."""
        return await self._driver.read(self._queries.changes)

    async def versions(self) -> dict[str, tuple[int, str]]:
        """Version and key of every project, by app id: if these are the same, it is."""
        return await self._driver.read(self._queries.versions)

    async def load(self, app_id: str) -> StoredProject | None:
        return await self._driver.read(partial(self._queries.load, app_id=app_id))

    async def create(self, project: StoredProject, *, adopt: bool = False) -> None:
        """Write a new project.

        Raises `Conflict` when there is one with its app id or key, and, unless it is to `adopt` them, when there are
        rows of an earlier one.
        """
        await self._driver.write(partial(self._queries.create, project=project, adopt=adopt))

    async def change(self, app_id: str, change: Change) -> StoredProject | None:
        """The project as `change` made it; None where there is none."""
        return await self._driver.write(partial(self._queries.change, app_id=app_id, make=change))

    async def delete(self, app_id: str) -> bool:
        """Forget a project, but for what it has in the database (`purge`); whether there was one."""
        return await self._driver.write(partial(self._queries.delete, app_id=app_id))

    async def purge(self, app_id: str) -> int:
        """Delete everything that a project has in the database, in small transactions; how many rows that was.

        No engine must run it any more: what that writes afterwards would stay.
        """
        total = 0
        while deleted := await self._driver.write(partial(self._queries.purge, app_id=app_id)):
            total += deleted
        return total

    async def due(self, now: float) -> list[str]:
        """Projects with a state whose deadline, or an event for webhooks whose next try, is not after `now` (seconds
        since the Unix epoch)."""
        return await self._driver.read(partial(self._queries.due, now=now))
