"""Requests that stay open until their pictures are there. Who hangs up takes the request back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

from fastapi import Request
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from pictura.api.access.accounts import Who
from pictura.api.studio import Studio
from pictura.core.errors import NoWorkerError, PicturaError, TooSlowError
from pictura.store.tables import PENDING, Event, Image, Job

log = logging.getLogger("pictura.api")
WORDS_S = 30.0
"""The longest wait for a job that answers with words."""
_CANCELLED = "The job was cancelled."


class JobEndedError(PicturaError):
    """A job that ended without its pictures, as the one who waits hears of it."""

    code = "job_failed"

    def __init__(self, code: str | None, sentence: str | None) -> None:
        super().__init__(sentence or "The job failed.")
        self.code = code or self.code
        kinds = {kind.code: kind.http_status for kind in PicturaError.__subclasses__()}
        self.http_status = kinds.get(self.code, 409 if code == "cancelled" else 500)


async def words(studio: Studio, request: Request, who: Who, job: Job) -> dict[str, Any]:
    """Wait for a job that answers with words; arguments and errors are those of `pictures`.

    Raises:
        NoWorkerError: no worker answered soon.
    """
    wait_s = min(WORDS_S, studio.config.wait_s)
    if not await _ended(studio, request, who, job, wait_s):
        raise NoWorkerError(
            f"No worker of the studio answered within {wait_s:g} s; all may be busy, or none runs. Try again."
        )
    return await run_in_threadpool(_said, studio, job.id)


async def pictures(studio: Studio, request: Request, who: Who, job: Job) -> list[Image]:
    """Wait for a job.

    Args:
        studio: whose job it is.
        request: that waits; if its client hangs up, the job is cancelled.
        who: asks.
        job: that was just submitted.

    Returns:
        Its pictures; fewer than asked for where it was interrupted.

    Raises:
        PicturaError: it failed, or took too long.
    """
    if not await _ended(studio, request, who, job, studio.config.wait_s):
        raise TooSlowError(f"No picture came within {studio.config.wait_s:g} s; the job was cancelled.")
    return await run_in_threadpool(result, studio, job.id)


async def _ended(studio: Studio, request: Request, who: Who, job: Job, wait_s: float) -> bool:
    """Wait for the end of a job, and whether it came in time; where it did not, the job is cancelled.

    Raises:
        JobEndedError: the client hung up.
    """
    with suppress(TimeoutError):
        async with cancelled_if_left(studio, who, [job]):
            waiting = asyncio.ensure_future(_end(studio, job))
            leaving = asyncio.ensure_future(_hang_up(request))
            try:
                done, _ = await asyncio.wait(
                    (waiting, leaving), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                waiting.cancel()
                leaving.cancel()
            if waiting in done:
                waiting.result()
                return True
            if leaving in done:
                raise JobEndedError("cancelled", "The client hung up.")
            raise TimeoutError
    return False


async def events(studio: Studio, who: Who, job: Job) -> AsyncIterator[Event]:
    """What happens to a job, for a stream; the job is cancelled if the stream is closed before its end."""
    async with (
        cancelled_if_left(studio, who, [job]),
        aclosing(studio.follower.follow([job.id])) as found,
        asyncio.timeout(studio.config.wait_s),
    ):
        async for event in found:
            yield event


def result(studio: Studio, job_id: str) -> list[Image]:
    """The pictures of a job that has ended.

    Raises:
        JobEndedError: it ended without any.
    """
    with studio.database.read() as session:
        job = session.get_one(Job, job_id)
    found = committed(studio, job_id)
    if job.state in ("failed", "dead"):
        raise JobEndedError(job.error_code, job.error)
    if not found:
        raise JobEndedError("cancelled", _CANCELLED)
    return found


def _said(studio: Studio, job_id: str) -> dict[str, Any]:
    with studio.database.read() as session:
        job = session.get_one(Job, job_id)
    if job.result is None:
        raise JobEndedError(job.error_code or "cancelled", job.error or _CANCELLED)
    return job.result


def committed(studio: Studio, job_id: str) -> list[Image]:
    """The pictures of a job that are there."""
    with studio.database.read() as session:
        return list(session.scalars(select(Image).where(Image.job_id == job_id).order_by(Image.index)))


@asynccontextmanager
async def cancelled_if_left(studio: Studio, who: Who, jobs: Sequence[Job]) -> AsyncIterator[None]:
    """Cancel jobs if the block is left before they ended, by whatever way."""
    left = True
    try:
        yield
        left = False
    finally:
        if left:
            # In a thread of its own: whoever is being cancelled cannot wait for anything any more.
            asyncio.get_running_loop().run_in_executor(None, _cancel, studio, who, [job.id for job in jobs])


def _cancel(studio: Studio, who: Who, job_ids: Sequence[str]) -> None:
    for job_id in job_ids:
        try:
            if studio.queue.get(job_id, None).state in PENDING:
                studio.queue.cancel(job_id, who.user_id)
        except PicturaError as error:
            log.error("job %s cannot be cancelled: %s", job_id, error)


async def _end(studio: Studio, job: Job) -> None:
    async with aclosing(studio.follower.follow([job.id])) as found:
        async for _ in found:
            pass


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
