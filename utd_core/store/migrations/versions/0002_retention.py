"""What ended can be discarded: a state tells since when it is over, and a channel has an epoch of its own."""

import secrets
import time
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # When it was is not known; counted from now on, nothing goes too early.
    _make_state_anew(
        sa.Column("ended_at", sa.Double()),
        "SELECT kind, key, version, payload, deadline, CASE WHEN ended THEN :now END FROM utd_before",
        now=time.time(),
    )
    goes_on, has_ended = sa.text("ended_at IS NULL"), sa.text("ended_at IS NOT NULL")
    op.create_index("utd_state_listing", "utd_state", ["kind", "key"], sqlite_where=goes_on, postgresql_where=goes_on)
    op.create_index("utd_state_ended", "utd_state", ["ended_at"], sqlite_where=has_ended, postgresql_where=has_ended)
    _make_channel_anew(
        [sa.Column("epoch", sa.Text(), nullable=False)],
        'SELECT name, epoch, "offset", pruned FROM utd_before, utd_epoch',
    )


def downgrade() -> None:
    """Channels share the database's epoch again: a new one, as some of them were in another and count anew."""
    op.execute(sa.text("UPDATE utd_epoch SET epoch = :epoch").bindparams(epoch=secrets.token_hex(6)))
    _make_channel_anew([], 'SELECT name, "offset", pruned FROM utd_before')
    _make_state_anew(
        sa.Column("ended", sa.Boolean(), nullable=False),
        "SELECT kind, key, version, payload, deadline, ended_at IS NOT NULL FROM utd_before",
    )
    op.create_index("utd_state_listing", "utd_state", ["kind", "ended", "key"])


def _make_state_anew(end: sa.Column[Any], rows: str, **values: object) -> None:
    _set_aside("utd_state")
    op.create_table(
        "utd_state",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("deadline", sa.Double()),
        end,
        sa.PrimaryKeyConstraint("kind", "key"),
    )
    _bring_back("utd_state", rows, **values)
    has_deadline = sa.text("deadline IS NOT NULL")
    op.create_index(
        "utd_state_due", "utd_state", ["deadline"], sqlite_where=has_deadline, postgresql_where=has_deadline
    )


def _make_channel_anew(epoch: list[sa.Column[Any]], rows: str) -> None:
    # SQLite does not mind that the events point to what is gone for a moment.
    is_strict = op.get_context().dialect.name == "postgresql"
    if is_strict:
        op.drop_constraint("utd_event_channel_fkey", "utd_event")
    _set_aside("utd_channel")
    op.create_table(
        "utd_channel",
        sa.Column("name", sa.Text(), nullable=False),
        *epoch,
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("pruned", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    _bring_back("utd_channel", rows)
    if is_strict:
        op.create_foreign_key("utd_event_channel_fkey", "utd_event", "utd_channel", ["channel"], ["name"])


def _set_aside(table: str) -> None:
    # SQLite cannot put a column where it belongs; a renamed table would take along the keys that point to it.
    op.execute(f"CREATE TEMPORARY TABLE utd_before AS SELECT * FROM {table}")
    op.drop_table(table)


def _bring_back(table: str, rows: str, **values: object) -> None:
    op.execute(sa.text(f"INSERT INTO {table} {rows}").bindparams(**values))
    op.execute("DROP TABLE utd_before")
