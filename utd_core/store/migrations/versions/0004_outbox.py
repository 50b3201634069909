"""The outbox: events on their way to endpoints of the application, and those that were given up."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "utd_outbox",
        sa.Column("number", NUMBER, nullable=False),
        *_parcel(),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("utd_outbox_lane", "utd_outbox", ["project", "endpoint", "kind", "key", "number"])
    op.create_table(
        "utd_lane",
        *_lane(),
        sa.Column("due", sa.Double(), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.Double()),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "endpoint", "kind", "key"),
    )
    op.create_index("utd_lane_due", "utd_lane", ["project", "endpoint", "due"])
    op.create_table(
        "utd_dead_letter",
        sa.Column("number", NUMBER, autoincrement=False, nullable=False),
        *_parcel(),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("died_at", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("utd_dead_letter_listing", "utd_dead_letter", ["project", "number"])


def downgrade() -> None:
    for table in ("utd_dead_letter", "utd_lane", "utd_outbox"):
        op.drop_table(table)


def _lane() -> list[sa.Column[str]]:
    return [sa.Column(name, NAME, nullable=False) for name in ("project", "endpoint", "kind", "key")]


def _parcel() -> list[sa.Column[Any]]:
    return [
        *_lane(),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
    ]
