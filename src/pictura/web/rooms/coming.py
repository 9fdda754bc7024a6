"""Jobs that were just asked for, with their progress, until their pictures are there."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from nicegui import background_tasks

from pictura.web.frame import parts
from pictura.web.frame.here import Here
from pictura.web.frame.parts import Tag
from pictura.web.told import Job
from pictura.web.wire import ApiError


class Coming:
    """A list that grows by `add`; each job says how far it is, then leaves when `on_done` has shown it."""

    def __init__(self, here: Here, on_done: Callable[[Job], Awaitable[None]]) -> None:
        """Make it, empty.

        Args:
            here: the page it stands on.
            on_done: called with a job whose pictures are there.
        """
        self._here, self._on_done = here, on_done
        self._tasks = set[asyncio.Task[Any]]()
        self._list = Tag("ul", classes="coming", aria_label="Being painted", aria_live="polite")
        here.client.on_delete(self._close)

    def add(self, job: Job, title: str) -> None:
        """Follow a job."""
        with self._list, Tag("li", classes="card coming-job", data_job=job.id) as row:
            with Tag("div", classes="row coming-head"):
                state = Tag("span", f"{title}: waiting")

                async def cancel() -> None:
                    with self._here.telling(trouble):
                        await self._here.api.cancel(job.id)

                parts.button("Cancel", cancel, icon="close", kind="quiet", hide_label=True)
            bar = Tag("progress", classes="bar", max=1, aria_label=f"{title}: progress")
            for warning in job.warnings:
                Tag("p", warning, "soft small")
            trouble = parts.Trouble()

        def tell(text: str) -> None:
            state.text = f"{title}: {text}"

        task = background_tasks.create(self._follow(job, row, bar, tell, trouble))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(
        self, job: Job, row: Tag, bar: Tag, tell: Callable[[str], None], trouble: parts.Trouble
    ) -> None:
        with self._here.telling(trouble):
            async with aclosing(self._here.api.events(job.id)) as events:
                async for event in events:
                    if event.kind == "started":
                        tell("painting")
                    elif event.kind == "progress":
                        bar.put(value=round(event.data["done"] / max(1, event.data["total"]), 3))
            ended = await self._here.api.job(job.id)
            if ended.status == "done":
                with self._list:
                    await self._on_done(ended)
                row.delete()
                return
            tell("cancelled" if ended.status == "cancelled" else "failed")
            bar.delete()
            if ended.error and ended.error.message:
                raise ApiError(ended.error.message, code=ended.error.code or "failed")

    def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
