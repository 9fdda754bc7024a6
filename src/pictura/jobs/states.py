"""The moves of a job from state to state, each inside a transaction of the one writer.

    submit -> queued -> claim -> running -> finish -> done
                 ^                  |------ fail ---> failed (cannot be done) or dead (tried too often)
                 |<-- lease over, --|------ cancel -> cancelled
                      given back, failed for now

Every move writes the event that tells of it.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.orm import Session

from pictura.core.errors import LeaseLostError
from pictura.jobs.values import Claimed, JobRequest
from pictura.store.tables import Event, EventKind, Image, Job, State, new_id

LONGEST_LEASE_S = 600.0


def tell(
    session: Session, job: Job, kind: EventKind, now: float, payload: Mapping[str, Any] | None = None
) -> None:
    """Write an event."""
    session.add(Event(job_id=job.id, kind=kind, payload=dict(payload or {}), at=now))


def accept(session: Session, requests: Sequence[JobRequest], now: float, **of_all: Any) -> list[Job]:
    """New jobs at the end of the line.

    Args:
        session: that writes.
        requests: in the order in which they shall run.
        now: seconds since 1970.
        of_all: columns that have the same value in every row.
    """
    last, jobs = session.scalar(select(func.max(Job.id))) or "", list[Job]()
    first = (session.scalar(select(func.max(Job.number))) or 0) + 1
    for part, request in enumerate(requests):
        last = new_id(after=last)
        jobs.append(
            Job(
                id=last,
                kind=request.kind,
                request=dict(request.request),
                num_images=request.num_images,
                parent_id=request.parent_id,
                source_image_id=request.source_image_id,
                part=part,
                created_at=now,
                **of_all,
            )
        )
        jobs[-1].number = first + part
    session.add_all(jobs)
    session.flush()
    for job in jobs:
        tell(session, job, "queued", now, {"attempt": 0})
    return jobs


def lease(session: Session, job: Job, worker: str, lease_s: float, now: float) -> Claimed:
    """Give a job to a worker, with a token that no other claim has."""
    token = secrets.token_hex(16)
    job.state, job.attempt, job.worker = "running", job.attempt + 1, worker
    job.lease_token, job.lease_until = token, now + lease_s
    job.started_at = job.started_at or now
    tell(session, job, "started", now, {"attempt": job.attempt})
    committed = session.scalars(select(Image.index).where(Image.job_id == job.id))
    return Claimed(job=job, token=token, lease_s=lease_s, committed=frozenset(committed))


def end(session: Session, job: Job, state: State, now: float) -> None:
    """To one of the states that no worker leaves."""
    job.state, job.lease_token, job.lease_until, job.finished_at = state, None, None, now
    _forget_progress(session, job)
    if state in ("failed", "dead"):
        tell(session, job, "error", now, {"state": state, "code": job.error_code, "message": job.error})
        return
    job.error_code = job.error = None  # of an attempt that another one made good
    tell(session, job, "cancelled" if state == "cancelled" else "done", now)


def requeue(session: Session, job: Job, now: float) -> None:
    """Back to its old place in the line."""
    job.state, job.lease_token, job.lease_until, job.finished_at = "queued", None, None, None
    _forget_progress(session, job)
    tell(session, job, "queued", now, {"attempt": job.attempt})


def put_back(session: Session, job: Job, now: float) -> None:
    """After an attempt that did not end the job: cancelled where that was asked, dead after too many."""
    if job.cancel_asked:
        end(session, job, "cancelled", now)
    elif job.attempt >= job.max_attempts:
        end(session, job, "dead", now)
    else:
        requeue(session, job, now)


def take_back(session: Session, which: ColumnElement[bool], now: float) -> int:
    """Put back the running jobs among `which`, and count them."""
    jobs = session.scalars(select(Job).where(Job.state == "running", which).order_by(Job.id)).all()
    for job in jobs:
        job.error_code, job.error = "worker_lost", "The worker that had this job stopped answering."
        put_back(session, job, now)
    return len(jobs)


def lease_is_over(now: float) -> ColumnElement[bool]:
    """Over, or longer than any lease can be: then the clock was set back."""
    return or_(Job.lease_until < now, Job.lease_until > now + LONGEST_LEASE_S)


def held(session: Session, claims: Iterable[Claimed]) -> dict[str, Job]:
    """The jobs that are still theirs who claimed them, by id."""
    tokens = {claim.job.id: claim.token for claim in claims}
    jobs = session.scalars(select(Job).where(Job.id.in_(tokens)))
    return {job.id: job for job in jobs if job.lease_token == tokens[job.id]}


def mine(session: Session, claim: Claimed) -> Job:
    """The claimed job, if it is still theirs who claimed it.

    Raises:
        LeaseLostError: it is not.
    """
    job = held(session, [claim]).get(claim.job.id)
    if job is None:
        raise LeaseLostError(
            f"Job {claim.job.id} is no longer this worker's: its lease was over, or it ended. "
            "Drop it; another worker does what is left."
        )
    return job


def _forget_progress(session: Session, job: Job) -> None:
    session.execute(delete(Event).where(Event.job_id == job.id, Event.kind.in_(("progress", "preview"))))
