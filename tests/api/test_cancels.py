"""Cancelled jobs leave nothing behind: no memory in the API or the worker, no rows in the engine.

The short form runs always, the long one by `make soak`; docs/reliability.md holds its last result.
"""

import gc
import random
import time
from collections import Counter
from pathlib import Path

import httpx2 as httpx
import pytest

from pictura.engine import engine
from pictura.engine.models import WarmModels
from pictura.jobs.queue import Queue
from pictura.jobs.values import JobRequest
from pictura.jobs.worker import Worker
from pictura.store.database import Database
from pictura.store.files import Files
from tests.api.api_kit import Served, finished
from tests.jobs.queue_kit import add_users

SEED = 20261128
MOST_MB = 12.0
"""That a process may have grown by; models and pools are warm before it is looked at."""
LONG = {"prompt": "a fish", "model": "tiny", "num_steps": 1000, "size": [64, 64]}


def megabytes(pid: int) -> float:
    """Memory that a process has for itself."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("RssAnon:"))
    return int(line.split()[1]) / 1024


def cancel_some(client: httpx.Client, dice: random.Random, num: int) -> Counter[str]:
    """Ask for jobs and take them back: at once, while they run, and while somebody follows them."""
    seen = Counter[str]()
    for _ in range(num):
        asked = {**LONG, "num_images": dice.randint(1, 4), "lane": dice.choice(["draft", "fast", "relax"])}
        job_id = client.post("/api/v1/jobs", json=asked).json()["jobs"][0]["id"]
        way = dice.choice(["at once", "running", "followed"])
        if way == "running":
            time.sleep(dice.uniform(0.0, 0.2))
        elif way == "followed":
            with client.stream("GET", f"/api/v1/jobs/{job_id}/events") as stream:
                next(line for line in stream.iter_lines() if line == "event: started")
        client.delete(f"/api/v1/jobs/{job_id}")
        job = finished(client, job_id)
        assert job["status"] == "cancelled"
        seen["begun" if job["started_at"] else "waiting"] += 1
    return seen


@pytest.mark.parametrize("num", [12, pytest.param(1000, marks=pytest.mark.slow)])
def test_memory_returns_to_where_it_was(studio: Served, num: int) -> None:
    dice = random.Random(SEED)
    with studio.client() as client:
        (worker,) = workers(studio.process.pid)
        cancel_some(client, dice, min(100, num // 2))
        before = megabytes(studio.process.pid), megabytes(worker)
        seen = cancel_some(client, dice, num)
        after = megabytes(studio.process.pid), megabytes(worker)
        grown = [round(new - old, 1) for old, new in zip(before, after, strict=True)]
        told = f"API {before[0]:.0f} {grown[0]:+} MB, worker {before[1]:.0f} {grown[1]:+} MB"
        print(f"{num} cancels {dict(seen)}, seed {SEED}: {told}")  # noqa: T201  (for docs/reliability.md)
        assert min(seen.values()) > 0
        assert max(grown) < MOST_MB
        start = time.monotonic()
        last = client.post("/api/v1/jobs", json={**LONG, "num_steps": 2, "num_images": 1}).json()["jobs"][0]
        assert finished(client, last["id"])["status"] == "done"
        assert time.monotonic() - start < 10  # rows are free


def workers(pid: int) -> list[int]:
    """The processes that paint."""
    children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [child for child in children if b"pictura.jobs" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.parametrize("num", [16, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_row_of_the_engine_stays_taken(
    tmp_path: Path, tiny_home: Path, monkeypatch: pytest.MonkeyPatch, num: int
) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))
    database = Database.open(f"sqlite:///{tmp_path / 'studio.db'}")
    [ann] = add_users(database, "ann")
    dice, queue = random.Random(SEED), Queue(database, Files(tmp_path / "pictures"))
    worker = Worker(queue, WarmModels(num_cores=1, num_calls=4), name="one")
    choices = {"seed": 3, "num_steps": 1000, "num_images": 3, "size": [64, 64]}
    request = JobRequest(num_images=3, request={"prompt": "a fish", "model": "tiny", "choices": choices})
    monkeypatch.setattr("pictura.jobs.worker.LOOK_S", 0.0)
    for _ in range(num // 4):
        jobs = queue.submit_all([request] * 4, ann)
        for _ in range(dice.randint(0, 6)):
            worker.turn()
        for job in dice.sample(jobs, 4):
            queue.cancel(job.id, ann)
            worker.turn()
        assert not all(worker.turn() for _ in range(100))
        assert {queue.get(job.id, ann).state for job in jobs} == {"cancelled"}
        assert worker._engine.idle
        assert (worker._engine.num_waiting, worker._engine._on, worker._running) == (0, [], {})
    database.close()
    gc.collect()
    assert not any(type(thing) is engine._Unit for thing in gc.get_objects())
