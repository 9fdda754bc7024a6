"""Jobs: ask for pictures, follow them, take a request back."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from pictura.api.access.accounts import Who
from pictura.api.asking.wishes import Wish, resolve
from pictura.api.deps import Painter, Reader, StudioDep
from pictura.api.routes.actions import shown
from pictura.api.schemas.native import MAX_PAGE, PAGE, JobPage, JobsAccepted, JobsAsked, JobTold
from pictura.api.studio import Studio
from pictura.api.telling import reading, sse
from pictura.store.tables import State

router = APIRouter(prefix="/jobs", tags=["jobs"])
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str | None, Query(max_length=64)]
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events."}
}
_MAX_EVENT = 2**63 - 1
_ASIDE = ("lane", "image_id", "image")
"""Of what is asked, what is no wish of how to paint."""


@router.post("", status_code=202)
def submit_jobs(
    body: JobsAsked,
    studio: StudioDep,
    who: Painter,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> JobsAccepted:
    """Accept one job, or one for each choice of the prompt's braces; they are on the disk when this answers.

    The same `Idempotency-Key` with the same body gives the same jobs again.
    """
    asked = body.model_dump()
    picture = shown(studio, who, body.image_id, body.image)
    wish = Wish(shown=picture, **{name: value for name, value in asked.items() if name not in _ASIDE})
    found = resolve(wish, who, studio.models, studio.policy.get())
    jobs = studio.submit(found.requests, who, body.lane, idempotency_key, fingerprint(asked))
    return JobsAccepted(jobs=reading.told(studio.database, jobs))


@router.get("")
def list_jobs(
    studio: StudioDep,
    who: Reader,
    limit: Limit = PAGE,
    cursor: Cursor = None,
    status: State | None = None,
    everybody: Annotated[bool, Query(description="Of administrators: all users' jobs.")] = False,
) -> JobPage:
    """Jobs, the newest first."""
    items, after = reading.jobs_page(
        studio.database, who, limit=limit, cursor=cursor, state=status, everybody=everybody
    )
    return JobPage(items=items, next_cursor=after)


@router.get("/{job_id}")
def get_job(job_id: str, studio: StudioDep, who: Reader) -> JobTold:
    """One job as it is now."""
    job = studio.queue.get(job_id, who.whose)
    (told,) = reading.told(studio.database, [job], who)
    if job.state == "queued":
        told.position = studio.queue.position(job.id)
    return told


@router.delete("/{job_id}", status_code=202)
def cancel_job(job_id: str, studio: StudioDep, who: Painter) -> JobTold:
    """Ask a job to stop: at once if it waits, within a step if it runs. One that ended stays as it is."""
    job = studio.queue.cancel(job_id, who.whose)
    return reading.told(studio.database, [job])[0]


@router.post("/{job_id}/retry", status_code=202)
def retry_job(job_id: str, studio: StudioDep, who: Painter) -> JobTold:
    """Put a failed job back into the line, at its old place, with all its attempts."""
    job = studio.queue.revive(job_id, who.whose)
    return reading.told(studio.database, [job])[0]


@router.get("/{job_id}/events", response_class=StreamingResponse, responses=_EVENTS)
async def follow_job(
    job_id: str,
    request: Request,
    studio: StudioDep,
    who: Reader,
    last_event_id: Annotated[int, Header(ge=0, le=_MAX_EVENT)] = 0,
) -> StreamingResponse:
    """What happens to a job, as server-sent events, until it ends.

    `queued`, `started`, `progress {done, total}`, `preview {jpeg: {index: base64}}`, `image {index,
    image_id}`, then one of `done`, `error {code, message}`, `cancelled`. With `Last-Event-ID` the stream goes
    on behind that event; a comment comes every 15 s.
    """
    await run_in_threadpool(studio.queue.get, job_id, who.whose)
    return sse.response(_events(studio, who, job_id, last_event_id), studio.config.ping_s)


async def _events(studio: Studio, who: Who, job_id: str, after: int) -> AsyncIterator[str]:
    with studio.stream(who):
        async with aclosing(studio.follower.follow([job_id], after)) as found:
            async for event in found:
                yield sse.message({**event.payload, "at": event.at}, event=event.kind, number=event.id)


def fingerprint(asked: object) -> str:
    """Of what a client sent: equal for equal requests."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
