"""What is read for a client: only what is theirs, or public; for an administrator, everybody's."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from pictura.api.access.accounts import Who
from pictura.api.schemas.native import ErrorTold, ImageTold, JobTold
from pictura.core.errors import ConfigError, NotFoundError
from pictura.store.database import Database
from pictura.store.ratings.events import opinions
from pictura.store.search import LIKED, Wanted, find
from pictura.store.tables import Image, Job, State


def jobs_page(
    database: Database,
    who: Who,
    *,
    limit: int,
    cursor: str | None = None,
    state: State | None = None,
    everybody: bool = False,
) -> tuple[list[JobTold], str | None]:
    """Jobs, the newest first, and where the next page begins."""
    query = select(Job).order_by(Job.id.desc()).limit(limit + 1)
    if not (everybody and who.is_admin):
        query = query.where(Job.user_id == who.user_id)
    if state is not None:
        query = query.where(Job.state == state)
    if cursor is not None:
        query = query.where(Job.id < checked(cursor))
    with database.read() as session:
        jobs = list(session.scalars(query))
    page = jobs[:limit]
    return told(database, page, who), page[-1].id if len(jobs) > limit else None


def told(database: Database, jobs: Sequence[Job], who: Who | None = None) -> list[JobTold]:
    """Jobs as clients see them, with the pictures that are not deleted, and what `who` thinks of these."""
    with database.read() as session:
        query = select(Image).where(Image.job_id.in_([job.id for job in jobs]), Image.deleted_at.is_(None))
        found = session.scalars(query.order_by(Image.job_id, Image.index)).all()
    images = defaultdict[str, list[Image]](list)
    for image in found:
        images[image.job_id].append(image)
    thinks = opinions(database, who.user_id, [image.id for image in found]) if who and found else {}
    return [_job(job, [image_told(one, thinks.get(one.id)) for one in images[job.id]]) for job in jobs]


def images_page(
    database: Database,
    who: Who,
    wanted: Wanted,
    *,
    limit: int,
    cursor: str | None = None,
    everybody: bool = False,
) -> tuple[list[ImageTold], str | None]:
    """Pictures, those of the newest job first, and where the next page begins.

    Args:
        database: that holds them.
        who: asks.
        wanted: what they search for; whose it may be is decided here.
        limit: how many at most.
        cursor: where the page before ended.
        everybody: all users' pictures, where an administrator asks.
    """
    is_public = wanted.public and not wanted.deleted
    if not is_public:
        wanted = replace(wanted, public=False, user_id=None if everybody and who.is_admin else who.user_id)
    images, after = find(database, wanted, limit=limit, before=None if cursor is None else _place(cursor))
    return images_told(database, who, images), None if after is None else str(after)


def images_told(database: Database, who: Who, images: Sequence[Image]) -> list[ImageTold]:
    """Pictures as somebody sees them, with what they think of each."""
    thinks = opinions(database, who.user_id, [image.id for image in images])
    return [image_told(image, thinks.get(image.id)) for image in images]


def image_for(database: Database, image_id: str, who: Who) -> Image:
    """A picture that a client may see; deleted ones only their owner sees.

    Raises:
        NotFoundError: there is none; nobody learns whether it is somebody else's.
    """
    plain = image_id.isascii() and image_id.isprintable()
    with database.read() as session:
        query = select(Image, Job.user_id).join(Job, Job.id == Image.job_id).where(Image.id == image_id)
        row = session.execute(query).one_or_none() if plain else None
    if row is not None:
        image, owner = row
        if who.is_admin or owner == who.user_id:
            return image
        if image.deleted_at is None and (image.visibility == "public" or who.by == "signature"):
            return image
    raise NotFoundError(f"There is no picture {image_id[:100]!r} of yours.")


def image_told(image: Image, rating: str | None = None) -> ImageTold:
    """A picture as clients see it; `rating` is what the one who asks thinks of it."""
    where = f"/api/v1/images/{image.id}"
    return ImageTold(
        id=image.id,
        job_id=image.job_id,
        index=image.index,
        width=image.width,
        height=image.height,
        num_bytes=image.num_bytes,
        sha256=image.sha256,
        url=f"{where}/file",
        thumb_url=f"{where}/thumb",
        details=image.details,
        visibility=image.visibility,
        created_at=image.created_at,
        deleted_at=image.deleted_at,
        liked=rating in LIKED,
        rating=rating,
    )


def _job(job: Job, images: list[ImageTold]) -> JobTold:
    asked = job.request
    choices = asked.get("choices", {})
    is_wrong = job.state in ("failed", "dead")
    return JobTold(
        id=job.id,
        status=job.state,
        lane=job.lane,
        prompt=asked.get("typed", asked.get("prompt", "")),
        resolved=choices.get("resolved", asked.get("prompt", "")),
        model=asked.get("model", ""),
        seed=choices.get("seed", 0),
        num_images=job.num_images,
        choices=choices,
        warnings=asked.get("warnings", []),
        kind=job.kind,
        parent_id=job.parent_id,
        source_image_id=job.source_image_id,
        action=_action(asked),
        result=job.result,
        position=None,
        cancel_asked=job.cancel_asked,
        error=ErrorTold(code=job.error_code, message=job.error) if is_wrong else None,
        images=images,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def _action(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a request does with pictures; what these say of themselves stands with them."""
    action = asked.get("action")
    return None if action is None else {name: action[name] for name in action if name != "said"}


def _place(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        checked("?")
    return int(cursor)


def checked(cursor: str) -> str:
    """A cursor, if it can be one.

    Raises:
        ConfigError: it is something else.
    """
    if len(cursor) > 40 or not all(letter in "0123456789abcdef-" for letter in cursor):
        raise ConfigError("A cursor is the next_cursor of the page before; this one is something else.")
    return cursor
