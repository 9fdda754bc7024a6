"""Files that jobs begin with, and buckets of requests that several programs share."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "job_pictures",
        sa.Column("job_id", sa.String(22), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("path", sa.String(128), nullable=False, index=True),
    )
    op.create_table(
        "buckets",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("left", sa.Double, nullable=False),
        sa.Column("at", sa.Double, nullable=False, index=True),
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_table("buckets")
    op.drop_table("job_pictures")
