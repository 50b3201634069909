"""Leases: which of several nodes on one database works for a project."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "utd_lease",
        sa.Column("project", NAME, nullable=False),
        sa.Column("term", sa.BigInteger(), nullable=False),
        sa.Column("holder", NAME),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("project"),
        sa.UniqueConstraint("project", "term"),
    )
    op.create_index("utd_lease_holder", "utd_lease", ["holder"])


def downgrade() -> None:
    op.drop_table("utd_lease")
