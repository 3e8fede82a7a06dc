"""Jobs that workers open themselves, and schedules that ask for them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("schedule", sa.Text()))
    op.create_table(
        "job_order",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("blueprint", sa.Text(), nullable=False),
        sa.Column("fresh", sa.Boolean(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("schedule", sa.Text()),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("job_id", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("owner", sa.Text()),
        sa.Column("expires_at", sa.Double()),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job_order"),
        sa.UniqueConstraint("schedule", "due_at", name="uq_job_order_schedule"),
    )
    op.create_index("ix_job_order_state", "job_order", ["state", "asked_at"])
    op.create_index("ix_job_order_job_id", "job_order", ["job_id"])
    op.create_table(
        "schedule",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("blueprint", sa.Text(), nullable=False),
        sa.Column("missed", sa.Text(), nullable=False),
        sa.Column("overlap", sa.Boolean(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("next_due", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_schedule"),
    )


def downgrade() -> None:
    op.drop_table("schedule")
    op.drop_table("job_order")
    op.drop_column("job", "schedule")
