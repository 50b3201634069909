"""Several projects in one database: every row says whose it is. What was there belongs to `embedded`."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
PROJECT = "embedded"

INDEXES = ("utd_state_listing", "utd_state_ended", "utd_state_due", "utd_answer_at")


def upgrade() -> None:
    _make_anew([sa.Column("project", NAME, nullable=False)], NAME, f"'{PROJECT}', ", foreign_key=False)
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
    _make_anew([], sa.Text(), "", foreign_key=True)


def _make_anew(project: Sequence[sa.Column[str]], name: sa.types.TypeEngine[str], value: str, foreign_key: bool) -> None:
    """Every table again, with or without its first column; `value` stands for it where rows are copied."""
    # SQLite cannot change a primary key. What points to another table goes first, and comes back last.
    tables = ("utd_event", "utd_channel", "utd_state", "utd_epoch", "utd_answer")
    for table in tables:
        where = "" if project else f" WHERE project = '{PROJECT}'"
        op.execute(f"CREATE TEMPORARY TABLE before_{table} AS SELECT * FROM {table}{where}")
        op.drop_table(table)
    columns = {
        "utd_state": [
            sa.Column("kind", name, nullable=False),
            sa.Column("key", name, nullable=False),
            sa.Column("version", sa.BigInteger(), nullable=False),
            sa.Column("payload", sa.LargeBinary(), nullable=False),
            sa.Column("deadline", sa.Double()),
            sa.Column("ended_at", sa.Double()),
        ],
    }
    del columns
    for table in reversed(tables):
        op.execute(f"INSERT INTO {table} SELECT {value}* FROM before_{table}")
        op.execute(f"DROP TABLE before_{table}")
