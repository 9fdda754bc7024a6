"""Jobs that were just asked for: their progress, then their pictures."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from nicegui import background_tasks

from pictura.web.frame import parts
from pictura.web.frame.here import Here
from pictura.web.frame.parts import Tag
from pictura.web.told import Job


class Coming:
    """A list that grows by `add`; each job says how far it is, then shows what came of it."""

    def __init__(self, here: Here, on_done: Callable[[Job], Awaitable[None]]) -> None:
        """Make it, empty.

        Args:
            here: the page it stands on.
            on_done: called with a job that has pictures now.
        """
        self._here, self._on_done = here, on_done
        self._tasks = set[asyncio.Task[Any]]()
        self._list = Tag("ul", classes="coming", aria_label="Being painted", aria_live="polite")
        here.client.on_delete(self._close)

    def add(self, job: Job, title: str) -> None:
        """Follow a job; the newest stands first."""
        with self._list:
            row = _Row(self._here, job, title)
        row.element.move(target_index=0)
        task = background_tasks.create(self._follow(job.id, row))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, job_id: str, row: "_Row") -> None:
        with self._here.telling(row.trouble):
            async with aclosing(self._here.api.events(job_id)) as events:
                async for event in events:
                    if event.kind == "started":
                        row.tell("painting")
                    elif event.kind == "progress":
                        row.progress(event.data["done"] / max(1, event.data["total"]))
            ended = await self._here.api.job(job_id)
            row.end(ended)
            if ended.images:
                await self._on_done(ended)

    def _close(self) -> None:
        for task in self._tasks:
            task.cancel()


class _Row:
    """One job of the list."""

    def __init__(self, here: Here, job: Job, title: str) -> None:
        self._title = title
        self.element = Tag("li", classes="card coming-job", data_job=job.id)
        with self.element:
            with Tag("div", classes="row coming-head"):
                self._state = Tag("span", f"{title}: waiting")
                self._stop = parts.button("Cancel", self._cancel, icon="close", kind="quiet", hide_label=True)
            self._bar = Tag("progress", classes="bar", max=1, aria_label=f"{title}: progress")
            for warning in job.warnings:
                Tag("p", warning, "soft small")
            self.trouble = parts.Trouble()
        self._here, self._job_id = here, job.id

    def tell(self, text: str) -> None:
        """Say how it is."""
        self._state.text = f"{self._title}: {text}"

    def progress(self, share: float) -> None:
        """Show how much is painted, in [0, 1]."""
        self._bar.put(value=round(share, 3))

    def end(self, job: Job) -> None:
        """Show what came of it."""
        self._bar.delete()
        self._stop.delete()
        self.tell(job.status if job.status in ("done", "cancelled") else "failed")
        if job.images:
            with self.element, Tag("div", classes="coming-tiles"):
                for image in job.images:
                    parts.tile(image)
        if job.error and job.error.message:
            self.trouble.say(job.error.message)

    async def _cancel(self) -> None:
        with self._here.telling(self.trouble):
            await self._here.api.cancel(self._job_id)
