"""Many processes on one queue, and kill -9 at any moment: nothing lost, nothing double, nothing half-written.

The short forms run always, the long ones by `make soak`; docs/reliability.md holds their last result.
"""

import hashlib
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from pictura.jobs.queue import Queue
from pictura.jobs.values import JobRequest
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.gallery import sweep
from pictura.store.tables import Event, Image, Job
from tests.jobs.programs import Programs, ask, hold, num_images, work
from tests.jobs.queue_kit import add_users, picture

SEED = 20261128
PATIENCE_S = 1800


def num_done(database: Database) -> int:
    with database.read() as session:
        return session.scalars(select(func.count(Job.id)).where(Job.state == "done")).one()


def test_two_processes_share_the_jobs_and_keep_the_order(database: Database, tmp_path: Path) -> None:
    queue = Queue(database, Files(tmp_path / "pictures"))
    ann, bob = add_users(database, "ann", "bob")
    requests = [JobRequest(num_images=1, request={"number": 3 * n}) for n in range(12)]
    expected = [[job.id for job in queue.submit_all(requests, user)] for user in (ann, bob)]
    programs = Programs(database, tmp_path)
    try:
        for name in ("one", "two"):
            programs.start(name, work, name, 30)
        programs.until(lambda: num_done(database) == 24)
    finally:
        programs.kill_all()
    with database.read() as session:
        started = session.scalars(
            select(Event.job_id).where(Event.kind == "started").order_by(Event.id)
        ).all()
    turns = [job_id for pair in zip(*expected, strict=True) for job_id in pair]
    assert started == turns  # each once, in turn, whoever took it


@pytest.mark.parametrize(
    ("num_jobs", "num_kills"), [(30, 3), pytest.param(2000, 300, marks=pytest.mark.slow)]
)
def test_killed_at_any_moment_nothing_is_lost_or_double(
    database: Database, tmp_path: Path, num_jobs: int, num_kills: int
) -> None:
    rng, [user] = np.random.default_rng(SEED), add_users(database, "ann")
    programs, kills = Programs(database, tmp_path), Counter[str]()

    def start(name: str) -> None:
        if name == "ask":
            accepted = programs.said("ask")
            first = int(accepted[-1].split()[0]) if accepted else 0  # once more, by the same key
            programs.start("ask", ask, user, first, num_jobs)
        else:
            programs.start(name, work, name, 0.5)

    def lines() -> int:
        """What was accepted and what was done, some of it twice."""
        return sum(len(programs.said(name)) for name in programs.running)

    names = ("ask", "one", "two")
    try:
        for name in names:
            start(name)
        for name in rng.permutation(names * (num_kills // 3)).tolist():
            wanted = lines() + int(rng.integers(1, 1 + 3 * num_jobs // (2 * num_kills)))
            programs.until(lambda: lines() >= wanted or num_done(database) == num_jobs, PATIENCE_S)  # noqa: B023
            time.sleep(rng.uniform(0, 0.02))
            kills[name] += programs.kill(name)
            start(name)
        programs.until(lambda: num_done(database) == num_jobs, PATIENCE_S)
        programs.until(lambda: programs.running["ask"].exitcode == 0)
    finally:
        programs.kill_all()
    print(f"{num_jobs} jobs, kills: {dict(kills)}, seed {SEED}")  # noqa: T201  (for docs/reliability.md)
    assert min(kills.values()) > 0  # each of them, at least once
    check(database, Files(tmp_path / "pictures"), dict(line.split() for line in programs.said("ask")))


def check(database: Database, files: Files, accepted: dict[str, str]) -> None:
    """Every job that was accepted is done once, every picture is there once, and nothing else is."""
    with database.read() as session:
        jobs = session.scalars(select(Job)).all()
        images = session.scalars(select(Image)).all()
        told = session.execute(
            select(Event.job_id, Event.kind, func.count()).group_by(Event.job_id, Event.kind)
        )
        events = {(job_id, kind): number for job_id, kind, number in told}
    assert {str(job.request["number"]): job.id for job in jobs} == accepted
    assert {(image.job_id, image.index) for image in images} == {
        (job.id, index) for job in jobs for index in range(num_images(job.request["number"]))
    }
    assert len(images) == sum(job.num_images for job in jobs)
    for job in jobs:
        assert (events[job.id, "done"], events[job.id, "image"]) == (1, job.num_images)
        assert events[job.id, "started"] == job.attempt == events[job.id, "queued"]
    for image in images:
        data = files.read(image.path)
        assert hashlib.sha256(data).hexdigest() == image.sha256
        assert data == picture(10 * image.details["number"] + image.details["index"])
        assert files.exists(image.thumb_path)
    sweep(database, files, grace_s=-1)
    assert len(list(files.paths())) == 2 * len(images)
    assert [path for path in Path(files.url).rglob(".*") if path.is_file()] == []


def test_a_killed_writer_keeps_nobody_waiting(database: Database, tmp_path: Path) -> None:
    """Killed in the midst of its transaction: the next one writes at once, and sees nothing of it."""
    programs = Programs(database, tmp_path)
    programs.start("bob", hold)
    try:
        programs.until(lambda: programs.said("bob") == ["in"])
    finally:
        programs.kill_all()
    start = time.monotonic()
    add_users(database, "bob")
    assert time.monotonic() - start < 5
