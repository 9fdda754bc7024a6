"""Logins of browsers, and users who may do nothing any more."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add them."""
    op.add_column("users", sa.Column("disabled_at", sa.Double))
    op.create_table(
        "login_sessions",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(22), sa.ForeignKey("users.id"), nullable=False, index=True),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_table("login_sessions")
    op.drop_column("users", "disabled_at")
