"""What happens to jobs, as it happens: one look into the database for all who wait.

Events have rising numbers and are written one transaction at a time, so whoever has seen number n has seen
all before it. Of progress and previews only the newest of each job is kept, here as in the database.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable

from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool

from pictura.core.errors import DatabaseError
from pictura.store.database import Database
from pictura.store.tables import PENDING, Event, Job

LOOK_S = 0.1
"""Between looks for what is new, where somebody waits."""
REST_S = 1.0
"""After a database that did not answer."""
ENDS = frozenset(("done", "error", "cancelled"))
_PASSING = frozenset(("progress", "preview"))


class _Waiter:
    """One who waits, and what came meanwhile."""

    def __init__(self) -> None:
        self.events: dict[int, Event] = {}
        self.woken = asyncio.Event()

    def add(self, event: Event) -> None:
        if event.kind in _PASSING:
            old = [n for n, e in self.events.items() if (e.job_id, e.kind) == (event.job_id, event.kind)]
            for number in old:
                del self.events[number]
        self.events[event.id] = event
        self.woken.set()


class Follower:
    """Tells many of the events of many jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiters: dict[str, set[_Waiter]] = {}
        self._task: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._closing = False

    async def close(self) -> None:
        """End all streams."""
        self._closing = True
        for waiter in {one for many in self._waiters.values() for one in many}:
            waiter.woken.set()
        if self._task:
            await self._task  # not cancelled: a thread may be reading, on a connection of its own

    async def follow(self, job_ids: Iterable[str], after: int = 0) -> AsyncGenerator[Event]:
        """The events of some jobs with numbers above `after`, in order, until each of the jobs has ended.

        Ends early where the studio shuts down.
        """
        ids = set(job_ids)
        ended, waiter = set[str](), _Waiter()
        for job_id in ids:
            self._waiters.setdefault(job_id, set()).add(waiter)
        try:
            await self._start()  # from now on nothing new is missed; what was before is read next
            over, events = await run_in_threadpool(self._before, ids, after)
            ended |= over
            for event in events:
                waiter.add(event)
            while ended != ids and not self._closing:
                await waiter.woken.wait()
                waiter.woken.clear()
                came, waiter.events = waiter.events, {}
                for number in sorted(came):
                    if number > after:
                        after = number
                        yield came[number]
                        if came[number].kind in ENDS:
                            ended.add(came[number].job_id)
                        elif came[number].kind == "queued":
                            ended.discard(came[number].job_id)  # revived
        finally:
            for job_id in ids:
                self._waiters[job_id].discard(waiter)
                if not self._waiters[job_id]:
                    del self._waiters[job_id]

    async def _start(self) -> None:
        async with self._starting:
            if self._task is None or self._task.done():
                last = await run_in_threadpool(self._newest)
                self._task = asyncio.create_task(self._look(last))

    async def _look(self, last: int) -> None:
        """Read what is new for as long as somebody waits."""
        while self._waiters and not self._closing:
            try:
                events = await run_in_threadpool(self._after, last)
            except DatabaseError:
                await asyncio.sleep(REST_S)
                continue
            for event in events:
                last = event.id
                for waiter in self._waiters.get(event.job_id, ()):
                    waiter.add(event)
            await asyncio.sleep(LOOK_S)

    def _newest(self) -> int:
        with self._database.read() as session:
            return session.scalar(select(func.max(Event.id))) or 0

    def _after(self, last: int) -> list[Event]:
        with self._database.read() as session:
            return list(session.scalars(select(Event).where(Event.id > last).order_by(Event.id)))

    def _before(self, ids: set[str], after: int) -> tuple[set[str], list[Event]]:
        """Jobs that ended before `after`, and the events behind it."""
        with self._database.read() as session:
            over = set(session.scalars(select(Job.id).where(Job.id.in_(ids), Job.state.not_in(PENDING))))
            query = select(Event).where(Event.job_id.in_(ids), Event.id > after).order_by(Event.id)
            events = list(session.scalars(query))
        return over - {event.job_id for event in events}, events
