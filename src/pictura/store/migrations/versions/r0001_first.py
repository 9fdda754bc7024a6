"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    _make_users()
    _make_jobs()
    _make_images_and_events()
    op.create_table(
        "settings",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
    )


def downgrade() -> None:
    """Remove all tables with what they hold."""
    for table in ("settings", "events", "images", "jobs", "api_keys", "users"):
        op.drop_table(table)


def _make_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(22), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False, unique=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password_hash", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("served", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(22), primary_key=True),
        sa.Column("user_id", sa.String(22), sa.ForeignKey("users.id"), nullable=False, index=True),
        sa.Column("hash", sa.String(128), nullable=False, unique=True),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("last_used_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
    )


def _make_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(22), primary_key=True),
        sa.Column("user_id", sa.String(22), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("lane", sa.String(8), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("num_images", sa.Integer, nullable=False),
        sa.Column("parent_id", sa.String(22), sa.ForeignKey("jobs.id")),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("lease_until", sa.Double),
        sa.Column("lease_token", sa.String(32)),
        sa.Column("worker", sa.Text),
        sa.Column("cancel_asked", sa.Boolean, nullable=False),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error", sa.Text),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("finished_at", sa.Double),
        sa.UniqueConstraint("user_id", "idempotency_key", "part"),
        sa.Index(None, "state", "id"),
        sa.Index(None, "user_id", "id"),
    )


def _make_images_and_events() -> None:
    op.create_table(
        "images",
        sa.Column("id", sa.String(28), primary_key=True),
        sa.Column("job_id", sa.String(22), sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, index=True),
        sa.Column("path", sa.String(128), nullable=False),
        sa.Column("thumb_path", sa.String(128), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("num_bytes", sa.Integer, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("visibility", sa.String(8), nullable=False),
        sa.Column("deleted_at", sa.Double, index=True),
        sa.UniqueConstraint("job_id", "index"),
    )
    op.create_table(
        "events",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("job_id", sa.String(22), sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Index(None, "job_id", "id"),
        sqlite_autoincrement=True,
    )
