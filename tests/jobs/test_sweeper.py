"""One of many programs sweeps, when it is time."""

import logging
import os
import threading
import time
from pathlib import Path

import pytest

from pictura.core.errors import StorageError
from pictura.jobs.sweeper import LEASE_S, Sweeper
from pictura.store import gallery
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.gallery import Swept
from pictura.store.tables import Bucket
from tests.jobs.queue_kit import picture

HOUR_S = 3600.0


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """With a picture and its thumbnail that nobody names."""
    files = Files(tmp_path / "pictures")
    stored = files.put_picture(picture(1))
    for path in (stored.path, stored.thumb_path):
        os.utime(tmp_path / "pictures" / path, (time.time() - 2 * HOUR_S,) * 2)
    return files


@pytest.fixture
def clock(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [time.time()]
    monkeypatch.setattr(database, "now", lambda _: now[0])
    return now


def test_one_of_many_sweeps_and_the_others_wait_until_it_is_time(
    database: Database, files: Files, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with database.write() as session:
        session.add_all(
            [Bucket(name="old", left=1, at=clock[0] - 200), Bucket(name="new", left=1, at=clock[0])]
        )
    sweepers = [Sweeper(database, files, every_s=HOUR_S) for _ in range(3)]
    found: list[Swept | None] = []
    threads = [threading.Thread(target=lambda one=one: found.append(one.turn())) for one in sweepers]
    with caplog.at_level(logging.INFO, "pictura.sweeper"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found, key=str) == [None, None, Swept(num_images=0, num_files=2)]
    assert caplog.messages == ["swept: 0 deleted pictures and 2 files forgotten"]
    with database.read() as session:
        assert session.get(Bucket, "old") is None
        assert session.get(Bucket, "new") is not None
    clock[0] += HOUR_S - 1
    assert [one.turn() for one in sweepers] == [None] * 3
    clock[0] += 1
    assert [one.turn() for one in sweepers] == [Swept(num_images=0, num_files=0), None, None]
    clock[0] -= 1e6  # set back: the next sweep is not a long time away
    assert sweepers[1].turn() is not None


def test_a_sweep_that_broke_off_is_taken_up_when_its_lease_is_over(
    database: Database, files: Files, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise StorageError("The place does not answer.")

    one, two = (Sweeper(database, files, every_s=HOUR_S) for _ in range(2))
    with monkeypatch.context() as patch:
        patch.setattr(gallery, "_remove_orphans", fail)
        with pytest.raises(StorageError):
            one.turn()
    clock[0] += LEASE_S - 1
    assert two.turn() is None
    clock[0] += 2
    assert two.turn() == Swept(num_images=0, num_files=2)


def test_it_runs_by_itself_survives_an_error_and_ends_at_once(
    database: Database, files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sweeper = Sweeper(database, files, every_s=0.0, look_s=0.01)
    plain, errors = sweeper.turn, [StorageError("The place does not answer.")]
    swept = threading.Event()

    def turn() -> Swept | None:
        if errors:
            raise errors.pop()
        found = plain()
        swept.set()
        return found

    monkeypatch.setattr(sweeper, "turn", turn)
    sweeper.start()
    assert swept.wait(20)
    sweeper.stop()
    assert "sweeping failed" in caplog.text
    assert list(files.paths()) == []
    never = Sweeper(database, files, every_s=None)
    never.start()
    never.stop()
    assert never.turn() is None
