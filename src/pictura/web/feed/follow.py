"""Following jobs that have not ended: a few by their events, the others wait until one of those has ended."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from pictura.web.client import Api
from pictura.web.told import Event, Job
from pictura.web.wire import ApiError

log = logging.getLogger("pictura.web")
AT_ONCE = 4
"""Streams of one page; the API lets a user have 20."""
_REST_S = 2.0
_NEWER = frozenset(("queued", "started", "image"))
"""Events after which a job is another than before; behind those that end it, it is asked for in any case."""


class Follower:
    """Tells of events and of newer states of jobs, the oldest first."""

    def __init__(
        self, api: Api, on_event: Callable[[str, Event], None], on_job: Callable[[Job], None]
    ) -> None:
        """Follow nothing yet.

        Args:
            api: in the name of the visitor.
            on_event: called with a job's id and what happened to it.
            on_job: called with a newer state.
        """
        self._api, self._on_event, self._on_job = api, on_event, on_job
        self._waiting: set[str] = set()
        self._running: dict[str, asyncio.Task[None]] = {}

    def watch(self, job_id: str) -> None:
        """Follow a job, now or when its turn comes."""
        if job_id not in self._running:
            self._waiting.add(job_id)
            self._begin()

    def close(self) -> None:
        """Follow nothing, until there is something to watch again."""
        self._waiting.clear()
        for task in self._running.values():
            task.cancel()
        self._running.clear()

    def _begin(self) -> None:
        while self._waiting and len(self._running) < AT_ONCE:
            job_id = min(self._waiting)  # ids sort by the time of asking
            self._waiting.discard(job_id)
            task = asyncio.create_task(self._follow(job_id), name=f"follow {job_id}")
            self._running[job_id] = task
            task.add_done_callback(partial(self._end, job_id))

    def _end(self, job_id: str, task: "asyncio.Task[None]") -> None:
        if self._running.get(job_id) is task:
            del self._running[job_id]
        if not task.cancelled():
            if error := task.exception():
                log.error("following job %s broke off", job_id, exc_info=error)
            self._begin()

    async def _follow(self, job_id: str) -> None:
        after = 0
        while True:
            try:
                async for event in self._api.events(job_id, after):
                    after = event.number
                    self._on_event(job_id, event)
                    if event.kind in _NEWER:
                        await self._refresh(job_id)
                if not await self._refresh(job_id):
                    return
            except ApiError as error:
                if error.http_status in (401, 404):
                    return
                await asyncio.sleep(_REST_S)

    async def _refresh(self, job_id: str) -> bool:
        """Tell of the newer state; whether it is still to be followed."""
        job = await self._api.job(job_id)
        self._on_job(job)
        return job.is_pending
