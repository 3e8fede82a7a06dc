"""What was given again from answers that were kept for idempotency keys."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_COUNTED = {
    "kept_requests": sa.Integer(),
    "kept_pieces": sa.Integer(),
    "kept_tokens": sa.BigInteger(),
}


def upgrade() -> None:
    # Columns are added where the table stands: a copy of a large one would take minutes.
    for name, kind in _COUNTED.items():
        column = sa.Column(name, kind, nullable=False, server_default=sa.text("0"))
        op.add_column("shard", column)


def downgrade() -> None:
    for name in _COUNTED:
        op.drop_column("shard", name)
