"""What PostgreSQL and asyncpg raise, in this package's words: one table by SQLSTATE, most specific first."""

from __future__ import annotations

import asyncio

import asyncpg

from ...errors import Conflict, StoreFailed, UTDStreamException
from ..faults import LOST_RACE

POSTGRES: tuple[tuple[str, str], ...] = (
    ("25P03", "this process slept for too long in the middle of a transaction; look at what keeps it busy"),
    ("25006", "it may not be written now (a standby, or default_transaction_read_only); connect to the primary"),
    ("28P01", "the password is wrong; check the store's URL"),
    ("28", "the user may not connect; check the store's URL and pg_hba.conf"),
    ("3D000", "there is no such database; create it, or check the store's URL"),
    ("3F000", "there is no such schema; create it, or check search_path"),
    ("42501", "the user lacks a right; grant it CREATE on the schema, and all rights on the tables utd_*"),
    ("42P01", "a table of the store is gone; restore it, or restart to have the tables made"),
    ("42", "its tables are not as this version made them; restore them, or restart to have them migrated"),
    ("40001", "others wrote the same rows at the same time; repeat"),
    ("40P01", "others wrote the same rows in another order; repeat"),
    ("55P03", "another session holds a lock; end that session"),
    ("57014", "the statement took too long and was stopped; look at what else the database does"),
    ("57P03", "it is starting or stopping; repeat in a moment"),
    ("57P", "it ended the session; repeat"),
    ("08", "the connection was lost; repeat"),
    ("53100", "the disk is full; free some space, then repeat"),
    ("53200", "it has no memory left; give the server more"),
    ("53300", "it takes no more connections; raise max_connections, or give each engine fewer"),
    ("53", "it lacks a resource; look at its log"),
    ("54", "a value is over a limit of the database; keep large values elsewhere, and a key to them here"),
    ("58", "its disk failed; check the disk and the file system"),
    ("XX001", "its data are damaged; restore a backup"),
    ("XX002", "an index is damaged; REINDEX it"),
    ("XX", "it failed in itself; look at its log"),
    ("22", "a value does not fit into its tables"),
)
"""(beginning of the SQLSTATE, what it means and what to do)."""

UNREACHABLE = "it cannot be reached; check that it runs, and the store's URL"

DUPLICATE = "23505"
"""A row that must be new is there already: somebody else was first."""

UNDONE = frozenset({"40001", "40P01"})
"""PostgreSQL took the transaction back for the sake of another one; the same once more may well succeed."""

_GONE = ("08", "25P03", "57P01", "57P02", "57P03", "57P05")
DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    asyncio.TimeoutError,
    EOFError,
    UnicodeError,
    OverflowError,
)
"""Whatever asyncpg raises for a database, for the way to it, or for a value that does not fit into it."""


def sqlstate_of(error: BaseException) -> str:
    """PostgreSQL's code, empty where it was not PostgreSQL that raised."""
    return getattr(error, "sqlstate", None) or ""


def is_lost(error: BaseException) -> bool:
    """Whether the connection is of no more use, or could not be made: another one may do."""
    # The third is what asyncpg raises where a session was ended at the same moment as something was asked on it.
    if isinstance(error, OSError | asyncio.TimeoutError | asyncpg.InternalClientError | EOFError):
        return True
    if isinstance(error, asyncpg.InterfaceError):
        return "connection is closed" in str(error)
    return sqlstate_of(error).startswith(_GONE)


def explain(error: BaseException, store: str) -> UTDStreamException:
    """The error of this package for what was raised at `store`, a description like "the store postgresql://db"."""
    code = sqlstate_of(error)
    details = {"reason": code or type(error).__name__}
    if code == DUPLICATE:
        return Conflict(f"{store} {LOST_RACE}", details=details)
    for beginning, words in POSTGRES:
        if code.startswith(beginning):
            return StoreFailed(f"{store} failed: {words} ({error})", details=details)
    if is_lost(error):
        return StoreFailed(f"{store} failed: {UNREACHABLE} ({str(error) or type(error).__name__})", details=details)
    return StoreFailed(f"{store} failed, nothing was changed: {error}", details=details)
