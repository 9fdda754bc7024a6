"""The durable queue: requests in, leases out, each picture committed exactly once.

A claim is a lease: it holds until `lease_s` after the last heartbeat. Its token fences: once a job was given
to another worker, the one before can commit nothing more of it. `jobs.states` has the moves of a job,
`jobs.line` the order, docs/jobs.md what is promised.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from pictura.core.errors import ConfigError, KeyReusedError, NotFoundError, QueueFullError, StorageError
from pictura.jobs import sources, states
from pictura.jobs.line import Waiting, in_turn
from pictura.jobs.values import Claimed, Heartbeat, JobRequest, QueueConfig
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.search import found_image
from pictura.store.tables import LANES, PENDING, Event, Image, Job, Lane, User


class Queue:
    """Jobs in a database; any number of threads and processes may submit and claim at once."""

    def __init__(
        self,
        database: Database,
        files: Files,
        config: QueueConfig | None = None,
        clock: Callable[[Session], float] | None = None,
    ) -> None:
        """Make a queue on a database.

        Args:
            database: that holds users, jobs, events and the rows of pictures.
            files: that hold the pictures.
            config: limits; the defaults if None.
            clock: seconds since 1970; the database's if None.
        """
        self.database = database
        self.files = files
        self.config = config or QueueConfig()
        self._now = clock or database.now

    # For those who ask

    def submit(
        self,
        request: JobRequest,
        user_id: str,
        lane: Lane = "fast",
        idempotency_key: str | None = None,
        fingerprint: str | None = None,
    ) -> Job:
        """Accept one job; see `submit_all`."""
        return self.submit_all([request], user_id, lane, idempotency_key, fingerprint)[0]

    def submit_all(
        self,
        requests: Sequence[JobRequest],
        user_id: str,
        lane: Lane = "fast",
        idempotency_key: str | None = None,
        fingerprint: str | None = None,
        check: Callable[[Session], None] = lambda _: None,
    ) -> list[Job]:
        """Accept jobs, all or none. When this returns they are on the disk and will be done.

        Args:
            requests: in the order in which they shall run.
            user_id: who asks.
            lane: draft, fast or relax.
            idempotency_key: a text of the client's: the same key of the same user gives the same jobs again.
            fingerprint: of what the client sent (64 characters at most): a repeat must have the same.
            check: raises where the user may not ask for them; nobody else submits while it counts.

        Returns:
            The new jobs, or those that the key made before, in their order.

        Raises:
            ConfigError: the lane is unknown, or the key is not 1 to 255 visible ASCII characters.
            KeyReusedError: the key was used with another fingerprint.
            QueueFullError: too many jobs wait.
            NotFoundError: a picture that they begin with is not kept any more.
        """
        _check(lane, idempotency_key)
        stored = sources.stored(self.files, requests)
        with self.database.write() as session:
            if before := _made_by(session, user_id, idempotency_key):
                if before[0].fingerprint != fingerprint:
                    raise KeyReusedError(
                        f"The idempotency key {idempotency_key!r} came before with another request. "
                        "Use a new key for each request."
                    )
                return before
            check(session)
            self._check_room(session, user_id, len(requests))
            jobs = states.accept(
                session,
                stored,
                self._now(session),
                user_id=user_id,
                lane=lane,
                max_attempts=self.config.max_attempts,
                idempotency_key=idempotency_key,
                fingerprint=fingerprint,
            )
            sources.hold(session, self.files, jobs)
            return jobs

    def cancel(self, job_id: str, user_id: str | None) -> Job:
        """Ask a job to stop: one that waits ends now, one that runs within a step, one that ended stays.

        Args:
            job_id: of the job.
            user_id: whose it must be; None for an administrator.

        Raises:
            NotFoundError: that user has no such job.
        """
        with self.database.write() as session:
            job = _job_of(session, job_id, user_id)
            if job.state == "queued":
                states.end(session, job, "cancelled", self._now(session))
            elif job.state == "running":
                job.cancel_asked = True
            return job

    def revive(self, job_id: str, user_id: str | None) -> Job:
        """Give a dead or failed job all its attempts again, at its old place in the line; others stay.

        Raises:
            NotFoundError: that user has no such job, or a picture that it begins with is not kept any more.
        """
        with self.database.write() as session:
            job = _job_of(session, job_id, user_id)
            if job.state in ("dead", "failed"):
                sources.hold(session, self.files, [job])
                job.attempt, job.cancel_asked, job.error_code, job.error = 0, False, None, None
                states.requeue(session, job, self._now(session))
            return job

    def get(self, job_id: str, user_id: str | None) -> Job:
        """A job as it is now.

        Raises:
            NotFoundError: that user has no such job.
        """
        with self.database.read() as session:
            return _job_of(session, job_id, user_id)

    def position(self, job_id: str) -> int | None:
        """How many jobs are before this one, if no other comes and all fit; None if it does not wait."""
        with self.database.read() as session:
            served = _turns(session)
            first = max(served.values(), default=0) + 1
            for number, waiting in enumerate(self._line(session, served, self._now(session))):
                if waiting.job_id == job_id:
                    return number
                served[waiting.user_id] = first + number
        return None

    def events(self, job_id: str, after: int = 0) -> Sequence[Event]:
        """What happened to a job after event number `after`, in order.

        Of progress and of previews only the newest is kept, and none once the job has ended.
        """
        with self.database.read() as session:
            query = select(Event).where(Event.job_id == job_id, Event.id > after).order_by(Event.id)
            return session.scalars(query).all()

    # For workers

    def claim(
        self, worker: str, num: int, lease_s: float = 30.0, fits: Callable[[Job], bool] | None = None
    ) -> list[Claimed]:
        """Take the next jobs of the line, after taking back those whose lease is over.

        Args:
            worker: who claims.
            num: jobs at most.
            lease_s: seconds that a claim holds without a heartbeat, at most 600.
            fits: whether a job can join what the worker runs now; it must answer at once. Jobs that do not
                are passed over, until one has waited for `patience_s`: then nothing behind it is taken.
        """
        assert 0 < lease_s <= states.LONGEST_LEASE_S
        with self.database.write() as session:
            now, claimed = self._now(session), list[Claimed]()
            states.take_back(session, states.lease_is_over(now), now)
            served = _turns(session)
            for waiting in self._line(session, served, now) if num > 0 else ():
                job = session.get_one(Job, waiting.job_id)
                if fits is not None and not fits(job):
                    if now - job.created_at >= self.config.patience_s:
                        break
                    continue
                served[job.user_id] = max(served.values()) + 1
                session.get_one(User, job.user_id).served = served[job.user_id]
                claimed.append(states.lease(session, job, worker, lease_s, now))
                if len(claimed) == num:
                    break
            return claimed

    def heartbeat(self, claims: Sequence[Claimed]) -> dict[str, Heartbeat]:
        """Tell that a worker lives, and what it must know; cheap enough for every step.

        It writes only when half of a lease is over.

        Returns:
            By job id.
        """
        with self.database.read() as session:
            held, now = states.held(session, claims), self._now(session)
        if any((held[c.job.id].lease_until or 0) - now < c.lease_s / 2 for c in claims if c.job.id in held):
            with self.database.write() as session:
                held, now = states.held(session, claims), self._now(session)
                for claim in claims:
                    if claim.job.id in held:
                        held[claim.job.id].lease_until = now + claim.lease_s
        return {
            claim.job.id: Heartbeat(
                still_mine=claim.job.id in held,
                cancel_asked=claim.job.id in held and held[claim.job.id].cancel_asked,
            )
            for claim in claims
        }

    def progress(
        self,
        told: Sequence[tuple[Claimed, Mapping[str, Any]]],
        kind: Literal["progress", "preview"] = "progress",
    ) -> None:
        """Tell how far jobs are, in one transaction; what was told before is forgotten.

        Jobs that are no longer the worker's are left out: `heartbeat` tells it.
        """
        with self.database.write() as session:
            held, now = states.held(session, [claim for claim, _ in told]), self._now(session)
            session.execute(delete(Event).where(Event.job_id.in_(held), Event.kind == kind))
            for claim, payload in told:
                if claim.job.id in held:
                    states.tell(session, held[claim.job.id], kind, now, payload)

    def commit_image(self, claim: Claimed, index: int, data: bytes, details: Mapping[str, Any]) -> Image:
        """Commit a picture: its files first, then its row, once for each (job, index).

        Args:
            claim: of its job.
            index: among the pictures of the job, from 0.
            data: a PNG, WebP or JPEG file.
            details: how it was painted, as JSON can hold it.

        Returns:
            Its row; that of an earlier commit where there was one.

        Raises:
            LeaseLostError: the job is no longer the worker's.
            DataError: the data are no such picture.
            StorageError: a disk is full.
        """
        assert 0 <= index < claim.job.num_images
        for _ in range(3):
            stored = self.files.put_picture(data)
            with self.database.write() as session:
                job = states.mine(session, claim)
                known = session.scalar(select(Image).where(Image.job_id == job.id, Image.index == index))
                if known is not None:
                    return known
                if not (self.files.exists(stored.path) and self.files.exists(stored.thumb_path)):
                    continue  # a sweep took it for an orphan in this very moment
                now = self._now(session)
                image = found_image(job, index, stored, details, now)
                session.add(image)
                states.tell(session, job, "image", now, {"index": index, "image_id": image.id})
                return image
        raise StorageError(f"{stored.path} was written at {self.files.url} three times and is not there.")

    def finish(self, claim: Claimed, result: Mapping[str, Any] | None = None) -> None:
        """End a job whose pictures are all committed.

        Args:
            claim: of the job.
            result: of one that paints nothing.

        Raises:
            LeaseLostError: the job is no longer the worker's.
        """
        with self.database.write() as session:
            job = states.mine(session, claim)
            count = session.scalar(select(func.count()).where(Image.job_id == job.id))
            assert count == job.num_images, f"{count} of {job.num_images} pictures of job {job.id} are there"
            job.result = None if result is None else dict(result)
            states.end(session, job, "done", self._now(session))

    def fail(self, claim: Claimed, code: str, sentence: str, *, retry: bool = False) -> None:
        """End a job that cannot be done, or put it back if another attempt may help and one is left.

        Args:
            claim: of the job.
            code: of the error (`PicturaError.code`).
            sentence: for the user.
            retry: whether another attempt may help.

        Raises:
            LeaseLostError: the job is no longer the worker's.
        """
        with self.database.write() as session:
            job, now = states.mine(session, claim), self._now(session)
            job.error_code, job.error = code, sentence
            if retry:
                states.put_back(session, job, now)
            else:
                states.end(session, job, "failed", now)

    def release(self, claim: Claimed) -> None:
        """Give a job back unharmed: it ends where that was asked, else it waits at its old place.

        Raises:
            LeaseLostError: the job is no longer the worker's.
        """
        with self.database.write() as session:
            job = states.mine(session, claim)
            job.attempt -= 1
            states.put_back(session, job, self._now(session))

    def recover(self, worker: str | None = None) -> int:
        """Take back jobs whose lease is over, as every claim does; of one worker, all at once.

        Args:
            worker: one that is known to be no more, such as this program before it was started anew.

        Returns:
            How many.
        """
        with self.database.write() as session:
            now = self._now(session)
            which = states.lease_is_over(now) if worker is None else Job.worker == worker
            return states.take_back(session, which, now)

    def _check_room(self, session: Session, user_id: str, num: int) -> None:
        pending = select(func.count()).where(Job.state.in_(PENDING))
        limits = (
            (pending.where(Job.user_id == user_id), self.config.max_pending_per_user, "of yours"),
            (pending, self.config.max_pending, "in all"),
        )
        for query, limit, whose in limits:
            count = session.scalars(query).one()
            if count + num > limit:
                raise QueueFullError(
                    f"{count} jobs {whose} wait or run, and {num} more would pass the limit of {limit}. "
                    "Try again when some have ended."
                )

    def _line(self, session: Session, served: Mapping[str, int], now: float) -> Iterator[Waiting]:
        query = select(Job.id, Job.user_id, Job.lane, Job.created_at)
        rows = session.execute(query.where(Job.state == "queued").order_by(Job.id)).all()
        waiting = (Waiting(job_id=i, user_id=user, lane=lane, created_at=at) for i, user, lane, at in rows)
        return in_turn(waiting, served, now, self.config.ageing_s)


def _check(lane: str, key: str | None) -> None:
    if lane not in LANES:
        raise ConfigError(f"A job's lane is one of {', '.join(LANES)}; got {lane!r}.")
    if key is not None and not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise ConfigError(f"An idempotency key is 1 to 255 visible ASCII characters; got {key[:300]!r}.")


def _made_by(session: Session, user_id: str, key: str | None) -> list[Job]:
    if key is None:
        return []
    query = select(Job).where(Job.user_id == user_id, Job.idempotency_key == key).order_by(Job.part)
    return list(session.scalars(query))


def _job_of(session: Session, job_id: str, user_id: str | None) -> Job:
    # PostgreSQL knows no text with a NUL in it, and a client may send one.
    job = session.get(Job, job_id) if job_id.isalnum() else None
    if job is None or user_id not in (None, job.user_id):
        raise NotFoundError(f"There is no job {job_id[:100]!r} of yours.")
    return job


def _turns(session: Session) -> dict[str, int]:
    """The last turn of every user."""
    return dict(session.execute(select(User.id, User.served)).all())
