"""Users, pictures, a clock and queues for tests."""

import contextlib
import functools
import io
import itertools
from collections.abc import Iterator

from PIL import Image as Pixels
from sqlalchemy.orm import Session

from pictura.jobs.queue import Queue
from pictura.jobs.values import JobRequest, QueueConfig
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.tables import Base, Lane, User

_places = itertools.count()


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self, session: Session) -> float:
        return self.now


@contextlib.contextmanager
def opened(url: str) -> Iterator[Database]:
    """Open a database and empty it."""
    database = Database.open(url)
    try:
        empty(database)
        yield database
    finally:
        database.close()


def empty(database: Database) -> None:
    with database.write() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())


@functools.cache
def picture(number: int = 0) -> bytes:
    """A PNG of 8x6 that no other number has."""
    file = io.BytesIO()
    Pixels.new("RGBA", (8, 6), (number // 65536 % 256, number // 256 % 256, number % 256, 128)).save(
        file, "PNG"
    )
    return file.getvalue()


def add_users(database: Database, *names: str) -> list[str]:
    """Their ids."""
    with database.write() as session:
        users = [User(name=name) for name in names]
        session.add_all(users)
        return [user.id for user in users]


def memory_files() -> Files:
    """A new place in memory, which is fast."""
    return Files(f"memory://pictures-{next(_places)}")


def new_queue(database: Database, config: QueueConfig | None = None) -> tuple[Queue, Clock]:
    """A queue whose pictures are in memory and whose clock is the test's."""
    clock = Clock()
    return Queue(database, memory_files(), config, clock), clock


def submit(queue: Queue, user: str, lane: Lane = "fast", num_images: int = 1) -> str:
    """The id of a new job."""
    return queue.submit(JobRequest(num_images=num_images), user, lane).id


def claimed_ids(queue: Queue, num: int) -> list[str]:
    return [claim.job.id for claim in queue.claim("worker", num)]
