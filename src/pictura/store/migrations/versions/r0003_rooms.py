"""What people do with pictures: ratings and pairs; search over prompts; results and sources of jobs."""

import re
import unicodedata
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_PLACES = 1024
"""Numbers that each job has for its pictures."""
_WORD = re.compile(r"[^\W_]+")
_TRIGGERS = {
    "image_words_insert": "AFTER INSERT ON images BEGIN "
    "INSERT INTO image_words(rowid, search) VALUES (new.place, new.search); END",
    "image_words_delete": "AFTER DELETE ON images BEGIN "
    "INSERT INTO image_words(image_words, rowid, search) VALUES ('delete', old.place, old.search); END",
    "image_words_update": "AFTER UPDATE OF place, search ON images BEGIN "
    "INSERT INTO image_words(image_words, rowid, search) VALUES ('delete', old.place, old.search); "
    "INSERT INTO image_words(rowid, search) VALUES (new.place, new.search); END",
}
_SEARCHED = ("deleted_at", "visibility", "width", "created_at", "kind", "model")
_INDICES = {
    "ix_jobs_number": ("jobs", ("number",)),
    "ix_jobs_parent_id": ("jobs", ("parent_id",)),
    "ix_jobs_source_image_id": ("jobs", ("source_image_id",)),
    "ix_images_gallery": ("images", ("place", "user_id", *_SEARCHED)),
    "ix_images_of_user": ("images", ("user_id", "place", *_SEARCHED)),
    "ix_images_of_model": ("images", ("user_id", "model", "deleted_at", "place")),
    "ix_images_visibility_place": ("images", ("visibility", "place")),
    "ix_images_of_seed": ("images", ("user_id", "seed", "place")),
    "ix_images_of_parent": ("images", ("user_id", "parent_id", "place")),
    "ix_images_of_source": ("images", ("user_id", "source_image_id", "place")),
}


def upgrade() -> None:
    """Add them, and fill in what the pictures that are there say of themselves."""
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    _fill()
    for name, (table, columns_of) in _INDICES.items():
        op.create_index(name, table, list(columns_of), unique=name == "ix_jobs_number")
    _make_words()
    _make_ratings()


def downgrade() -> None:
    """Remove them with all ratings."""
    for table in ("opinions", "pairs", "ratings"):
        op.drop_table(table)
    if _on_sqlite():
        for trigger in _TRIGGERS:
            op.execute(f"DROP TRIGGER {trigger}")
        op.execute("DROP TABLE image_words")
    else:
        op.execute("DROP INDEX ix_images_words")
        op.execute("ALTER TABLE images DROP COLUMN words")
    for name, (table, _) in _INDICES.items():
        op.drop_index(name, table)
    for table, columns in _columns().items():
        for column in columns:
            op.drop_column(table, column.name)


def _columns() -> dict[str, tuple[sa.Column[Any], ...]]:
    return {
        "users": (sa.Column("train_on_ratings", sa.Boolean, nullable=False, server_default=sa.false()),),
        "jobs": (
            sa.Column("number", sa.BigInteger, nullable=False, server_default="0"),
            sa.Column("source_image_id", sa.String(28)),
            sa.Column("result", sa.JSON),
        ),
        "images": (
            sa.Column("user_id", sa.String(22), nullable=False, server_default=""),
            sa.Column("place", sa.BigInteger, nullable=False, server_default="0"),
            sa.Column("prompt", sa.Text, nullable=False, server_default=""),
            sa.Column("search", sa.Text, nullable=False, server_default=""),
            sa.Column("model", sa.String(255), nullable=False, server_default=""),
            sa.Column("model_hash", sa.String(64), nullable=False, server_default=""),
            sa.Column("kind", sa.String(32), nullable=False, server_default=""),
            sa.Column("seed", sa.BigInteger),
            sa.Column("parent_id", sa.String(22)),
            sa.Column("source_image_id", sa.String(28)),
            sa.Column("features", sa.JSON),
        ),
    }


def _on_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _make_words() -> None:
    """Full text, by what each database has for it; `images.search` is the text."""
    if _on_sqlite():
        op.execute(
            "CREATE VIRTUAL TABLE image_words USING fts5"
            "(search, content='images', content_rowid='place', prefix='3')"
        )
        op.execute("INSERT INTO image_words(image_words) VALUES ('rebuild')")
        for trigger, does in _TRIGGERS.items():
            op.execute(f"CREATE TRIGGER {trigger} {does}")
    else:
        op.execute(
            "ALTER TABLE images ADD COLUMN words tsvector "
            "GENERATED ALWAYS AS (to_tsvector('simple', search)) STORED"
        )
        op.execute("CREATE INDEX ix_images_words ON images USING gin (words)")


def _make_ratings() -> None:
    op.create_table(
        "ratings",
        sa.Column("id", sa.String(22), primary_key=True),
        sa.Column("user_id", sa.String(22), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("image_id", sa.String(28), nullable=False, index=True),
        sa.Column("slot", sa.Integer),
        sa.Column("shown_ids", sa.JSON, nullable=False),
        sa.Column("surface", sa.String(16), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("model_hash", sa.String(64), nullable=False),
        sa.Column("consent", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Index(None, "user_id", "id"),
    )
    op.create_table(
        "pairs",
        sa.Column("id", sa.String(22), primary_key=True),
        sa.Column("user_id", sa.String(22), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("token", sa.String(32), nullable=False, unique=True),
        sa.Column("left_id", sa.String(28), nullable=False),
        sa.Column("right_id", sa.String(28), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("model_hash", sa.String(64), nullable=False),
        sa.Column("chosen_by", sa.String(16), nullable=False),
        sa.Column("repeat_of", sa.String(22), index=True),
        sa.Column("choice", sa.String(8)),
        sa.Column("ms", sa.Integer),
        sa.Column("consent", sa.Boolean, nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("answered_at", sa.Double),
        sa.Index(None, "user_id", "id"),
    )
    op.create_table(
        "opinions",
        sa.Column("user_id", sa.String(22), sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("image_id", sa.String(28), primary_key=True),
        sa.Column("rating", sa.String(8), nullable=False),
    )


def _fill() -> None:
    """Columns that search needs, from what jobs and pictures hold as JSON."""
    bind = op.get_bind()
    jobs = sa.table(
        "jobs",
        *(sa.column(name) for name in ("id", "user_id", "kind", "parent_id", "number")),
        sa.column("request", sa.JSON),
    )
    images = sa.table(
        "images",
        *(sa.column(name) for name in ("id", "job_id", "index")),
        sa.column("details", sa.JSON),
        *(sa.column(column.name, column.type) for column in _columns()["images"]),
    )
    numbers = dict[str, Any]()
    for number, row in enumerate(bind.execute(sa.select(jobs).order_by(jobs.c.id)).all(), start=1):
        numbers[row.id] = (number, row)
        bind.execute(sa.update(jobs).where(jobs.c.id == row.id).values(number=number))
    for row in bind.execute(sa.select(images.c.id, images.c.job_id, images.c.index, images.c.details)).all():
        number, job = numbers[row.job_id]
        prompt = _storable(str(job.request.get("prompt", row.details.get("prompt", ""))))
        seed = row.details.get("seed")
        found = {
            "user_id": job.user_id,
            "place": number * _PLACES + _PLACES - 1 - row.index,
            "prompt": prompt,
            "search": _searched(prompt),
            "model": str(job.request.get("model", ""))[:255],
            "model_hash": str(row.details.get("model_hash", ""))[:64],
            "kind": job.kind,
            "seed": seed if isinstance(seed, int) else None,
            "parent_id": job.parent_id,
        }
        bind.execute(sa.update(images).where(images.c.id == row.id).values(found))


def _storable(text: str) -> str:
    return text.replace("\0", " ").encode("utf-8", "replace").decode()


def _searched(text: str) -> str:
    """As `store.search` did when this was written."""
    apart = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in apart if unicodedata.category(letter) not in ("Mn", "Cf"))
    return " ".join(_WORD.findall(plain.casefold()))
