"""Where a job's results go when it is complete, and how far they are on their way."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "delivery",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text()),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("next_at", sa.Double()),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True)),
        sa.Column("owner", sa.Text()),
        sa.Column("expires_at", sa.Double()),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_delivery"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_delivery_job_id"),
    )
    op.create_index("ix_delivery_delivered_at", "delivery", ["delivered_at"])


def downgrade() -> None:
    op.drop_table("delivery")
