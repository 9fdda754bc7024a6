"""Jobs through HTTP while API and worker are killed at random: nothing is lost, nothing is done twice."""

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from sqlalchemy import func, select

from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.tables import Event, Image, Job
from tests.api.api_kit import make_home, start
from tests.jobs.queue_kit import opened

SEED = 5
PATIENCE_S = 1800.0
ANSWER_S = 300.0


class Restless:
    """A studio that is killed, whole or its worker alone, and started again."""

    def __init__(self, home: Path, environment: dict[str, str], seed: int) -> None:
        self.home, self.environment, self.dice = home, environment, random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.process = self._start()

    def kill(self) -> None:
        """SIGKILL to the API, with its worker left to find out, or to the worker."""
        if self.dice.random() < 0.5:
            self.kills["api"] += 1
            self.process.kill()
            self.process.wait()
            self.process = self._start()
        else:
            for pid in self._workers():
                self.kills["worker"] += 1
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def ask(self, method: str, path: str, **more: object) -> httpx.Response:
        """Ask until somebody answers."""
        until = time.monotonic() + ANSWER_S
        while True:
            try:
                url = json.loads((self.home / "studio.json").read_text())["url"]
                return httpx.request(method, url + path, timeout=20, **more)  # type: ignore[arg-type]
            except (OSError, ValueError, httpx.HTTPError):
                assert time.monotonic() < until, (self.home / "log").read_text()[-3000:]
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def _start(self) -> "subprocess.Popen[str]":
        (self.home / "studio.json").unlink(missing_ok=True)
        return start(self.home, "--model", "tiny", environment=self.environment)

    def _workers(self) -> Iterator[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        if children.exists():
            yield from map(int, children.read_text().split())


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    ("num_jobs", "num_kills"), [(100, 3), pytest.param(2000, 60, marks=pytest.mark.slow)]
)
def test_no_job_is_lost_or_done_twice(
    tmp_path: Path,
    tiny_home: Path,
    request: pytest.FixtureRequest,
    database: str,
    num_jobs: int,
    num_kills: int,
) -> None:
    url = f"sqlite:///{tmp_path}/studio.db"
    if database == "postgresql":
        url = request.getfixturevalue("postgres_url")
        with opened(url):
            pass  # empties it
    environment = {"PICTURA_DATABASE": url, "PICTURA_FILES": str(tmp_path / "pictures")}
    studio = Restless(make_home(tmp_path, tiny_home), environment, SEED)
    jobs: list[str] = []

    def submit() -> None:
        for i in range(num_jobs):
            body = {
                "prompt": f"a fish number {i} --seed {i}",
                "model": "tiny",
                "num_images": 1,
                "num_steps": 2,
            }
            headers = {"Idempotency-Key": f"job-{i}"}
            answer = studio.ask("POST", "/api/v1/jobs", json=body, headers=headers)
            while answer.status_code == 429:  # too many wait
                time.sleep(0.5)
                answer = studio.ask("POST", "/api/v1/jobs", json=body, headers=headers)
            assert answer.status_code == 202, answer.text
            jobs.append(answer.json()["jobs"][0]["id"])

    sender = threading.Thread(target=submit)
    store = None
    try:
        studio.ask("GET", "/readyz")
        sender.start()
        store = Database.open(url)
        for number in range(num_kills):
            if number % 4:  # now and then it is killed while it starts
                studio.ask("GET", "/readyz")
            time.sleep(studio.dice.uniform(1.0, 3.0))
            studio.kill()
        until = time.monotonic() + PATIENCE_S
        while sender.is_alive() or _num_done(store) < num_jobs:
            assert time.monotonic() < until
            time.sleep(0.1)
        sender.join()
        assert len(set(jobs)) == num_jobs
        with store.read() as session:
            states = Counter(session.scalars(select(Job.state)))
            images = session.scalars(select(Image)).all()
            done = session.scalar(select(func.count()).where(Event.kind == "done"))
        assert states == {"done": num_jobs}
        assert done == num_jobs
        assert sorted(image.job_id for image in images) == sorted(jobs)
        files = Files(tmp_path / "pictures")
        assert all(files.exists(image.path) and files.exists(image.thumb_path) for image in images)
        assert sum(studio.kills.values()) >= num_kills // 2
    finally:
        studio.stop()
        if store:
            store.close()


def _num_done(store: Database) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).where(Job.state == "done")) or 0
