"""All that the routes share: the database, the files, the queue, and what is kept in memory beside them."""

import hmac
import logging
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from pictura.api.access.accounts import Who, local_user
from pictura.api.access.buckets import Buckets
from pictura.api.access.policy import PolicyKeeper
from pictura.api.asking.models import Models
from pictura.api.asking.rating import Ratings
from pictura.api.config import SCOPES, ApiConfig, Limits
from pictura.api.metrics import Metrics
from pictura.api.telling.follow import Follower
from pictura.api.telling.signing import signer_of
from pictura.core.errors import LimitError, QueueFullError
from pictura.jobs.queue import Queue
from pictura.jobs.sweeper import Sweeper
from pictura.jobs.values import JobRequest
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.tables import PENDING, Job, Lane, Setting, new_id

log = logging.getLogger("pictura.api")
DAY_S = 86400.0
_SIGNED_BITS = 128


class Studio:
    """What one process of the API holds."""

    def __init__(self, config: ApiConfig) -> None:
        """Open the database, and bring its tables up to date.

        Raises:
            PicturaError: it cannot be opened.
        """
        self.config = config
        self.database = Database.open(config.database)
        self.files = Files(config.files)
        self.queue = Queue(self.database, self.files, config.queue)
        self.models = Models(config.openai_names)
        self.policy = PolicyKeeper(self.database)
        self.buckets = Buckets(self.database)
        self.follower = Follower(self.database)
        self.ratings = Ratings(self.database)
        self.metrics = Metrics(self.database)
        self.sweeper = Sweeper(self.database, self.files, every_s=config.sweep_s)
        self.signer = signer_of(config)
        """What signs the files that leave; None where nothing is signed."""
        self.local = None if config.login else _local(self.database, config.limits["admin"])
        """The one who asks where nobody logs in."""
        self._secret = _secret(self.database)
        self._streams = Counter[str]()

    async def close(self) -> None:
        """End streams, and close the database."""
        await self.follower.close()
        await run_in_threadpool(self.sweeper.stop)
        self.database.close()

    def submit(
        self,
        requests: Sequence[JobRequest],
        who: Who,
        lane: Lane = "fast",
        idempotency_key: str | None = None,
        fingerprint: str | None = None,
    ) -> list[Job]:
        """Hand jobs to the queue, where the user's limits allow it.

        Limits are counted where nobody else submits, in this process or another.

        Raises:
            LimitError: the user has no pictures left for today.
            QueueFullError: too many jobs wait.
        """
        made = self.queue.submit_all(
            requests,
            who.user_id,
            lane,
            idempotency_key,
            fingerprint,
            check=lambda session: self._check_limits(session, requests, who),
        )
        log.info("user %s: %d jobs, first %s", who.user_id, len(made), made[0].id)
        return made

    @contextmanager
    def stream(self, who: Who) -> Iterator[None]:
        """Hold one of the streams that a user may have open.

        Raises:
            LimitError: there are too many.
        """
        limit = who.limits.streams
        if limit is not None and self._streams[who.user_id] >= limit:
            raise LimitError(f"You have {limit} streams of events open; close one.", retry_after_s=5)
        self._streams[who.user_id] += 1
        try:
            yield
        finally:
            self._streams[who.user_id] -= 1
            self._streams += Counter()  # forgets those at 0

    def sign(self, text: str) -> str:
        """A signature that only this studio can make."""
        return hmac.new(self._secret, text.encode(), "sha256").hexdigest()[: _SIGNED_BITS // 4]

    def is_signed(self, text: str, signature: str) -> bool:
        """Whether `sign` made it."""
        return hmac.compare_digest(self.sign(text).encode(), signature.encode("utf-8", "surrogatepass"))

    def _check_limits(self, session: Session, requests: Sequence[JobRequest], who: Who) -> None:
        limits = who.limits
        mine = Job.user_id == who.user_id
        if limits.pending_jobs is not None:
            pending = select(func.count()).where(mine, Job.state.in_(PENDING))
            count = session.scalars(pending).one()
            if count + len(requests) > limits.pending_jobs:
                raise QueueFullError(
                    f"{count} jobs of yours wait or run, and {len(requests)} more would pass "
                    f"your limit of {limits.pending_jobs}. Try again when some have ended."
                )
        if limits.images_a_day is not None:
            now = self.database.now(session)
            counted = select(func.sum(Job.num_images), func.min(Job.created_at)).where(
                mine,
                Job.id > first_id(now - DAY_S),
                Job.created_at > now - DAY_S,
                Job.state.in_((*PENDING, "done")),
            )
            count, oldest = session.execute(counted).one()
            asked = sum(request.num_images for request in requests)
            if (count or 0) + asked > limits.images_a_day:
                raise LimitError(
                    f"You asked for {count or 0} pictures within 24 hours, and {asked} more would pass "
                    f"your limit of {limits.images_a_day}.",
                    retry_after_s=(oldest or now) + DAY_S - now,
                )


def first_id(at: float) -> str:
    """An id that all ids of later moments sort behind; clocks of machines may differ by minutes."""
    return f"{max(0, int((at - 600) * 1000)) << 40:0{len(new_id())}x}"


def _local(database: Database, limits: Limits) -> Who:
    user = local_user(database)
    return Who(
        user_id=user.id, name=user.name, role="admin", scopes=frozenset(SCOPES), limits=limits, by="local"
    )


def _secret(database: Database) -> bytes:
    """What signatures are made with; made once for a database."""
    with database.write() as session:
        row = session.get(Setting, "secret")
        if row is None:
            row = Setting(key="secret", value={"hex": secrets.token_hex(32)})
            session.add(row)
        return bytes.fromhex(row.value["hex"])
