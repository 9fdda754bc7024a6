"""Pictures taken away: at once from sight, later from the disk, and never one that a row still names."""

import itertools
from dataclasses import dataclass

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from pictura.core.errors import NotFoundError
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.tables import Image, Job

GRACE_S = 3600.0
"""How long a file may lie without a row: its writer may still be about to commit it."""
KEEP_DELETED_S = 30 * 86400.0
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
    database: Database, files: Files, *, grace_s: float = GRACE_S, keep_deleted_s: float = KEEP_DELETED_S
) -> Swept:
    """Forget pictures that were deleted long ago, then remove files that no row names.

    It may run beside everything else: a row is only committed where its file is there (`jobs.queue`),
    and a file is only removed in a transaction that saw no row.

    Args:
        database: that names files.
        files: to clear.
        grace_s: younger files stay.
        keep_deleted_s: pictures that were deleted more recently stay.
    """
    with database.write() as session:
        old = Image.deleted_at < database.now(session) - keep_deleted_s
        gone = session.scalars(delete(Image).where(old).returning(Image.id)).all()
    removed = 0
    paths = files.paths()
    while batch := dict(itertools.islice(paths, _BATCH)):
        removed += _remove_orphans(database, files, batch, grace_s)
    return Swept(num_images=len(gone), num_files=removed)


def _remove_orphans(database: Database, files: Files, hashes: dict[str, str], grace_s: float) -> int:
    with database.read() as session:
        named = set(session.scalars(select(Image.sha256).where(Image.sha256.in_(set(hashes.values())))))
    removed = 0
    for path, sha256 in hashes.items():
        if sha256 in named or files.age_s(path) < grace_s:
            continue
        with database.write() as session:
            if session.scalar(select(exists().where(Image.sha256 == sha256))):
                continue
            if files.age_s(path) >= grace_s:  # nobody wrote it again meanwhile
                files.remove(path)
                removed += 1
    return removed


def _image_of(session: Session, image_id: str, user_id: str | None) -> Image:
    plain = image_id.isascii() and image_id.isprintable()  # PostgreSQL knows no text with a NUL in it
    query = select(Image).join(Job, Job.id == Image.job_id).where(Image.id == image_id)
    image = plain and session.scalar(query if user_id is None else query.where(Job.user_id == user_id))
    if not image:
        raise NotFoundError(f"There is no picture {image_id[:100]!r} of yours.")
    return image
