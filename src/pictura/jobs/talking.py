"""Jobs that answer with words, not with pictures: `describe` and `shorten`.

A request of `describe` names a picture (`jobs.sources`), that of `shorten` has a `prompt`. The answer is the
job's `result`.
"""

from collections.abc import Mapping
from typing import Any

from PIL import Image
from sqlalchemy import select

from pictura.actions.describing import describe
from pictura.actions.shortening import shorten
from pictura.core.errors import ConfigError
from pictura.store import tables
from pictura.store.database import Database
from pictura.store.tables import Job

TALKS = ("describe", "shorten")
"""Kinds of such jobs."""
NUM_PROMPTS = 300
"""Newest prompts of a user that may describe a picture."""


def answer(database: Database, job: Job, pictures: Mapping[str, Image.Image]) -> dict[str, Any]:
    """What a job's user wants to know.

    Args:
        database: with what the user typed before.
        job: of one of the kinds `TALKS`.
        pictures: that its request names.

    Raises:
        PicturaError: it cannot be answered.
    """
    if job.kind == "describe":
        captions = describe(pictures["image"], own_prompts(database, job.user_id))
        return {"captions": [caption._asdict() for caption in captions]}
    if job.kind == "shorten":
        found = shorten(job.request["prompt"])
        return {"tokens": [word._asdict() for word in found.words], "prompts": found.prompts}
    raise ConfigError(f"A job that answers with words is one of {', '.join(TALKS)}; got {job.kind!r}.")


def own_prompts(database: Database, user_id: str) -> list[str]:
    """What a user painted pictures of, the newest first, each once."""
    with database.read() as session:
        query = select(tables.Image.prompt).where(
            tables.Image.user_id == user_id, tables.Image.deleted_at.is_(None), tables.Image.prompt != ""
        )
        found = session.scalars(query.order_by(tables.Image.place.desc()).limit(NUM_PROMPTS))
        return list(dict.fromkeys(found))
