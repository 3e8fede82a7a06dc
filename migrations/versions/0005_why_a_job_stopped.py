"""What has stopped a job, beside the words for it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_JOB = sa.table("job", sa.column("state"), sa.column("cause"), sa.column("reason"))
_BY_ITS_WORDS = {
    "provider": "%",
    "budget": "stopped by its budget%",
    "dead letter": "stopped at a dead letter",
    "by hand": "by hand",
}


def upgrade() -> None:
    op.add_column("job", sa.Column("cause", sa.Text()))
    for cause, words in _BY_ITS_WORDS.items():
        like = sa.and_(_JOB.c.state == "paused", _JOB.c.reason.like(words))
        op.execute(_JOB.update().where(like).values(cause=cause))


def downgrade() -> None:
    op.drop_column("job", "cause")
