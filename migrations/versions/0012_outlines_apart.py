"""A plan's prompts apart from its outline, hashes of rows to search, and jobs by their kind.

Plans that are there stay as they are, in one blob, and are read as ever. A downgrade loses the
prompts of plans that were made since then, and older versions cannot read what is left of these.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JOB = sa.table(
    "job", sa.column("id", sa.Text), sa.column("spec", sa.Text), sa.column("kind", sa.Text)
)


def upgrade() -> None:
    op.execute("ALTER TABLE shard_payload RENAME COLUMN payload TO outline")
    op.create_table(
        "shard_prompts",
        sa.Column("shard_id", _KEY, nullable=False),
        sa.Column("prompts", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard_id", name="pk_shard_prompts"),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_shard_prompts_shard_id"),
    )
    op.create_table(
        "shard_hashes",
        sa.Column("shard_id", _KEY, nullable=False),
        sa.Column("contents", sa.LargeBinary()),
        sa.Column("ids", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("shard_id", name="pk_shard_hashes"),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_shard_hashes_shard_id"),
    )
    if op.get_bind().dialect.name == "postgresql":  # compressed already, or not compressible
        op.execute("ALTER TABLE shard_prompts ALTER COLUMN prompts SET STORAGE EXTERNAL")
        for column in ("contents", "ids"):
            op.execute(f"ALTER TABLE shard_hashes ALTER COLUMN {column} SET STORAGE EXTERNAL")
    op.add_column("job", sa.Column("kind", sa.Text()))
    _tell_kinds(op.get_bind())


def _tell_kinds(connection: sa.Connection) -> None:
    """The kind of each job, which stands in its description."""
    for job_id, spec in connection.execute(sa.select(_JOB.c.id, _JOB.c.spec)).all():
        try:
            kind = json.loads(spec)["job"]["kind"]
        except (ValueError, LookupError, TypeError):
            continue  # reading the job will say what is wrong with it
        if isinstance(kind, str):
            connection.execute(sa.update(_JOB).where(_JOB.c.id == job_id).values(kind=kind))


def downgrade() -> None:
    op.drop_column("job", "kind")
    op.drop_table("shard_hashes")
    op.drop_table("shard_prompts")
    op.execute("ALTER TABLE shard_payload RENAME COLUMN outline TO payload")
