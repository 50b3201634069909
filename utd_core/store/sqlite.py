"""SQLite, through Python's own driver: statements are compiled from SQLAlchemy once and then run as they are.

(Executed by SQLAlchemy, a commit in memory takes about four times as long; see `benchmarks/store.py`.)
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Delete, Executable, Insert, Select, Update
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql.ddl import DDLElement

from ..errors import UTDStreamException
from .faults import DRIVER_ERRORS, explain
from .queries import Operation, Session, commit
from .rows import Row, Rows

T = TypeVar("T")

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that holds the file."""
_BUSY_PAUSE = 0.01
"""Seconds between two tries where SQLite does not wait by itself."""

_DIALECT = SQLiteDialect_pysqlite(paramstyle="named")


@cache
def compiled(statement: Executable | DDLElement) -> tuple[str, dict[str, Any]]:
    """A statement as SQL, and the parameters that are the same in every execution."""
    sql = statement.compile(dialect=_DIALECT)  # type: ignore[union-attr]  # every executable that is used here compiles
    fixed = {name: value for name, value in (sql.params or {}).items() if value is not None}
    return str(sql), fixed


def at_once(operation: Awaitable[T]) -> T:
    """The result of a coroutine that never waits, without an event loop."""
    steps = operation.__await__()
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("an operation on SQLite waited for something; it may only run statements")


class SqliteSession:
    """Runs statements on a connection; see `queries.Session`. Nothing here waits."""

    __slots__ = ("connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    async def read(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        sql, fixed = compiled(statement)
        return self.connection.execute(sql, {**fixed, **parameters} if fixed else parameters).fetchall()

    async def find_all(self, statement: Select[Any], rows: Sequence[Row]) -> int:
        return sum([len(await self.read(statement, row)) for row in rows])

    async def write(self, statement: Insert | Update | Delete, parameters: Mapping[str, Any]) -> int:
        sql, fixed = compiled(statement)
        return self.connection.execute(sql, {**fixed, **parameters} if fixed else parameters).rowcount

    async def write_many(self, statement: Insert | Update, rows: Sequence[Row]) -> int:
        sql = compiled(statement)[0]
        if len(rows) == 1:
            return self.connection.execute(sql, rows[0]).rowcount
        return self.connection.executemany(sql, rows).rowcount


class Database:
    """One SQLite connection and its transactions; for one thread at a time.

    `name` is what errors call it. Raises this package's errors only.
    """

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self.name = name
        self._connection = connection
        self._session = SqliteSession(connection)

    def read(self, operation: Operation[T]) -> T:
        """The operation's result."""
        try:
            return at_once(operation(self._session))
        except DRIVER_ERRORS as error:
            raise explain(error, self.name) from error

    def write(self, operation: Operation[T]) -> T:
        """The operation's result, once all it did is committed; if it or the commit fails, nothing was done."""
        self._begin()
        return self._finish(operation)

    def committing(self, rows: Rows) -> Operation[None]:
        """The operation that writes a commit's rows."""
        return lambda session: commit(session, rows)

    def write_together(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """The result of each operation, or the error that it failed with.

        They share one transaction, and so one wait for the disk. If any of them fails, each gets its own instead, so
        that a bad one fails alone.
        """
        if len(operations) > 1:
            with suppress(Exception):
                return self.write(lambda session: _in_turn(operations, session))
        results: list[Any] = []
        for operation in operations:
            try:
                self._begin()
            except UTDStreamException as error:
                # Nobody can begin (the file is locked, say): the rest need not wait for that one after the other.
                # Each gets an error of its own: a traceback belongs to one task.
                return results + [copy(error) for _ in operations[len(results) :]]
            try:
                results.append(self._finish(operation))
            except Exception as error:  # noqa: BLE001  # it is handed to whoever asked for the operation
                results.append(error)
        return results

    def close(self) -> None:
        self._connection.close()

    def _begin(self) -> None:
        try:
            # IMMEDIATE: the wait for another process comes before the first statement, never in the middle.
            self._connection.execute("BEGIN IMMEDIATE")
        except DRIVER_ERRORS as error:
            raise explain(error, self.name) from error

    def _finish(self, operation: Operation[T]) -> T:
        try:
            result = at_once(operation(self._session))
            self._connection.execute("COMMIT")
        except DRIVER_ERRORS as error:
            self._roll_back()
            raise explain(error, self.name) from error
        except BaseException:
            self._roll_back()
            raise
        return result

    def _roll_back(self) -> None:
        # After some errors (a full disk) SQLite has rolled back by itself.
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")


async def _in_turn(operations: Sequence[Operation[Any]], session: Session) -> list[Any]:
    return [await operation(session) for operation in operations]


def connect_to_memory() -> Database:
    """A new, empty database in this process's memory. Raises `StoreFailed`."""
    from .schema import create_tables

    return _connect(":memory:", "the store in memory", (), create_tables)


def connect_to_file(path: Path) -> Database:
    """The database in a file, made or migrated as needed. Raises `StoreFailed`.

    A commit is durable when it returns: it survives the end of this process and the loss of power.
    """
    from .schema import migrate

    pragmas = (
        f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT * 1000)}",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        # macOS only: there fsync alone leaves the data in the disk's own cache.
        "PRAGMA fullfsync = ON",
        "PRAGMA checkpoint_fullfsync = ON",
    )
    return _connect(path, f"the store {str(path)!r}", pragmas, lambda connection: migrate(connection, path))


def _connect(
    target: str | Path, name: str, pragmas: Iterable[str], prepare: Callable[[sqlite3.Connection], None]
) -> Database:
    connection = None
    try:
        # isolation_level None: transactions are begun and ended here, never by the driver.
        connection = sqlite3.connect(target, isolation_level=None, check_same_thread=False)
        for pragma in pragmas:
            _insist(connection, pragma)
        prepare(connection)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, DRIVER_ERRORS):
            raise explain(error, name) from error
        raise
    return Database(connection, name)


def _insist(connection: sqlite3.Connection, pragma: str) -> None:
    """Run a pragma, and again while the file is busy, for as long as `BUSY_TIMEOUT`.

    Of several connections that switch a new file to WAL at once each has a lock that the others need, so SQLite refuses
    at once instead of waiting; the refused ones let go, and one of them succeeds for all.
    """
    until = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute(pragma)
        except sqlite3.OperationalError as error:
            # The low byte is the plain code; the others tell which kind of busy it is.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(_BUSY_PAUSE)
        else:
            return
