"""Several projects in one database: every row says whose it is. What was there belongs to `embedded`."""

import secrets
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PROJECT = "embedded"

COLUMNS = {
    "utd_event": ("channel", "offset", "kind", "key", "at", "type", "payload"),
    "utd_channel": ("name", "epoch", "offset", "pruned"),
    "utd_state": ("kind", "key", "version", "payload", "deadline", "ended_at"),
    "utd_epoch": ("epoch",),
    "utd_answer": ("actor", "key", "fingerprint", "payload", "at"),
}
"""Whose rows are brought over. What points to another table stands before it."""

# Names are compared byte by byte, as SQLite does anyway.
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for table in COLUMNS:
        _set_aside(table)
    _create("project", name=NAME)
    for table, columns in COLUMNS.items():
        _bring_back(table, f"project, {_quoted(columns)}", f"'{PROJECT}', {_quoted(columns)}")
    op.create_table(
        "utd_project",
        sa.Column("app_id", NAME, nullable=False),
        sa.Column("key", NAME, nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("limits", sa.Text(), nullable=False),
        sa.Column("suspended", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app_id"),
        sa.UniqueConstraint("key"),
    )


def downgrade() -> None:
    """Only `embedded` has a place in the older tables; the other projects are lost."""
    op.drop_table("utd_project")
    for table in COLUMNS:
        _set_aside(table)
    _create(name=sa.Text())
    for table, columns in reversed(COLUMNS.items()):
        _bring_back(table, _quoted(columns), _quoted(columns), f"WHERE project = '{PROJECT}'")
    missing = sa.text("INSERT INTO utd_epoch SELECT :epoch WHERE NOT EXISTS (SELECT epoch FROM utd_epoch)")
    op.execute(missing.bindparams(epoch=secrets.token_hex(6)))


def _set_aside(table: str) -> None:
    # SQLite cannot change a primary key, so every table is made anew.
    op.execute(f"CREATE TEMPORARY TABLE before_{table} AS SELECT * FROM {table}")
    op.drop_table(table)


def _bring_back(table: str, into: str, columns: str, where: str = "") -> None:
    op.execute(f"INSERT INTO {table} ({into}) SELECT {columns} FROM before_{table} {where}")
    op.execute(f"DROP TABLE before_{table}")


def _quoted(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _create(*project: str, name: Any) -> None:
    """The tables and their indexes, with `project` as the first column of every key, or without it."""

    def table(name_: str, columns: list[sa.Column[Any]], key: list[str], *more: Any, **options: Any) -> None:
        first = [sa.Column(column, name, nullable=False) for column in project]
        op.create_table(name_, *first, *columns, sa.PrimaryKeyConstraint(*project, *key), *more, **options)

    def index(name_: str, table: str, columns: list[str], where: str | None = None) -> None:
        only = None if where is None else sa.text(where)
        op.create_index(name_, table, [*project, *columns], sqlite_where=only, postgresql_where=only)

    table(
        "utd_state",
        [
            sa.Column("kind", name, nullable=False),
            sa.Column("key", name, nullable=False),
            sa.Column("version", sa.BigInteger(), nullable=False),
            sa.Column("payload", sa.LargeBinary(), nullable=False),
            sa.Column("deadline", sa.Double()),
            sa.Column("ended_at", sa.Double()),
        ],
        ["kind", "key"],
    )
    index("utd_state_listing", "utd_state", ["kind", "key"], "ended_at IS NULL")
    index("utd_state_ended", "utd_state", ["ended_at"], "ended_at IS NOT NULL")
    index("utd_state_due", "utd_state", ["deadline"], "deadline IS NOT NULL")
    # Without projects, the epoch itself is the key of its one row.
    table("utd_epoch", [sa.Column("epoch", sa.Text(), nullable=False)], [] if project else ["epoch"])
    table(
        "utd_channel",
        [
            sa.Column("name", name, nullable=False),
            sa.Column("epoch", sa.Text(), nullable=False),
            sa.Column("offset", sa.BigInteger(), nullable=False),
            sa.Column("pruned", sa.BigInteger(), nullable=False),
        ],
        ["name"],
        sqlite_with_rowid=False,
    )
    # A channel's event was written with the channel's head; looking for it each time again costs more than the event.
    of_channel = [] if project else [sa.ForeignKeyConstraint(["channel"], ["utd_channel.name"])]
    table(
        "utd_event",
        [
            sa.Column("channel", name, nullable=False),
            sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("kind", sa.Text(), nullable=False),
            sa.Column("key", sa.Text(), nullable=False),
            sa.Column("at", sa.Double(), nullable=False),
            sa.Column("type", sa.Text(), nullable=False),
            sa.Column("payload", sa.LargeBinary(), nullable=False),
        ],
        ["channel", "offset"],
        *of_channel,
        sqlite_with_rowid=False,
    )
    table(
        "utd_answer",
        [
            sa.Column("actor", name, nullable=False),
            sa.Column("key", name, nullable=False),
            sa.Column("fingerprint", sa.Text(), nullable=False),
            sa.Column("payload", sa.LargeBinary(), nullable=False),
            sa.Column("at", sa.Double(), nullable=False),
        ],
        ["actor", "key"],
    )
    index("utd_answer_at", "utd_answer", ["at"])
