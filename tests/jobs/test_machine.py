"""The queue against a model of it: random walks of users, workers, clocks and lost leases.

The model is plain lists and the rules in words; the queue must agree after every step, on both databases.
"""

from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from pictura.core.errors import LeaseLostError, QueueFullError
from pictura.jobs.queue import Queue
from pictura.jobs.states import LONGEST_LEASE_S
from pictura.jobs.values import Claimed, JobRequest, QueueConfig
from pictura.store.database import Database
from pictura.store.tables import LANES, PENDING, Event, Image, Job, Lane, User
from tests.jobs.queue_kit import Clock, add_users, empty, memory_files, picture

LEASE_S = 30.0
CONFIG = QueueConfig(max_pending_per_user=4, max_pending=8, max_attempts=2, ageing_s=60, patience_s=45)
USERS = ("ann", "bob", "cid")


@dataclass(eq=False)
class Modelled:
    """A job as it should be."""

    id: str
    user: str
    lane: Lane
    num_images: int
    created: float
    state: str = "queued"
    attempt: int = 0
    lease_until: float = 0.0
    claim: Claimed | None = None
    cancel_asked: bool = False
    images: set[int] = field(default_factory=set)


class QueueMachine(RuleBasedStateMachine):
    """One walk on an emptied database."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        empty(database)
        self.clock = Clock()
        self.queue = Queue(database, memory_files(), CONFIG, self.clock)
        self.users = dict(zip(USERS, add_users(database, *USERS), strict=True))
        self.jobs: list[Modelled] = []
        self.served = dict.fromkeys(USERS, 0)
        self.keys: dict[tuple[str, str], Modelled] = {}
        self.claims: list[tuple[Modelled, Claimed]] = []
        """All that were ever made; the older ones of a job are stale."""

    # Users

    @rule(
        user=st.sampled_from(USERS),
        lane=st.sampled_from(LANES),
        num=st.integers(0, 2),
        key=st.sampled_from([None, None, "k1", "k2"]),
    )
    def submit(self, user: str, lane: Lane, num: int, key: str | None) -> None:
        pending = [job for job in self.jobs if job.state in PENDING]
        full = len(pending) >= 8 or sum(job.user == user for job in pending) >= 4
        known = self.keys.get((user, key or ""))
        try:
            made = self.queue.submit(JobRequest(num_images=num), self.users[user], lane, key)
        except QueueFullError:
            assert full
            assert known is None
            return
        if known is not None:
            assert made.id == known.id
            return
        assert not full
        assert all(job.id < made.id for job in self.jobs)
        job = Modelled(id=made.id, user=user, lane=lane, num_images=num, created=self.clock.now)
        self.jobs.append(job)
        if key:
            self.keys[user, key] = job

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        self.queue.cancel(job.id, self.users[job.user])
        if job.state == "queued":
            job.state = "cancelled"
        elif job.state == "running":
            job.cancel_asked = True

    @precondition(lambda self: any(job.state in ("dead", "failed") for job in self.jobs))
    @rule(data=st.data())
    def revive(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from([job for job in self.jobs if job.state in ("dead", "failed")]))
        self.queue.revive(job.id, None)
        job.state, job.attempt, job.cancel_asked = "queued", 0, False

    # Time

    @rule(seconds=st.sampled_from([1.0, 20.0, 31.0, 70.0, -5.0, -2 * LONGEST_LEASE_S]))
    def time_goes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def recover(self) -> None:
        assert self.queue.recover() == self._take_back()

    # Workers

    @rule(num=st.integers(0, 3), largest=st.sampled_from([None, None, 0, 1]))
    def claim(self, num: int, largest: int | None) -> None:
        self._take_back()
        expected = self._expected(num, largest)
        fits = None if largest is None else lambda job: job.num_images <= largest
        claimed = self.queue.claim("worker", num, LEASE_S, fits)
        assert [claim.job.id for claim in claimed] == [job.id for job in expected]
        for job, claim in zip(expected, claimed, strict=True):
            job.state, job.attempt, job.claim = "running", job.attempt + 1, claim
            job.lease_until = self.clock.now + LEASE_S
            self.claims.append((job, claim))
            assert claim.committed == job.images
            assert claim.job.attempt == job.attempt

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.sampled_from(self.claims), max_size=3, unique_by=lambda it: it[0].id))
        beats = self.queue.heartbeat([claim for _, claim in some])
        for job, claim in some:
            mine = job.claim is claim
            assert beats[job.id].still_mine == mine
            assert beats[job.id].cancel_asked == (mine and job.cancel_asked)
        late = [job for job, claim in some if job.claim is claim]
        if any(job.lease_until - self.clock.now < LEASE_S / 2 for job in late):
            for job in late:
                job.lease_until = self.clock.now + LEASE_S

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), number=st.integers(0, 3), tell=st.booleans())
    def commit_image(self, data: st.DataObject, number: int, tell: bool) -> None:
        job, claim = data.draw(st.sampled_from(self.claims))
        if tell:
            self.queue.progress([(claim, {"step": number})])
        if job.num_images == 0:
            return
        index = data.draw(st.integers(0, job.num_images - 1))
        if self._acts(job, claim, lambda: self.queue.commit_image(claim, index, picture(number), {})):
            job.images.add(index)

    @precondition(lambda self: any(job.claim and len(job.images) == job.num_images for job in self.jobs))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        complete = [(job, claim) for job, claim in self.claims if len(job.images) == job.num_images]
        job, claim = data.draw(st.sampled_from(complete))
        if self._acts(job, claim, lambda: self.queue.finish(claim)):
            job.state, job.claim = "done", None

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), retry=st.booleans())
    def fail(self, data: st.DataObject, retry: bool) -> None:
        job, claim = data.draw(st.sampled_from(self.claims))
        if self._acts(job, claim, lambda: self.queue.fail(claim, "code", "Sentence.", retry=retry)):
            job.claim = None
            if retry:
                self._put_back(job)
            else:
                job.state = "failed"

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        job, claim = data.draw(st.sampled_from(self.claims))
        if self._acts(job, claim, lambda: self.queue.release(claim)):
            job.attempt -= 1
            self._put_back(job)

    # What must always be so

    @invariant()
    def every_job_is_as_modelled(self) -> None:
        with self.queue.database.read() as session:
            rows = session.scalars(select(Job).order_by(Job.id)).all()
            images = session.execute(select(Image.job_id, Image.index)).all()
            turns = dict(session.execute(select(User.name, User.served)).all())
        assert [(row.id, row.state, row.attempt) for row in rows] == [
            (job.id, job.state, job.attempt) for job in self.jobs
        ]
        for row, job in zip(rows, self.jobs, strict=True):
            assert row.lease_token == (job.claim.token if job.claim else None)
            assert row.lease_until == (job.lease_until if job.claim else None)
            assert (row.finished_at is None) == (row.state in PENDING)
        assert sorted(map(tuple, images)) == sorted((job.id, i) for job in self.jobs for i in job.images)
        assert turns == self.served

    @invariant()
    def events_tell_the_same_story(self) -> None:
        with self.queue.database.read() as session:
            events = session.scalars(select(Event).order_by(Event.id)).all()
        for job in self.jobs:
            told = [event for event in events if event.job_id == job.id]
            state, images = "", []
            for event in told:
                match event.kind:
                    case "image":
                        images.append(event.payload["index"])
                    case "error":
                        state = event.payload["state"]
                    case "started":
                        state = "running"
                    case "progress":
                        assert state == "running"
                    case _:
                        state = event.kind
            assert state == job.state
            assert len(images) == len(set(images))
            assert set(images) == job.images

    # The rules in words

    def _acts(self, job: Modelled, claim: Claimed, act: object) -> bool:
        """Whether the claim still holds; then, and only then, it may act."""
        assert callable(act)
        if job.claim is claim:
            act()
            return True
        with pytest.raises(LeaseLostError):
            act()
        return False

    def _take_back(self) -> int:
        now, number = self.clock.now, 0
        for job in self.jobs:
            if job.state == "running" and not now <= job.lease_until <= now + LONGEST_LEASE_S:
                self._put_back(job)
                number += 1
        return number

    def _put_back(self, job: Modelled) -> None:
        job.claim = None
        if job.cancel_asked:
            job.state = "cancelled"
        else:
            job.state = "queued" if job.attempt < CONFIG.max_attempts else "dead"

    def _expected(self, num: int, largest: int | None) -> list[Modelled]:
        waiting = [job for job in self.jobs if job.state == "queued"]
        taken: list[Modelled] = []
        while waiting and len(taken) < num:
            heads = {(job.user, job.lane): job for job in reversed(waiting)}  # the first of each line
            job = min(heads.values(), key=self._turn)
            waiting.remove(job)
            if largest is not None and job.num_images > largest:
                if self.clock.now - job.created >= CONFIG.patience_s:
                    break
                continue
            taken.append(job)
            self.served[job.user] = max(self.served.values()) + 1
        return taken

    def _turn(self, job: Modelled) -> tuple[int, int, str]:
        raised = max(0, int((self.clock.now - job.created) // CONFIG.ageing_s))
        return max(0, LANES.index(job.lane) - raised), self.served[job.user], job.id


@pytest.mark.parametrize(
    ("num_walks", "num_steps"), [(12, 25), pytest.param(200, 50, marks=pytest.mark.slow)]
)
def test_the_queue_is_as_its_model(database: Database, num_walks: int, num_steps: int) -> None:
    class Machine(QueueMachine):
        def __init__(self) -> None:
            super().__init__(database)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=num_walks,
            stateful_step_count=num_steps,
            deadline=None,
            phases=[phase for phase in Phase if phase is not Phase.explain],
            suppress_health_check=list(HealthCheck),
            derandomize=num_walks < 100,
        ),
    )
