"""The names of jobs, and the rows that a shard did not have to send."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_COUNTED = ("rows_carried", "rows_changed", "rows_failed_before")


def upgrade() -> None:
    # Columns are added where the table stands: a copy of a large one would take minutes.
    op.add_column("job", sa.Column("name", sa.Text()))
    op.create_index("ix_job_name", "job", ["name"])
    for name in _COUNTED:
        column = sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0"))
        op.add_column("shard", column)


def downgrade() -> None:
    op.drop_index("ix_job_name", "job")
    op.drop_column("job", "name")
    for name in _COUNTED:
        op.drop_column("shard", name)
