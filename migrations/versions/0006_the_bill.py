"""Tokens by kind, what answers say that they cost, and each piece's part of it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_COUNTED = {
    "cached_tokens": sa.BigInteger(),
    "written_tokens": sa.BigInteger(),
    "reasoning_tokens": sa.BigInteger(),
    "unstated": sa.Integer(),
    "stated_picousd": sa.BigInteger(),
}


def upgrade() -> None:
    # Columns are added where the table stands: a copy of a large one would take minutes.
    for name, kind in _COUNTED.items():
        column = sa.Column(name, kind, nullable=False, server_default=sa.text("0"))
        op.add_column("shard", column)
    op.add_column("checkpoint", sa.Column("bills", sa.LargeBinary()))


def downgrade() -> None:
    op.drop_column("checkpoint", "bills")
    for name in _COUNTED:
        op.drop_column("shard", name)
