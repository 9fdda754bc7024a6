"""Pictures taken away: at once from sight, later from the disk, and never one that a row still names."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pictura.core.errors import NotFoundError
from pictura.store.database import Database
from pictura.store.files import UPLOADS, Files
from pictura.store.tables import Image, Job, JobPicture

GRACE_S = 3600.0
"""How long a file may lie without a row: its writer may still be about to commit it."""
KEEP_DELETED_S = 30 * 86400.0
KEEP_USED_S = 30 * 86400.0
"""How long pictures that a job began with are kept after its end, so that it can be done again."""
_BATCH = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """What a sweep removed."""

    num_images: int
    """Rows of pictures that were deleted long ago."""
    num_files: int
    """Files that no row names, thumbnails included."""


def delete_image(database: Database, image_id: str, user_id: str | None) -> Image:
    """Take a picture out of sight; until it is swept, `restore_image` brings it back.

    Args:
        database: that holds it.
        image_id: of the picture.
        user_id: whose it must be; None for an administrator.

    Raises:
        NotFoundError: that user has no such picture.
    """
    with database.write() as session:
        image = _image_of(session, image_id, user_id)
        image.deleted_at = image.deleted_at or database.now(session)
        return image


def restore_image(database: Database, image_id: str, user_id: str | None) -> Image:
    """Undo `delete_image`.

    Raises:
        NotFoundError: that user has no such picture, or it was swept.
    """
    with database.write() as session:
        image = _image_of(session, image_id, user_id)
        image.deleted_at = None
        return image


def sweep(
    database: Database,
    files: Files,
    *,
    grace_s: float = GRACE_S,
    keep_deleted_s: float = KEEP_DELETED_S,
    keep_used_s: float = KEEP_USED_S,
) -> Swept:
    """Forget pictures deleted long ago and what old jobs began with, then remove files that no row names.

    It may run beside everything else: a row is only committed where its file is there (`jobs.queue`),
    and a file is only removed in a transaction that saw no row.

    Args:
        database: that names files.
        files: to clear.
        grace_s: younger files stay.
        keep_deleted_s: pictures that were deleted more recently stay.
        keep_used_s: so do pictures that jobs began with which ended more recently, or have not.
    """
    with database.write() as session:
        now = database.now(session)
        gone = session.scalars(
            delete(Image).where(Image.deleted_at < now - keep_deleted_s).returning(Image.id)
        ).all()
        over = select(Job.id).where(Job.finished_at < now - keep_used_s)
        session.execute(delete(JobPicture).where(JobPicture.job_id.in_(over)))
    removed = 0
    paths = files.paths()
    while batch := dict(itertools.islice(paths, _BATCH)):
        removed += _remove_orphans(database, files, batch, grace_s)
    return Swept(num_images=len(gone), num_files=removed)


def _remove_orphans(database: Database, files: Files, hashes: Mapping[str, str], grace_s: float) -> int:
    with database.read() as session:
        named = _named(session, hashes)
    removed = 0
    for path, sha256 in hashes.items():
        if path in named or files.age_s(path) < grace_s:
            continue
        with database.write() as session:
            if _named(session, {path: sha256}):
                continue
            if files.age_s(path) >= grace_s:  # nobody wrote it again meanwhile
                files.remove(path)
                removed += 1
    return removed


def _named(session: Session, hashes: Mapping[str, str]) -> set[str]:
    """The paths among them that a row names: one of a picture, or of a job that begins with it."""
    painted = {path: sha256 for path, sha256 in hashes.items() if not path.startswith(UPLOADS)}
    of_images = set(session.scalars(select(Image.sha256).where(Image.sha256.in_(set(painted.values())))))
    of_jobs = set(session.scalars(select(JobPicture.path).where(JobPicture.path.in_(set(hashes)))))
    return {path for path, sha256 in painted.items() if sha256 in of_images} | of_jobs


def _image_of(session: Session, image_id: str, user_id: str | None) -> Image:
    plain = image_id.isascii() and image_id.isprintable()  # PostgreSQL knows no text with a NUL in it
    query = select(Image).join(Job, Job.id == Image.job_id).where(Image.id == image_id)
    image = plain and session.scalar(query if user_id is None else query.where(Job.user_id == user_id))
    if not image:
        raise NotFoundError(f"There is no picture {image_id[:100]!r} of yours.")
    return image
