"""The queue: what waits, what is being painted and how far, what ended and how; cancel and retry."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from nicegui import background_tasks, ui

from pictura.web.frame import parts
from pictura.web.frame.here import Here
from pictura.web.frame.parts import Tag
from pictura.web.told import Job
from pictura.web.wire import ApiError

LOOK_S = 2.0
_NUM_SHOWN = 40
_MOST_PLACES = 8
"""Waiting jobs whose place in the line is asked for at each look."""
LANES: Mapping[str, str] = {
    "draft": "Draft lane: before all others",
    "fast": "Fast lane",
    "relax": "Relax lane: when nobody else waits",
}
STATES: Mapping[str, str] = {
    "queued": "Waiting",
    "running": "Painting",
    "done": "Done",
    "failed": "Failed",
    "dead": "Failed for good",
    "cancelled": "Cancelled",
}
_FAILED = ("failed", "dead")


async def show(here: Here) -> None:
    """Build the page."""
    parts.heading("Queue", "Everybody's turn comes: who was served longest ago is next.")
    queue = _Queue(here)
    await queue.look()
    ui.timer(LOOK_S, queue.look)
    here.client.on_delete(queue.close)


class _Row:
    """One job in the list."""

    def __init__(self, job: Job, cancel: Callable[[], Any], retry: Callable[[], Any]) -> None:
        self.job = job
        self._cancel, self._retry = cancel, retry
        self.element = Tag("li", classes="job card")
        self.bar: Tag | None = None
        self.share = 0.0
        self.draw(job)

    def draw(self, job: Job) -> None:
        self.job = job
        self.element.clear()
        self.element.put(data_job=job.id, data_state=job.status)
        with self.element:
            self._pictures(job)
            with Tag("div", classes="job-text"):
                Tag("p", job.prompt or job.resolved, "job-prompt")
                self._told(job)
                if job.error and job.error.message:
                    Tag("p", job.error.message, "job-error")
                for warning in job.warnings:
                    Tag("p", warning, "soft small")
            self.trouble = parts.Trouble()
            with Tag("div", classes="job-acts"):
                self._acts(job)

    def progress(self, share: float) -> None:
        """Show how much of it is painted, in [0, 1]."""
        self.share = share
        if self.bar is not None:
            self.bar.put(value=round(share, 3), aria_valuetext=f"{100 * share:.0f} %")

    def _pictures(self, job: Job) -> None:
        with Tag("div", classes="job-grid"):
            for image in job.images[:4]:
                parts.tile(image)
            if not job.images:
                parts.icon("queue" if job.is_pending else "image")

    def _told(self, job: Job) -> None:
        with Tag("p", classes="job-facts soft small"):
            Tag("span", self._state(job), f"state {job.status}")
            Tag("span", LANES.get(job.lane, job.lane).partition(":")[0], title=LANES.get(job.lane))
            if job.kind not in ("imagine", "paint"):
                Tag("span", job.kind.capitalize())
            Tag("span", job.model)
            Tag("span", f"{job.num_images} pictures" if job.num_images != 1 else "1 picture")
            Tag("span", ago(job.finished_at or job.created_at))
        self.bar = None
        if job.status == "running":
            self.bar = Tag("progress", classes="bar", max=1, aria_label="How much is painted")
            self.progress(self.share)

    def _state(self, job: Job) -> str:
        if job.cancel_asked and job.is_pending:
            return "Stopping"
        if job.status == "queued" and job.position is not None:
            return "Next" if job.position == 0 else f"{job.position} before it"
        return STATES.get(job.status, job.status)

    def _acts(self, job: Job) -> None:
        if job.is_pending:
            cancel = parts.button("Cancel", self._cancel, icon="close", kind="quiet")
            cancel.put(disabled=True if job.cancel_asked else None)
        elif job.status in _FAILED:
            parts.button("Try again", self._retry, icon="again", kind="quiet")
        elif job.images:
            parts.link("Open", f"/picture/{job.images[0].id}", kind="quiet")


class _Queue:
    """The list, and what keeps it true."""

    def __init__(self, here: Here) -> None:
        self._here = here
        self._rows: dict[str, _Row] = {}
        self._followed: dict[str, asyncio.Task[Any]] = {}
        self._trouble = parts.Trouble()
        self._summary = Tag("p", "", "soft queue-summary", role="status")
        self._list = Tag("ul", classes="jobs", aria_label="Jobs, the newest first")
        self._empty = Tag("div")
        self._looking = False

    async def look(self) -> None:
        """Ask how all jobs are, and show what changed."""
        if self._looking:
            return
        self._looking = True
        try:
            with self._here.telling(self._trouble):
                page = await self._here.api.jobs(limit=_NUM_SHOWN)
                await self._show(
                    [await self._placed(job, i) for i, job in enumerate(self._painting(page.items))]
                )
        finally:
            self._looking = False

    def close(self) -> None:
        """Follow nothing any more."""
        for task in self._followed.values():
            task.cancel()

    def _painting(self, jobs: Sequence[Job]) -> list[Job]:
        """Jobs that paint: what runs, what waits, the oldest first, then what ended, the newest first.

        Those that describe or shorten are over in a moment and are not shown.
        """
        shown = [job for job in jobs if job.num_images]
        pending = sorted(
            (job for job in shown if job.is_pending), key=lambda job: (job.status != "running", job.id)
        )
        return pending + [job for job in shown if not job.is_pending]

    async def _placed(self, job: Job, index: int) -> Job:
        """A job with its place in the line, where it waits."""
        if job.status != "queued" or index >= _MOST_PLACES:
            return job
        return await self._here.api.job(job.id)

    async def _show(self, jobs: list[Job]) -> None:
        for old in [one for one in self._rows if one not in {job.id for job in jobs}]:
            self._rows.pop(old).element.delete()
        for job in jobs:
            row = self._rows.get(job.id)
            if row is None:
                with self._list:
                    self._rows[job.id] = _Row(job, self._canceller(job.id), self._retrier(job.id))
            elif _changed(row.job, job):
                row.draw(job)
            if job.status == "running" and job.id not in self._followed:
                self._followed[job.id] = background_tasks.create(self._follow(job.id))
        for index, job in enumerate(jobs):
            self._rows[job.id].element.move(target_index=index)
        self._sum_up(jobs)

    def _sum_up(self, jobs: list[Job]) -> None:
        running = sum(job.status == "running" for job in jobs)
        waiting = sum(job.status == "queued" for job in jobs)
        text = f"{running} being painted, {waiting} waiting." if running or waiting else "Nothing waits."
        if self._summary.text != text:
            self._summary.text = text
        self._empty.clear()
        if not jobs:
            with self._empty:
                parts.empty("No jobs yet", "What you ask for is listed here, with its place in the line.")
                with Tag("p", classes="center"):
                    parts.link("Create pictures", "/", icon="spark", kind="main")

    async def _follow(self, job_id: str) -> None:
        """Show how far a job is, until it ends."""
        try:
            async with aclosing(self._here.api.events(job_id)) as events:
                async for event in events:
                    row = self._rows.get(job_id)
                    if row is not None and event.kind == "progress":
                        row.progress(event.data["done"] / max(1, event.data["total"]))
        except ApiError:
            pass  # the next look tells how it is
        finally:
            self._followed.pop(job_id, None)
        await self.look()

    def _canceller(self, job_id: str) -> Callable[[], Any]:
        async def cancel() -> None:
            with self._here.telling(self._rows[job_id].trouble):
                self._rows[job_id].draw(await self._here.api.cancel(job_id))

        return cancel

    def _retrier(self, job_id: str) -> Callable[[], Any]:
        async def retry() -> None:
            with self._here.telling(self._rows[job_id].trouble):
                self._rows[job_id].draw(await self._here.api.retry(job_id))

        return retry


def _changed(old: Job, new: Job) -> bool:
    """Whether a row looks another way now."""
    return (old.status, old.position, old.cancel_asked, len(old.images)) != (
        new.status,
        new.position,
        new.cancel_asked,
        len(new.images),
    )


def ago(at: float) -> str:
    """How long ago something was."""
    passed = max(0.0, time.time() - at)
    for seconds, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if passed >= seconds:
            number = int(passed // seconds)
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "just now"
