"""One operation on one connection, repeated where that is right.

- A lost connection, a deadlock and a serialization failure are nobody's fault: nothing was done, so the operation runs
  again. It may, since an operation only runs statements.
- A connection that is lost while COMMIT is under way leaves open whether the commit holds. That is looked up: its
  transaction may still be ending; once it is not, its rows are there or not. (Its number alone would not tell: after a
  crash PostgreSQL may give the same number to another one.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from functools import partial
from time import monotonic
from typing import Any, TypeVar

import asyncpg

from ...errors import StoreFailed, UTDStreamException
from .. import queries
from ..queries import Operation
from ..rows import Rows, together
from .faults import DRIVER_ERRORS, UNDONE, explain, is_lost, sqlstate_of
from .link import COMMAND_TIMEOUT, Link
from .session import Connection, PostgresSession

T = TypeVar("T")

MOST_TRIES = 5
"""Of one operation that is lost or taken back each time."""
_PAUSE = 0.02

Holds = Callable[[PostgresSession], Awaitable[bool]]
"""Whether what an operation wrote is there."""


async def read(link: Link, operation: Operation[T]) -> T:
    """The result of an operation that changes nothing. Raises this package's errors."""
    for left in reversed(range(MOST_TRIES)):
        connection = await link.connection()
        try:
            return await operation(PostgresSession(connection))
        except DRIVER_ERRORS as error:
            if is_lost(error):
                link.lost()
            if not (left and _is_nobodys_fault(error)):
                raise explain(error, link.name) from error
        except asyncio.CancelledError:
            link.drop()
            raise
    raise AssertionError("the last try returns or raises")


async def write(link: Link, operation: Operation[T], holds: Holds | None = None) -> T:
    """The result of an operation, once what it did is durable. Raises this package's errors, and then nothing was done.

    `holds` is asked when the answer to COMMIT was lost; without it, the operation is done again.
    """
    for left in reversed(range(MOST_TRIES)):
        connection = await link.connection()
        session = PostgresSession(connection)
        committing = False
        try:
            await connection.execute("BEGIN")
            result = await operation(session)
            committing = True
            await connection.execute("COMMIT")
            return result
        except DRIVER_ERRORS as error:
            if not is_lost(error):
                await _roll_back(link, connection)
            else:
                link.lost()
                if committing and holds is not None and await _has_ended_well(link, session.transaction, holds):
                    return result
            if not (left and _is_nobodys_fault(error)):
                raise explain(error, link.name) from error
        except asyncio.CancelledError:
            link.drop()
            raise
        except BaseException:
            await _roll_back(link, connection)
            raise
    raise AssertionError("the last try returns or raises")


async def commit(link: Link, rows: Rows) -> None:
    """Write the rows of a commit, or of several. Raises this package's errors, and then nothing was done."""
    await write(link, partial(queries.commit, rows=rows), partial(queries.holds, rows=rows))


async def commit_together(link: Link, commits: Sequence[Rows]) -> list[Any]:
    """For each commit None, or the error that it failed with.

    They share one transaction, and so one wait for the disk. If any of them fails, each gets its own instead, so that
    a bad one fails alone.
    """
    if len(commits) > 1:
        try:
            await commit(link, together(commits))
        except UTDStreamException as error:
            if link.is_away:
                # Each gets an error of its own: a traceback belongs to one task.
                return [copy(error) for _ in commits]
        else:
            return [None] * len(commits)
    results: list[Any] = []
    for rows in commits:
        try:
            await commit(link, together([rows]))
        except UTDStreamException as error:
            results.append(error)
        else:
            results.append(None)
    return results


def _is_nobodys_fault(error: BaseException) -> bool:
    return is_lost(error) or sqlstate_of(error) in UNDONE


async def _roll_back(link: Link, connection: Connection) -> None:
    try:
        await connection.execute("ROLLBACK")
    except DRIVER_ERRORS:
        # Without its connection PostgreSQL takes the transaction back by itself.
        link.lost()


async def _has_ended_well(link: Link, transaction: int | None, holds: Holds) -> bool:
    """Whether a transaction whose COMMIT was not answered holds. Raises `StoreFailed` when that cannot be found out."""
    give_up = monotonic() + COMMAND_TIMEOUT
    try:
        while monotonic() < give_up:
            connection = await link.connection()
            try:
                if transaction is not None and await _is_under_way(connection, transaction):
                    await asyncio.sleep(_PAUSE)
                    continue
                return await holds(PostgresSession(connection))
            except DRIVER_ERRORS as error:
                if not is_lost(error):
                    raise explain(error, link.name) from error
                link.lost()
        raise StoreFailed("its transaction has not ended")
    except StoreFailed as error:
        raise StoreFailed(
            f"{link.name} was lost in the middle of a commit; whether it holds is not known: look at what is there "
            f"({error.message})",
            details={**error.details, "unknown": True},
        ) from error


async def _is_under_way(connection: Connection, transaction: int) -> bool:
    try:
        return bool(await connection.fetchval("SELECT txid_status($1) = 'in progress'", transaction))
    except asyncpg.InvalidParameterValueError:
        # After a crash the database does not know of it, as nothing of it was on the disk.
        return False
