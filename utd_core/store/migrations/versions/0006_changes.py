"""How often the projects were changed, so that a server sees with one row that nothing was."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    changes = op.create_table(
        "utd_changes",
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("what"),
    )
    op.bulk_insert(changes, [{"what": "projects", "number": 1}])


def downgrade() -> None:
    op.drop_table("utd_changes")
