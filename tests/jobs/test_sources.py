"""Pictures that jobs begin with lie in files, once each, for as long as somebody may need them."""

import io
import os
import time
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import select

from pictura.core.errors import NotFoundError
from pictura.jobs import sources
from pictura.jobs.queue import Queue
from pictura.jobs.values import JobRequest
from pictura.store.database import Database
from pictura.store.files import UPLOADS, Files
from pictura.store.gallery import delete_image, sweep
from pictura.store.tables import Job, JobPicture
from tests.jobs.queue_kit import add_users, picture

OLD_S = 2 * 3600


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return Queue(database, Files(tmp_path / "pictures"))


def ask(**uploads: bytes) -> JobRequest:
    return JobRequest(num_images=1, request={"prompt": "a fox"}, uploads=uploads)


def make_old(files: Files) -> None:
    for path, _ in files.paths():
        os.utime(Path(files.url) / path, (time.time() - OLD_S,) * 2)


def end(queue: Queue) -> None:
    """Do the next job."""
    [claim] = queue.claim("worker", 1)
    queue.commit_image(claim, 0, picture(7), {})
    queue.finish(claim)


def test_a_request_names_what_it_begins_with_and_equal_pictures_are_one_file(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    jobs = queue.submit_all([ask(image=picture(1), mask=picture(2)), ask(image=picture(1))], ann)
    names = [job.request["pictures"] for job in jobs]
    assert sorted(names[0]) == ["image", "mask"]
    assert names[0]["image"] == names[1]["image"]
    assert names[0]["image"].startswith(UPLOADS)
    assert queue.files.read(names[0]["mask"]) == picture(2)
    assert len(list(queue.files.paths())) == 2
    seen = sources.opened(queue.files, queue.get(jobs[0].id, ann).request)
    assert seen["image"].tobytes() == Image.open(io.BytesIO(picture(1))).tobytes()


def test_uploads_stay_while_a_job_waits_or_may_be_done_again_and_go_then(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    job = queue.submit(ask(image=picture(1)), ann)
    lost = queue.files.put_upload(picture(3))  # whoever sent it was refused
    assert sweep(queue.database, queue.files).num_files == 0
    make_old(queue.files)
    assert sweep(queue.database, queue.files, keep_used_s=-1).num_files == 1
    assert not queue.files.exists(lost)
    end(queue)
    make_old(queue.files)
    assert sweep(queue.database, queue.files).num_files == 0
    assert queue.files.exists(job.request["pictures"]["image"])
    again = queue.submit(JobRequest(num_images=1, request=job.request), ann)  # names are enough
    make_old(queue.files)
    sweep(queue.database, queue.files, keep_used_s=-1)
    assert queue.files.exists(job.request["pictures"]["image"])
    queue.cancel(again.id, ann)
    assert sweep(queue.database, queue.files, keep_used_s=-1).num_files == 1
    assert not queue.files.exists(job.request["pictures"]["image"])
    with pytest.raises(NotFoundError, match="'image' that this begins with is not kept any more"):
        queue.submit(JobRequest(num_images=1, request=job.request), ann)
    with queue.database.read() as session:
        assert session.scalars(select(JobPicture)).all() == []
        assert len(session.scalars(select(Job)).all()) == 2


def test_a_painted_picture_that_a_job_begins_with_outlives_its_row(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    queue.submit(ask(), ann)
    [claim] = queue.claim("worker", 1)
    image = queue.commit_image(claim, 0, picture(1), {})
    queue.finish(claim)
    queue.submit(JobRequest(num_images=1, request={"pictures": {"image": image.path}}), ann)
    delete_image(queue.database, image.id, ann)
    make_old(queue.files)
    swept = sweep(queue.database, queue.files, keep_deleted_s=-1)
    assert (swept.num_images, swept.num_files) == (1, 1)  # its thumbnail alone
    assert queue.files.read(image.path) == picture(1)


def test_a_job_that_is_done_again_keeps_its_pictures_again(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    job = queue.submit(ask(image=picture(1)), ann)
    [claim] = queue.claim("worker", 1)
    queue.fail(claim, "bad_model", "It cannot be done.")
    sweep(queue.database, queue.files, keep_used_s=-1)  # forgotten, but the file is young
    queue.revive(job.id, ann)
    make_old(queue.files)
    assert sweep(queue.database, queue.files, keep_used_s=-1).num_files == 0
    assert queue.files.exists(job.request["pictures"]["image"])
