"""The worker paints what the queue holds, each picture once, whatever happens to it meanwhile."""

import base64
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

import pictura
from pictura.core.errors import NotFoundError, StorageError
from pictura.engine.models import WarmModels
from pictura.jobs.queue import Queue
from pictura.jobs.values import Claimed, JobRequest
from pictura.jobs.worker import Worker
from pictura.store import tables
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.tables import Job, User


@pytest.fixture(autouse=True)
def _home(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    database = Database.open(f"sqlite:///{tmp_path / 'studio.db'}")
    with database.write() as session:
        session.add_all([User(id="ann", name="Ann"), User(id="bob", name="Bob")])
    yield Queue(database, Files(tmp_path / "pictures"))
    database.close()


@pytest.fixture(scope="module")
def models() -> WarmModels:
    return WarmModels(num_cores=2, num_calls=2)


@pytest.fixture
def worker(queue: Queue, models: WarmModels) -> Worker:
    return Worker(queue, models, name="one")


def ask(prompt: str = "a fish", *, num_images: int = 2, model: str = "tiny", **choices: Any) -> JobRequest:
    chosen = {"seed": 3, "num_steps": 3, "num_images": num_images, **choices}
    request = {"prompt": prompt, "model": model, "choices": chosen}
    return JobRequest(num_images=num_images, request=request)


def work(worker: Worker, until: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "the worker did not get there in time"
        worker.turn()


def as_png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def in_base64(image: Image.Image) -> str:
    return base64.b64encode(as_png(image)).decode()


def state(queue: Queue, job: Job) -> str:
    return queue.get(job.id, None).state


def files(queue: Queue, job: Job) -> list[bytes]:
    with queue.database.read() as session:
        images = session.scalars(
            select(tables.Image).where(tables.Image.job_id == job.id).order_by(tables.Image.index)
        ).all()
    return [queue.files.read(image.path) for image in images]


def alone(job: Job) -> list[bytes]:
    asked = job.request
    painted = pictura.load(asked["model"], device="cpu").paint(asked["prompt"], **asked["choices"])
    return [picture.to_bytes() for picture in painted]


def test_jobs_of_all_users_are_painted_as_each_alone(queue: Queue, worker: Worker) -> None:
    jobs = [
        queue.submit(ask("a red apple", num_images=4), "ann"),
        queue.submit(ask("a fish", num_steps=5), "bob"),
        queue.submit(ask("two cats", num_images=1, size=[64, 48]), "ann", "draft"),
    ]
    work(worker, lambda: all(state(queue, job) == "done" for job in jobs))
    for job in jobs:
        assert files(queue, job) == alone(job)
        kinds = [event.kind for event in queue.events(job.id)]
        assert kinds == ["queued", "started", *["image"] * job.num_images, "done"]


def test_progress_and_previews_are_told_while_it_runs(
    queue: Queue, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pictura.jobs.worker.TELL_S", 0.01)
    job = queue.submit(ask(num_images=1, num_steps=200), "ann")
    seen: dict[str, list[Any]] = {"progress": [], "preview": []}

    def done() -> bool:
        for event in queue.events(job.id):
            if event.kind in seen and event.payload not in seen[event.kind]:
                seen[event.kind].append(event.payload)
        return state(queue, job) == "done"

    work(worker, done)
    told = [payload["done"] for payload in seen["progress"]]
    assert told == sorted(told)
    assert len(told) > 1
    assert {payload["total"] for payload in seen["progress"]} == {200}
    assert all(payload["jpeg"]["0"].startswith("/9j/") for payload in seen["preview"])
    assert seen["preview"]


@pytest.mark.parametrize("old", [False, True])
def test_a_job_may_begin_with_a_picture(queue: Queue, worker: Worker, old: bool) -> None:
    image, mask = Image.new("RGB", (32, 32), "red"), Image.new("L", (32, 32), 0)
    plain = ask(num_images=1, noise_level=1.0, size=[32, 32])
    if old:  # a request of an earlier version holds the pictures themselves
        asked = {**plain.request, "image": in_base64(image), "mask": in_base64(mask)}
        request = JobRequest(num_images=1, request=asked)
    else:
        request = replace(plain, uploads={"image": as_png(image), "mask": as_png(mask)})
    job = queue.submit(request, "ann")
    work(worker, lambda: state(queue, job) == "done")
    (made,) = files(queue, job)
    kept = Image.open(io.BytesIO(made)).convert("RGB")
    assert kept.getcolors() == [(32 * 32, (255, 0, 0))]  # the mask lets nothing be new


def test_a_picture_that_cannot_be_read_now_costs_no_attempt_and_one_that_is_gone_ends_the_job(
    queue: Queue, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask(num_images=1, noise_level=0.5, size=[32, 32])
    job = queue.submit(replace(request, uploads={"image": as_png(Image.new("RGB", (32, 32)))}), "ann")

    def fail(path: str) -> bytes:
        raise StorageError("The place does not answer.")

    monkeypatch.setattr("pictura.jobs.worker.REST_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(queue.files, "read", fail)
        turns = iter(range(3))
        worker.run(lambda: next(turns, None) is None)
    assert (state(queue, job), queue.get(job.id, None).attempt) == ("queued", 0)
    queue.files.remove(job.request["pictures"]["image"])
    work(worker, lambda: state(queue, job) == "failed")
    assert "'image' that this begins with is not kept any more" in str(queue.get(job.id, None).error)
    with pytest.raises(NotFoundError, match="send it again"):
        queue.revive(job.id, "ann")


def test_words_unknown_to_the_model_are_told_and_a_file_may_keep_silent(queue: Queue, worker: Worker) -> None:
    request = ask("a quokka", num_images=1)
    jobs = [
        queue.submit(JobRequest(num_images=1, request={**request.request, **more}), "ann")
        for more in ({}, {"metadata": False})
    ]
    work(worker, lambda: all(state(queue, job) == "done" for job in jobs))
    told, silent = (Image.open(io.BytesIO(files(queue, job)[0])) for job in jobs)
    assert "parameters" in told.info
    assert silent.info == {}
    assert told.tobytes() == silent.tobytes()
    with queue.database.read() as session:
        details = [image.details for image in session.scalars(select(tables.Image))]
    assert all("never seen the word 'quokka'" in one["notices"][0] for one in details)


def test_a_cancelled_job_stops_and_its_neighbour_goes_on(queue: Queue, worker: Worker) -> None:
    long = queue.submit(ask(num_images=1, num_steps=1000), "ann")
    short = queue.submit(ask("a red apple", num_images=1), "bob")
    work(worker, lambda: state(queue, long) == "running" and state(queue, short) != "queued")
    queue.cancel(long.id, "ann")
    work(worker, lambda: state(queue, short) == "done" and state(queue, long) == "cancelled", 10)
    assert files(queue, long) == []
    assert files(queue, short) == alone(short)


def test_what_cannot_be_painted_fails_with_its_sentence(queue: Queue, worker: Worker) -> None:
    wrong = queue.submit(ask(model="tinny"), "ann")
    right = queue.submit(ask(), "ann")
    work(worker, lambda: state(queue, right) == "done")
    failed = queue.get(wrong.id, None)
    assert (failed.state, failed.error_code, failed.attempt) == ("failed", "model_not_found", 1)
    assert str(failed.error).startswith("No model is named 'tinny'")


def test_our_own_mistake_is_tried_again_and_then_let_be(
    queue: Queue, worker: Worker, models: WarmModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(models.painter("tiny").backend, "velocity", fails)
    job = queue.submit(ask(), "ann")
    work(worker, lambda: state(queue, job) == "dead")
    dead = queue.get(job.id, None)
    assert dead.attempt == 3
    assert dead.error_code == "internal"
    assert "ZeroDivisionError" in str(dead.error)


def test_a_job_that_went_to_another_worker_is_dropped(queue: Queue, worker: Worker) -> None:
    job = queue.submit(ask(num_images=1, num_steps=1000), "ann")
    work(worker, lambda: state(queue, job) == "running")
    assert queue.recover("one") == 1
    (claim,) = queue.claim("two", 1)
    end = time.monotonic() + 2
    work(worker, lambda: time.monotonic() > end or not worker._running)
    assert not worker._running
    assert queue.get(job.id, None).worker == "two"
    queue.release(claim)


def test_a_job_that_another_began_goes_on_where_its_pictures_end(
    queue: Queue, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queue.submit(ask(num_images=3), "ann")
    (claim,) = queue.claim("lost", 1)
    marked = alone(job)[1]
    queue.commit_image(claim, 1, marked, {})
    queue.recover("lost")
    painted: list[int] = []
    plain = queue.commit_image

    def commit(claim: Claimed, index: int, data: bytes, details: Any) -> tables.Image:
        painted.append(index)
        return plain(claim, index, data, details)

    monkeypatch.setattr(queue, "commit_image", commit)
    work(worker, lambda: state(queue, job) == "done")
    assert sorted(painted) == [0, 2]
    assert files(queue, job) == alone(job)


def test_a_full_disk_loses_no_job(queue: Queue, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    job = queue.submit(ask(), "ann")

    def full(data: bytes) -> None:
        raise StorageError("No space left.")

    monkeypatch.setattr("pictura.jobs.worker.REST_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(queue.files, "put_picture", full)
        turns = iter(range(60))
        worker.run(lambda: next(turns, None) is None)
    assert (state(queue, job), queue.get(job.id, None).attempt) == ("queued", 0)
    work(worker, lambda: state(queue, job) == "done")


def start(queue: Queue, home: Path, name: str) -> "subprocess.Popen[str]":
    url, place = queue.database.url.render_as_string(hide_password=False), queue.files.url
    command = [sys.executable, "-m", "pictura.jobs", "--name", name, "--lease", "2"]
    places = {"PICTURA_HOME": str(home), "PICTURA_DATABASE": url, "PICTURA_FILES": place}
    env = {**os.environ, **places, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


def wait(until: Callable[[], bool], seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_worker_asked_to_end_gives_back_what_it_holds(queue: Queue, tiny_home: Path) -> None:
    job = queue.submit(ask(num_images=1, num_steps=1000), "ann")
    process = start(queue, tiny_home, "one")
    try:
        wait(lambda: state(queue, job) == "running")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0, process.stderr
        given_back = queue.get(job.id, None)
        assert (given_back.state, given_back.attempt) == ("queued", 0)
    finally:
        process.kill()
        process.communicate()


def test_killed_workers_lose_and_double_nothing(queue: Queue, tiny_home: Path) -> None:
    jobs = [
        queue.submit(ask(f"a fish number {i}", num_steps=30), "ann" if i % 3 else "bob") for i in range(8)
    ]
    for _ in range(2):
        process = start(queue, tiny_home, "one")
        done = sum(state(queue, job) == "done" for job in jobs)
        enough = min(len(jobs), done + 2)
        wait(lambda: sum(state(queue, job) == "done" for job in jobs) >= enough)  # noqa: B023
        process.kill()
        process.communicate()
    process = start(queue, tiny_home, "one")
    try:
        wait(lambda: all(state(queue, job) == "done" for job in jobs))
    finally:
        process.terminate()
        process.communicate(timeout=10)
    for job in jobs:
        assert files(queue, job) == alone(job)
        assert [event.kind for event in queue.events(job.id)].count("image") == 2
