"""Where a job's records were last written to, so that a command can be told whole."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("output", sa.Text()))


def downgrade() -> None:
    op.drop_column("job", "output")
