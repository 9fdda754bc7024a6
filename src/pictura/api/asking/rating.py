"""Ratings that routes record on their own: what people did with a picture, beside the act itself."""

from sqlalchemy import select

from pictura.api.access.accounts import Who
from pictura.store.database import Database
from pictura.store.ratings.events import Act, Rater, record
from pictura.store.tables import Image, RatingKind, Surface


class Ratings:
    """What one process of the API records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, who: Who, kind: RatingKind, image_id: str, surface: Surface = "api") -> None:
        """Keep that somebody did something with a picture; shown were the pictures of its job.

        Raises:
            NotFoundError: they may not see it.
        """
        record(self._database, rater(who), [Act(kind=kind, image_id=image_id, surface=surface)])

    def record_job(self, who: Who, kind: RatingKind, job_id: str, surface: Surface = "api") -> None:
        """The same of all pictures of a job at once, as one act on the first; of none if there is none."""
        with self._database.read() as session:
            of_job = Image.job_id == job_id
            query = select(Image.id).where(of_job, Image.deleted_at.is_(None)).order_by(Image.index).limit(1)
            first = session.scalar(query)
        if first is not None:
            self.record(who, kind, first, surface)


def rater(who: Who) -> Rater:
    """Somebody as the one who rates."""
    return Rater(user_id=who.user_id, sees_all=who.is_admin)
