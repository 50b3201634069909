"""The tables in PostgreSQL, made and changed by the same migrations as in SQLite.

Alembic needs a driver that does not know asyncio, and only writes the SQL here; it runs on the store's own connection,
in one transaction.
"""

from __future__ import annotations

import asyncio

from ..schema import script
from ..tables import SCHEMA, version
from .session import Connection, compiled

_LOCK = 0x7574645F_636F7265
"""For `pg_advisory_lock`: whoever migrates this database holds it."""


# Not `to_regclass`: within a transaction that answers from what the session knew when it began, and whoever waited for
# the lock would not see what its holder made. A query of a table, as this one of the catalogue, looks again.
IS_THERE = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = $1 AND pg_table_is_visible(oid))"


async def revision(connection: Connection) -> str | None:
    """The revision of the tables, None where there are none."""
    if not await connection.fetchval(IS_THERE, version.name):
        return None
    found: str | None = await connection.fetchval(compiled(version.select())[0])
    return found


async def migrate(connection: Connection, target: str = SCHEMA) -> None:
    """Bring the tables to a revision, or to "base". Raises `StoreFailed` for those of a newer version."""
    if await revision(connection) == target:
        return
    # Of two nodes that open a new database at once, the second waits here and then finds nothing to do. It must not be
    # in a transaction yet: what it knows of the tables is as old as that.
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        async with connection.transaction():
            # Alembic takes its time to write the statements.
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await _migrate(connection, target)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _migrate(connection: Connection, target: str) -> None:
    present = await revision(connection)
    if present != target:
        await connection.execute(await asyncio.to_thread(script, "postgresql", present, target))
    if target == "base":
        # Alembic leaves its table there, and makes it again on the way up.
        await connection.execute(f"DROP TABLE IF EXISTS {version.name}")
