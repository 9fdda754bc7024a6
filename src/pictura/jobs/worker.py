"""The process that holds models: claims jobs, paints them side by side, commits each picture once.

A job's `request` is what `engine.Request` takes: `prompt`, `model`, `choices` (with the seed), `strength`,
`num_previews`, `metadata` (false: the file shall not say how it was painted); and, where painting begins with
pictures, `pictures` (`jobs.sources`). `action` is what shall be done with these (`pictura.actions`), and
`painter` the model that does it, where it is not the picture's. Jobs of `jobs.talking` paint nothing.
Between any two steps the worker looks whether a job was cancelled or is no longer its own. Pictures are
committed as they come; a job that another worker began goes on where that one's pictures end.
"""

import base64
import io
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from PIL import Image
from sqlalchemy import select

from pictura.actions.enlarging import Enlarged
from pictura.actions.making import work
from pictura.core.errors import DatabaseError, LeaseLostError, PicturaError, StorageError
from pictura.engine.engine import Engine, Event, Request
from pictura.engine.models import WarmModels
from pictura.jobs import sources
from pictura.jobs.queue import Queue
from pictura.jobs.talking import TALKS, answer
from pictura.jobs.values import Claimed
from pictura.store import tables
from pictura.store.metadata import on_white
from pictura.store.pictures import Picture

log = logging.getLogger("pictura.worker")
LOOK_S = 0.1
"""Between looks at what others want of the jobs that run."""
TELL_S = 0.2
"""Between tellings of progress."""
IDLE_S = 0.05
"""Between looks for work."""
RECOVER_S = 5.0
"""Between claims that take back jobs of workers that are no more, where nothing else asks for one."""
REST_S = 2.0
"""After a disk or database that does not work."""
NUM_PREVIEWS = 2
SOURCES = ("image", "mask")
"""Pictures that painting takes as they are."""
_PREVIEW_QUALITY = 70


@dataclass(kw_only=True, slots=True)
class _Running:
    """A job that is being painted."""

    claim: Claimed
    notices: Sequence[str] = ()
    """What its user should know of the words."""
    progress: dict[str, Any] | None = None
    """Not told yet."""
    previews: dict[str, str] = field(default_factory=dict)
    """Index to a JPEG in base64."""
    has_new_previews: bool = False


class Worker:
    """Paints what the queue holds."""

    def __init__(
        self, queue: Queue, models: WarmModels, *, name: str | None = None, lease_s: float = 30.0
    ) -> None:
        """Begin without jobs.

        Args:
            queue: to claim from.
            models: to paint with.
            name: of the worker; host and process if None.
            lease_s: after which jobs of a lost worker go to another.
        """
        self.name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._queue, self._models, self._lease_s = queue, models, lease_s
        self._engine = Engine(models)
        self._running: dict[str, _Running] = {}
        self._looked = self._told = self._claimed = -float("inf")

    def run(self, until: Callable[[], bool]) -> None:
        """Work until told to stop; then give back what is not done."""
        while not until():
            try:
                if not self.turn():
                    time.sleep(IDLE_S)
            except (DatabaseError, StorageError) as error:
                log.error("%s Trying again in %g s.", error, REST_S)
                self._drop_all()
                time.sleep(REST_S)
        self._drop_all()

    def turn(self) -> bool:
        """Claim if there is room, look at what others want, and take every job a step further.

        Returns:
            Whether there was something to do.

        Raises:
            DatabaseError: the database does not work.
            StorageError: a picture cannot be stored.
        """
        now = time.monotonic()
        if self._running and now - self._looked >= LOOK_S:
            self._look()
            self._looked = now
        self._claim(now)
        for event in self._engine.round():
            self._handle(event)
        if now - self._told >= TELL_S:
            self._tell()
            self._told = now
        return bool(self._running)

    def _claim(self, now: float) -> None:
        """Take the next job where rows are free for it; others stay for other workers."""
        if self._engine.num_waiting or not (self._anything_waits() or now - self._claimed >= RECOVER_S):
            return
        self._claimed = now
        for claim in self._queue.claim(self.name, 1, self._lease_s):
            job = claim.job
            self._running[job.id] = _Running(claim=claim)
            log.info("job %s: begun, attempt %d", job.id, job.attempt)
            try:
                if job.kind in TALKS:
                    pictures = sources.opened(self._queue.files, job.request)
                    self._done(job.id, answer(self._queue.database, job, pictures))
                elif len(claim.committed) < job.num_images:
                    request = _request(claim, sources.opened(self._queue.files, job.request))
                    self._engine.add(request)
                    painter = self._models.painter(request.model, request.strength)
                    if not isinstance(request.work, Enlarged):
                        self._running[job.id].notices = painter.notices(request.prompt)
                else:
                    self._done(job.id)
            except StorageError:  # what the job begins with cannot be read now; `run` rests
                raise
            except PicturaError as error:
                self._failed(job.id, error)

    def _anything_waits(self) -> bool:
        with self._queue.database.read() as session:
            query = select(tables.Job.id).where(tables.Job.state == "queued").limit(1)
            return session.scalar(query) is not None

    def _look(self) -> None:
        claims = [running.claim for running in self._running.values()]
        for job_id, beat in self._queue.heartbeat(claims).items():
            if not beat.still_mine or beat.cancel_asked:
                self._drop(job_id)

    def _handle(self, event: Event) -> None:
        running = self._running.get(event.id)
        if running is None:
            return
        try:
            if event.kind == "progress":
                running.progress = {"done": event.done, "total": event.total}
            elif event.kind == "preview" and event.image:
                running.previews[str(event.index)] = _jpeg(event.image)
                running.has_new_previews = True
            elif event.kind == "picture" and event.picture:
                self._commit(running, event.index, event.picture)
            elif event.kind == "done":
                self._done(event.id)
            elif event.kind == "failed" and event.error:
                self._failed(event.id, event.error)
        except LeaseLostError:
            self._drop(event.id)

    def _commit(self, running: _Running, index: int, picture: Picture) -> None:
        job = running.claim.job
        details = {**picture.metadata(), "notices": [*running.notices, *picture.notices], **_origin(job)}
        data = picture.to_bytes(told=job.request.get("metadata", True))
        self._queue.commit_image(running.claim, index, data, details)
        running.previews.pop(str(index), None)

    def _done(self, job_id: str, result: Mapping[str, Any] | None = None) -> None:
        self._queue.finish(self._running.pop(job_id).claim, result)
        log.info("job %s: done", job_id)

    def _failed(self, job_id: str, error: Exception) -> None:
        claim = self._running.pop(job_id).claim
        if isinstance(error, PicturaError):
            log.info("job %s: %s", job_id, error.code)
            self._queue.fail(claim, error.code, str(error))
            return
        log.error("job %s: failed by a mistake of ours", job_id, exc_info=error)
        said = f"Painting failed by a mistake of Pictura's ({type(error).__name__}); the log has it."
        self._queue.fail(claim, "internal", said, retry=True)

    def _tell(self) -> None:
        running = list(self._running.values())
        if told := [(one.claim, one.progress) for one in running if one.progress]:
            self._queue.progress(told)
        if seen := [(one.claim, {"jpeg": dict(one.previews)}) for one in running if one.has_new_previews]:
            self._queue.progress(seen, kind="preview")
        for one in running:
            one.progress, one.has_new_previews = None, False

    def _drop(self, job_id: str) -> None:
        """Stop painting a job and give it back; it ends where that was asked."""
        self._engine.cancel(job_id)
        running = self._running.pop(job_id)
        try:
            self._queue.release(running.claim)
            log.info("job %s: given back", job_id)
        except LeaseLostError:
            log.info("job %s: taken by another", job_id)

    def _drop_all(self) -> None:
        for job_id in list(self._running):
            try:
                self._drop(job_id)
            except (DatabaseError, StorageError) as error:  # its lease runs out
                log.error("job %s: cannot be given back: %s", job_id, error)


def _request(claim: Claimed, pictures: Mapping[str, Image.Image]) -> Request:
    job, asked = claim.job, claim.job.request
    action: Mapping[str, Any] | None = asked.get("action")
    choices: Any = dict(asked["choices"])
    if action is None:
        choices |= {name: pictures[name] for name in SOURCES if name in pictures}
    return Request(
        id=job.id,
        prompt=asked["prompt"],
        model=asked.get("painter", asked["model"]),
        choices=choices,
        strength=asked.get("strength", 100.0),
        lane=job.lane,
        num_previews=asked.get("num_previews", NUM_PREVIEWS),
        have=claim.committed,
        work=None if action is None else work(action, pictures),
    )


def _origin(job: tables.Job) -> dict[str, Any]:
    """What the details of a picture say of the action, the job and the pictures that it goes on from."""
    action = job.request.get("action") or {}
    if job.parent_id is None and not action:
        return {}
    numbers = {name: value for name, value in action.items() if name not in ("said", "of", "parent_id")}
    told = {**numbers, "action": job.kind if job.kind != "imagine" else action["action"]}
    return {"origin": {**told, "parent_id": job.parent_id, "source_image_ids": action.get("of", [])}}


def _jpeg(image: Image.Image) -> str:
    file = io.BytesIO()
    on_white(image).save(file, "JPEG", quality=_PREVIEW_QUALITY)
    return base64.b64encode(file.getvalue()).decode("ascii")


class Stop:
    """True from the first SIGINT or SIGTERM on; use it as `until`."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._asked

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
