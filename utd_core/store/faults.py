"""What a database raises, in this package's words: one table, most specific first, and each row says what to do."""

from __future__ import annotations

import sqlite3

from ..errors import Closed, Conflict, StoreFailed, UTDStreamException

LOST_RACE = "was changed by another writer meanwhile; load it again and decide again"

SQLITE: tuple[tuple[str, str], ...] = (
    ("SQLITE_FULL", "the disk is full; free some space, then repeat"),
    ("SQLITE_READONLY_DBMOVED", "its file was moved or deleted while it was open; put it back and restart"),
    ("SQLITE_READONLY", "it may not be written; check the permissions of the file, its folder and its -wal and -shm"),
    ("SQLITE_BUSY_SNAPSHOT", "another process wrote to it meanwhile; repeat"),
    ("SQLITE_BUSY", "another process holds it locked; end that process, or give each engine a file of its own"),
    ("SQLITE_LOCKED", "another connection holds it locked; repeat"),
    ("SQLITE_CANTOPEN", "it cannot be opened; check that the folder exists and that this user may write there"),
    ("SQLITE_PERM", "access is denied; check the permissions of the file and its folder"),
    ("SQLITE_AUTH", "access is denied; check the permissions of the file and its folder"),
    ("SQLITE_NOTADB", "it is not a SQLite database; name another file, or move this one away"),
    ("SQLITE_CORRUPT", "it is damaged; restore a backup, or recover it with the `.recover` command of sqlite3"),
    ("SQLITE_IOERR_FSYNC", "the disk did not confirm a write; check the disk before going on"),
    ("SQLITE_IOERR", "the disk failed to read or write; check the disk and the file system"),
    ("SQLITE_NOMEM", "there is no memory left; end other programs, or give this one more"),
    (
        "SQLITE_TOOBIG",
        "a value is over the database's limit of 1 GB; keep large values elsewhere, and a key to them here",
    ),
    ("SQLITE_SCHEMA", "its tables were changed while it was open; restart"),
    ("SQLITE_INTERRUPT", "the operation was interrupted; repeat"),
)
"""(beginning of SQLite's extended error name, what it means and what to do)."""

DUPLICATE = ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE")
"""A row that must be new is there already: somebody else was first."""

DRIVER_ERRORS = (sqlite3.Error, OverflowError, UnicodeError)
"""Whatever the sqlite3 module raises for a database or for a value that does not fit into it."""


def explain(error: BaseException, store: str) -> UTDStreamException:
    """The error of this package for what a driver raised at `store`, a description like "the store rooms.db"."""
    # SQLAlchemy, which the migrations run on, wraps the driver's error.
    original = getattr(error, "orig", None) or error
    name = getattr(original, "sqlite_errorname", None) or ""
    details = {"reason": name or type(original).__name__}
    if name in DUPLICATE:
        return Conflict(f"{store} {LOST_RACE}", details=details)
    if isinstance(original, sqlite3.ProgrammingError) and "closed" in str(original):
        return Closed(f"{store} was closed; make a new one")
    for beginning, words in SQLITE:
        if name.startswith(beginning):
            return StoreFailed(f"{store} failed: {words} ({original})", details=details)
    return StoreFailed(f"{store} failed, nothing was changed: {original}", details=details)
