"""Jobs, shards, checkpoints and dead letters."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _key() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("resume_at", sa.DateTime(timezone=True)),
        sa.Column("planned", sa.Boolean(), nullable=False),
        sa.Column("plan_row", sa.BigInteger(), nullable=False),
        sa.Column("plan_shard", sa.Integer(), nullable=False),
        sa.Column("plan_fence", sa.Integer(), nullable=False),
        sa.Column("plan_owner", sa.Text()),
        sa.Column("plan_expires_at", sa.Double()),
        sa.Column("budget_picousd", sa.BigInteger()),
        sa.Column("committed_picousd", sa.BigInteger(), nullable=False),
        sa.Column("learned", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("fingerprint", "generation", name="uq_job_fingerprint"),
    )
    op.create_table(
        "shard",
        sa.Column("id", _key(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("first_row", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("pieces", sa.Integer(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text()),
        sa.Column("expires_at", sa.Double()),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("sent_fence", sa.Integer(), nullable=False),
        sa.Column("sent_through", sa.Integer(), nullable=False),
        sa.Column("reserved_picousd", sa.BigInteger(), nullable=False),
        sa.Column("rows_done", sa.Integer(), nullable=False),
        sa.Column("pieces_done", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_picousd", sa.BigInteger(), nullable=False),
        sa.Column("doubt_requests", sa.Integer(), nullable=False),
        sa.Column("doubt_pieces", sa.Integer(), nullable=False),
        sa.Column("doubt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("doubt_picousd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shard"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_shard_job_id"),
        sa.UniqueConstraint("job_id", "ordinal", name="uq_shard_job_id"),
    )
    op.create_index("ix_shard_claim", "shard", ["job_id", "state", "ordinal"])
    op.create_table(
        "shard_payload",
        sa.Column("shard_id", _key(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("columns", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("shard_id", name="pk_shard_payload"),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_shard_payload_shard_id"),
    )
    op.create_table(
        "checkpoint",
        sa.Column("shard_id", _key(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("results", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("shard_id", "fence", "seq", name="pk_checkpoint"),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_checkpoint_shard_id"),
    )
    op.create_table(
        "dead_letter",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("shard_id", _key(), nullable=False),
        sa.Column("piece", sa.Integer(), nullable=False),
        sa.Column("row_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "row_number", "chunk", name="pk_dead_letter"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_dead_letter_job_id"),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_dead_letter_shard_id"),
    )
    op.create_index("ix_dead_letter_shard_id", "dead_letter", ["shard_id"])
    if op.get_context().dialect.name == "postgresql":
        # Vectors do not compress, and text comes compressed where that pays.
        for table, column in (
            ("checkpoint", "results"),
            ("shard_payload", "payload"),
            ("shard_payload", "columns"),
        ):
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")
        # Room beside a row for its next version: no index has to learn of a renewal or checkpoint.
        for table, percent in (("shard", 70), ("job", 50)):
            op.execute(f"ALTER TABLE {table} SET (fillfactor = {percent})")


def downgrade() -> None:
    for table in ("dead_letter", "checkpoint", "shard_payload", "shard", "job"):
        op.drop_table(table)
