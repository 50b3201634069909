"""The tables of a database: made at once where it is new and in memory, migrated otherwise.

Both ways give exactly the same schema; a test compares them.
"""

from __future__ import annotations

import sqlite3
import threading
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex, CreateTable

from ..errors import StoreFailed
from .faults import explain
from .sqlite import compiled
from .tables import SCHEMA, metadata, version

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATION_TIMEOUT = 30.0
"""Seconds to wait for another process that migrates the file, which takes longer than to write to it."""
_ALEMBIC = threading.Lock()
"""Alembic keeps the migration that runs in a global place, and several stores may be opened at once."""


def create_tables(connection: sqlite3.Connection) -> None:
    """Everything at once, marked as migrated up to now. Loads no Alembic, which takes longer than all the rest."""
    connection.execute("BEGIN")
    for table in metadata.sorted_tables:
        connection.execute(compiled(CreateTable(table))[0])
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            connection.execute(compiled(CreateIndex(index))[0])
    connection.execute(compiled(version.insert())[0], {"version_num": SCHEMA})
    connection.execute("COMMIT")


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file's tables to this version's shape. Raises `StoreFailed` for those of a newer one."""
    if revision(connection) != SCHEMA:
        run_migrations(path, SCHEMA)


def revision(connection: sqlite3.Connection) -> str | None:
    """The revision of the tables, None where there are none."""
    marked = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (version.name,)).fetchone()
    row = connection.execute(compiled(version.select())[0]).fetchone() if marked else None
    return None if row is None else str(row[0])


def run_migrations(path: Path, target: str) -> None:
    """Migrate the file up or down to `target`, a revision or "base", in one transaction. Raises `StoreFailed`."""
    # Alembic is loaded before the file is locked, for which others wait.
    known = known_revisions()
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=NullPool,
        # The driver's default isolation would commit in the middle of a migration.
        connect_args={"isolation_level": None, "timeout": MIGRATION_TIMEOUT},
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # Of two processes that open a new file at once, the second waits here and then finds nothing to do.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.begin() as connection:
            _run(connection, target, known)
    except DBAPIError as error:
        raise explain(error, f"the store {str(path)!r}") from error
    finally:
        engine.dispose()


def _run(connection: Connection, target: str, known: set[str]) -> None:
    from alembic import command
    from alembic.migration import MigrationContext

    present = MigrationContext.configure(connection, opts={"version_table": version.name}).get_current_revision()
    if present is not None and present not in known:
        raise StoreFailed(too_new(present))
    with _ALEMBIC:
        config = alembic_config(connection=connection)
        if target == "base" or (present is not None and target < present):
            command.downgrade(config, target)
        else:
            command.upgrade(config, target)


def script(dialect: str, present: str | None, target: str) -> str:
    """The SQL that leads from one revision to another, for a database that Alembic has no driver for.

    Raises `StoreFailed` for tables of a newer version.
    """
    from alembic import command

    if present is not None and present not in known_revisions():
        raise StoreFailed(too_new(present))
    written = StringIO()
    with _ALEMBIC:
        config = alembic_config(dialect=dialect)
        config.output_buffer = written
        if target == "base" or (present is not None and target < present):
            command.downgrade(config, f"{present}:{target}", sql=True)
        else:
            command.upgrade(config, target if present is None else f"{present}:{target}", sql=True)
    return written.getvalue()


def alembic_config(**attributes: Any) -> Config:
    """Alembic's configuration, without a file; `attributes` are for `migrations/env.py`."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "utd_core.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes.update(attributes)
    return config


def known_revisions() -> set[str]:
    """Every revision that this version can migrate."""
    from alembic.script import ScriptDirectory

    return {found.revision for found in ScriptDirectory.from_config(alembic_config()).walk_revisions()}


def too_new(present: str) -> str:
    """What whoever opens a database of a newer version is told."""
    return (
        f"the store was written by a newer utd-core (its tables are at {present!r}, this version knows up to "
        f"{SCHEMA!r}); upgrade utd-core, or use another database"
    )
