"""Deleted pictures go out of sight, then off the disk; no file that a row names is ever removed."""

import os
import time
from pathlib import Path

import pytest

from pictura.core.errors import NotFoundError
from pictura.jobs.queue import Queue
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.gallery import Swept, delete_image, restore_image, sweep
from pictura.store.tables import Image
from tests.jobs.queue_kit import add_users, picture, submit

OLD_S = 2 * 3600


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return Queue(database, Files(tmp_path / "pictures"))


def paint(queue: Queue, user: str, *numbers: int) -> list[Image]:
    """Rows of a job's pictures; the same number is the same picture."""
    submit(queue, user, num_images=len(numbers))
    [claim] = queue.claim("worker", 1)
    images = [queue.commit_image(claim, i, picture(number), {}) for i, number in enumerate(numbers)]
    queue.finish(claim)
    return images


def make_old(files: Files) -> None:
    """As if all files had been written some time ago."""
    for path, _ in files.paths():
        place = Path(files.url) / path
        os.utime(place, (time.time() - OLD_S,) * 2)


def test_only_its_owner_or_an_administrator_may_delete_a_picture(queue: Queue) -> None:
    ann, bob = add_users(queue.database, "ann", "bob")
    [image] = paint(queue, ann, 1)
    for wrong in ((image.id, bob), ("no-such", ann), (image.id + "\0", ann), ("é", None)):
        with pytest.raises(NotFoundError, match=r"There is no picture .* of yours"):
            delete_image(queue.database, *wrong)
    deleted = delete_image(queue.database, image.id, ann).deleted_at
    assert deleted is not None
    assert delete_image(queue.database, image.id, None).deleted_at == deleted
    assert restore_image(queue.database, image.id, ann).deleted_at is None


def test_a_sweep_removes_what_no_row_names_once_it_is_old(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    [image] = paint(queue, ann, 1)
    orphan = queue.files.put_picture(picture(2))
    assert sweep(queue.database, queue.files) == Swept(num_images=0, num_files=0)
    make_old(queue.files)
    assert sweep(queue.database, queue.files) == Swept(num_images=0, num_files=2)
    assert not queue.files.exists(orphan.path)
    assert not queue.files.exists(orphan.thumb_path)
    assert queue.files.read(image.path) == picture(1)
    assert queue.files.exists(image.thumb_path)


def test_an_orphan_that_is_written_again_is_young(queue: Queue) -> None:
    queue.files.put_picture(picture(2))
    make_old(queue.files)
    queue.files.put_picture(picture(2))
    assert sweep(queue.database, queue.files).num_files == 0


def test_a_picture_deleted_long_ago_is_swept_and_one_of_the_same_pixels_stays(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    twin, again, other = paint(queue, ann, 1, 1, 2)
    for image in (twin, other):
        delete_image(queue.database, image.id, ann)
    make_old(queue.files)
    assert sweep(queue.database, queue.files) == Swept(num_images=0, num_files=0)
    assert sweep(queue.database, queue.files, keep_deleted_s=-1) == Swept(num_images=2, num_files=2)
    assert queue.files.read(again.path) == picture(1)
    assert not queue.files.exists(other.path)
    with pytest.raises(NotFoundError):
        restore_image(queue.database, other.id, ann)


def test_leavings_of_a_killed_writer_are_swept(queue: Queue) -> None:
    stored = queue.files.put_picture(picture(1))
    path = Path(queue.files.url) / stored.path
    host = next(iter(_own_mark(path.parent)))
    leaving = path.with_name(
        f".{path.stem}.pictura-new-{host}-4194305-00000000.png"
    )  # no process can be that
    leaving.write_bytes(b"half a pic")
    sweep(queue.database, queue.files)
    assert not leaving.exists()


def _own_mark(folder: Path) -> set[str]:
    """How this machine marks its temporary files."""
    from pictura.store.atomic import scratch_folder

    with scratch_folder(folder) as scratch:
        return {scratch.name.split("-")[2]}


def test_a_sweep_between_file_and_row_takes_nothing_from_a_commit(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    [ann] = add_users(queue.database, "ann")
    put, swept = queue.files.put_picture, list[Swept]()

    def put_and_lose(data: bytes) -> object:
        stored = put(data)
        if not swept:  # a sweeper that judged by the old file, and removes the new one
            make_old(queue.files)
            swept.append(sweep(queue.database, queue.files))
        return stored

    monkeypatch.setattr(queue.files, "put_picture", put_and_lose)
    [image] = paint(queue, ann, 7)
    assert swept == [Swept(num_images=0, num_files=2)]
    assert queue.files.read(image.path) == picture(7)
    assert queue.files.exists(image.thumb_path)


@pytest.mark.parametrize("old_again", [True, False])
def test_a_row_committed_or_a_file_written_in_the_midst_of_a_sweep_keeps_the_file(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, old_again: bool
) -> None:
    [ann] = add_users(queue.database, "ann")
    queue.files.put_picture(picture(7))
    make_old(queue.files)
    age_s, seen = queue.files.age_s, list[str]()

    def age_and_act(path: str) -> float:
        age = age_s(path)
        if not seen:  # after the sweep saw that the file is old and has no row
            if old_again:
                paint(queue, ann, 7)
                make_old(queue.files)
            else:
                queue.files.put_picture(picture(7))
        seen.append(path)
        return age

    monkeypatch.setattr(queue.files, "age_s", age_and_act)
    assert sweep(queue.database, queue.files).num_files == 0
    assert len(list(queue.files.paths())) == 2
