"""The first tables: states, the epoch, channels, events, answers."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "utd_state",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("deadline", sa.Double()),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key"),
    )
    op.create_index("utd_state_listing", "utd_state", ["kind", "ended", "key"])
    has_deadline = sa.text("deadline IS NOT NULL")
    op.create_index(
        "utd_state_due", "utd_state", ["deadline"], sqlite_where=has_deadline, postgresql_where=has_deadline
    )
    epoch = op.create_table(
        "utd_epoch", sa.Column("epoch", sa.Text(), nullable=False), sa.PrimaryKeyConstraint("epoch")
    )
    op.execute(epoch.insert().values(epoch=secrets.token_hex(6)))
    op.create_table(
        "utd_channel",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("pruned", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "utd_event",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "offset"),
        sa.ForeignKeyConstraint(["channel"], ["utd_channel.name"]),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "utd_answer",
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("actor", "key"),
    )
    op.create_index("utd_answer_at", "utd_answer", ["at"])


def downgrade() -> None:
    for table in ("utd_answer", "utd_event", "utd_channel", "utd_epoch", "utd_state"):
        op.drop_table(table)
