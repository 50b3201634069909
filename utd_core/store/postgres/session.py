"""Statements on asyncpg: compiled from SQLAlchemy once, and then run as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy import Delete, Dialect, Executable, Insert, Select, Update, func
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.sql.ddl import DDLElement

from ..rows import Row

Connection: TypeAlias = asyncpg.Connection

_DIALECT: Dialect = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # SQLAlchemy's

_WHICH_TRANSACTION = func.txid_current()


@cache
def compiled(statement: Executable | DDLElement) -> tuple[str, Callable[[Mapping[str, Any]], Sequence[Any]]]:
    """A statement as SQL, and what puts its parameters, which have names, into their order."""
    sql = statement.compile(dialect=_DIALECT)  # type: ignore[union-attr]  # every executable that is used here compiles
    names: Sequence[str] = getattr(sql, "positiontup", None) or ()
    if len(names) > 1:
        return str(sql), itemgetter(*names)
    return str(sql), lambda parameters: [parameters[name] for name in names]


@cache
def _returning(statement: Insert | Update) -> Insert | Update:
    return statement.returning(_WHICH_TRANSACTION)


class PostgresSession:
    """Runs statements on a connection; see `queries.Session`.

    `transaction`: its number, once one of `write_many` has changed a row.
    """

    __slots__ = ("connection", "transaction")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.transaction: int | None = None

    async def read(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        sql, ordered = compiled(statement)
        rows: Sequence[Sequence[Any]] = await self.connection.fetch(sql, *ordered(parameters))
        return rows

    async def find_all(self, statement: Select[Any], rows: Sequence[Row]) -> int:
        if len(rows) == 1:
            return len(await self.read(statement, rows[0]))
        sql, ordered = compiled(statement)
        return len(await self.connection.fetchmany(sql, [ordered(row) for row in rows]))

    async def write(self, statement: Insert | Update | Delete, parameters: Mapping[str, Any]) -> int:
        sql, ordered = compiled(statement)
        status: str = await self.connection.execute(sql, *ordered(parameters))
        return int(status.rpartition(" ")[2])

    async def write_many(self, statement: Insert | Update, rows: Sequence[Row]) -> int:
        # The number of the transaction comes for nothing with the count of the rows.
        sql, ordered = compiled(_returning(statement))
        if len(rows) == 1:
            changed = await self.connection.fetch(sql, *ordered(rows[0]))
        else:
            changed = await self.connection.fetchmany(sql, [ordered(row) for row in rows])
        if changed:
            self.transaction = changed[0][0]
        return len(changed)
