"""What is read for a client: only what is theirs, or public; for an administrator, everybody's."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, or_, select

from pictura.api.access.accounts import Who
from pictura.api.schemas.native import ErrorTold, ImageTold, JobTold
from pictura.core.errors import ConfigError, NotFoundError
from pictura.store.database import Database
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
        query = query.where(Job.id < _checked(cursor))
    with database.read() as session:
        jobs = list(session.scalars(query))
    page = jobs[:limit]
    return told(database, page), page[-1].id if len(jobs) > limit else None


def told(database: Database, jobs: Sequence[Job]) -> list[JobTold]:
    """Jobs as clients see them, with the pictures that are not deleted."""
    with database.read() as session:
        query = select(Image).where(Image.job_id.in_([job.id for job in jobs]), Image.deleted_at.is_(None))
        found = session.scalars(query.order_by(Image.job_id, Image.index)).all()
    images = defaultdict[str, list[Image]](list)
    for image in found:
        images[image.job_id].append(image)
    return [_job(job, images[job.id]) for job in jobs]


def images_page(
    database: Database,
    who: Who,
    *,
    limit: int,
    cursor: str | None = None,
    deleted: bool = False,
    public: bool = False,
    everybody: bool = False,
) -> tuple[list[ImageTold], str | None]:
    """Pictures, those of the newest job first, and where the next page begins."""
    query = select(Image).join(Job, Job.id == Image.job_id).order_by(Image.job_id.desc(), Image.index)
    query = query.where(Image.deleted_at.is_not(None) if deleted else Image.deleted_at.is_(None))
    if public and not deleted:
        query = query.where(Image.visibility == "public")
    elif not (everybody and who.is_admin):
        query = query.where(Job.user_id == who.user_id)
    if cursor is not None:
        query = query.where(_behind(cursor))
    with database.read() as session:
        images = list(session.scalars(query.limit(limit + 1)))
    page = images[:limit]
    return [image_told(image) for image in page], page[-1].id if len(images) > limit else None


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


def image_told(image: Image) -> ImageTold:
    """A picture as clients see it."""
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
    )


def _job(job: Job, images: Sequence[Image]) -> JobTold:
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
        parent_id=job.parent_id,
        position=None,
        cancel_asked=job.cancel_asked,
        error=ErrorTold(code=job.error_code, message=job.error) if is_wrong else None,
        images=[image_told(image) for image in images],
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def _behind(cursor: str) -> ColumnElement[bool]:
    job_id, _, index = _checked(cursor).partition("-")
    number = int(index) if index.isdecimal() and len(index) < 10 else -1
    return or_(Image.job_id < job_id, and_(Image.job_id == job_id, Image.index > number))


def _checked(cursor: str) -> str:
    if len(cursor) > 40 or not all(letter in "0123456789abcdef-" for letter in cursor):
        raise ConfigError("A cursor is the next_cursor of the page before; this one is something else.")
    return cursor
