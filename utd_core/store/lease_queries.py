"""What is asked about leases and done to them, in terms of the statements; see `queries.py`.

`now` is the time where the database does not know it itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import Deposed
from . import lease_statements as sql
from .leases import Lease

if TYPE_CHECKING:
    from .queries import Session
    from .rows import Row


async def hold(session: Session, terms: Sequence[Row]) -> None:
    """Let nobody end these terms before the transaction ends. Raises `Deposed` where one has ended already."""
    if await session.find_all(sql.HOLD, terms) != len(terms):
        projects = ", ".join(repr(row["of_project"]) for row in terms[:3])
        raise Deposed(f"the lease of project {projects} is another node's by now; nothing was done, ask that one")


async def claim(session: Session, project: str, holder: str, ttl: float, courtesy: float, now: float) -> Lease | None:
    """See `Leases.claim`. Of several who claim at once one comes first; the others wait for its commit, and see it."""
    of_project: Row = {"of_project": project, "courtesy": courtesy, "now": now}
    claimer: Row = {**of_project, "project": project, "of_holder": holder, "holder": holder, "ttl": ttl}
    while True:
        found = await session.read(sql.LOAD_LEASE, of_project)
        if not found:
            await session.write(sql.INSERT_LEASE, claimer)
            continue
        term, present, is_running = found[0]
        if is_running and present is not None and present != holder:
            return Lease(project, present, term)
        if is_running and present is None and courtesy:
            return None
        if await session.write(sql.CLAIM, {**claimer, "of_term": term}):
            return Lease(project, holder, term + 1)


async def renew(session: Session, holder: str, ttl: float, now: float) -> list[Lease]:
    await session.write(sql.RENEW, {"of_holder": holder, "ttl": ttl, "now": now})
    return await held_by(session, holder)


async def release(session: Session, leases: Sequence[Lease], now: float) -> None:
    for lease in sorted(leases, key=lambda lease: lease.project):
        await session.write(sql.RELEASE, {**term_of(lease), "now": now})


async def holder_of(session: Session, project: str, now: float) -> Lease | None:
    found = await session.read(sql.LOAD_LEASE, {"of_project": project, "courtesy": 0.0, "now": now})
    if not found:
        return None
    term, holder, is_running = found[0]
    return None if holder is None or not is_running else Lease(project, holder, term)


async def held_by(session: Session, holder: str) -> list[Lease]:
    return [Lease(*row) for row in await session.read(sql.LEASES_OF, {"of_holder": holder})]


async def want(session: Session, lease: Lease, seconds: float, now: float) -> None:
    wish: Row = {"project": lease.project, "term": lease.term, "ttl": seconds, "now": now}
    await session.write(sql.WISH, wish)


async def wanted_of(session: Session, holder: str, now: float) -> list[Lease]:
    return [Lease(*row) for row in await session.read(sql.WANTED_OF, {"of_holder": holder, "now": now})]


async def others_hold(session: Session, holder: str, now: float) -> bool:
    return bool(await session.read(sql.OTHERS, {"of_holder": holder, "now": now}))


def term_of(lease: Lease) -> Row:
    """The parameters that name a lease in its term."""
    return {"of_project": lease.project, "of_term": lease.term}
