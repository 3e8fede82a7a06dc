"""Checksums of what is kept, how often a plan was begun in vain, and jobs by their age."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("checkpoint", sa.Column("checksum", sa.BigInteger()))
    op.add_column("shard_payload", sa.Column("checksum", sa.BigInteger()))
    op.add_column(
        "job", sa.Column("plan_tries", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    op.create_index("ix_job_created_at", "job", ["created_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_job_created_at", "job")
    op.drop_column("job", "plan_tries")
    op.drop_column("shard_payload", "checksum")
    op.drop_column("checkpoint", "checksum")
