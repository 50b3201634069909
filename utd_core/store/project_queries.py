"""What is asked about all projects of a database, and done to them, in terms of the statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..errors import Conflict
from . import statements as sql
from .projects import Change, StoredProject
from .queries import Session

_PROJECTS = "projects"
"""What is counted of them in the table of changes."""
PURGED_AT_ONCE = 500
"""Rows, more or less, that one step of deleting what a project has deletes, so that commits need not wait long."""


async def load_all(session: Session) -> list[StoredProject]:
    return [_project(row) for row in await session.read(sql.PROJECTS, {})]


async def changes(session: Session) -> int:
    rows = await session.read(sql.CHANGES, {"of_what": _PROJECTS})
    return int(rows[0][0]) if rows else 0


async def versions(session: Session) -> dict[str, tuple[int, str]]:
    return {app_id: (version, key) for app_id, version, key in await session.read(sql.PROJECT_VERSIONS, {})}


async def load(session: Session, app_id: str) -> StoredProject | None:
    rows = await session.read(sql.LOAD_PROJECT, {"of_app_id": app_id})
    return _project(rows[0]) if rows else None


async def create(session: Session, project: StoredProject, adopt: bool) -> None:
    """Raises `Conflict`."""
    if await load(session, project.app_id) is not None:
        raise Conflict(f"there is a project {project.app_id!r} already; choose another app id")
    if not adopt and await session.read(sql.LOAD_EPOCH, {"of_project": project.app_id}):
        raise Conflict(
            f"the database has rows of an earlier project {project.app_id!r}; delete them (`utd project delete`), take "
            "them over (`utd project create --adopt`), or choose another app id"
        )
    await session.write(sql.INSERT_PROJECT, asdict(project))
    await _count_change(session)


async def change(session: Session, app_id: str, make: Change) -> StoredProject | None:
    while (present := await load(session, app_id)) is not None:
        columns = {**asdict(make(present)), "version": present.version + 1}
        del columns["app_id"]
        guard = {"of_app_id": app_id, "of_version": present.version}
        if await session.write(sql.UPDATE_PROJECT, {**columns, **guard}):
            await _count_change(session)
            return StoredProject(app_id, **columns)
    return None


async def delete(session: Session, app_id: str) -> bool:
    if not await session.write(sql.DELETE_PROJECT, {"of_app_id": app_id}):
        return False
    await _count_change(session)
    return True


async def purge(session: Session, app_id: str) -> int:
    """One step: how many rows were deleted, 0 when none is left."""
    for statement in sql.PURGE:
        if deleted := await session.write(statement, {"of_project": app_id, "limit": PURGED_AT_ONCE}):
            return deleted
    # The last row: as long as it is there, so may be others.
    return await session.write(sql.DELETE_EPOCH, {"of_project": app_id})


async def due(session: Session, now: float) -> list[str]:
    return [row[0] for row in await session.read(sql.PROJECTS_DUE, {"now": now})]


async def _count_change(session: Session) -> None:
    """Last in its transaction: whoever changes another project waits for the rest of it."""
    if not await session.write(sql.COUNT_CHANGE, {"of_what": _PROJECTS}):
        await session.write(sql.INSERT_CHANGES, {"what": _PROJECTS, "number": 1})


def _project(row: Sequence[Any]) -> StoredProject:
    app_id, key, secrets, name, flags, limits, suspended, version = row
    return StoredProject(app_id, key, secrets, name, flags, limits, bool(suspended), version)
