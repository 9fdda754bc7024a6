"""What the queue promises, case by case, on SQLite and on PostgreSQL."""

import time

import pytest
from sqlalchemy import select

from pictura.core.errors import (
    ConfigError,
    DataError,
    KeyReusedError,
    LeaseLostError,
    NotFoundError,
    QueueFullError,
    StorageError,
)
from pictura.jobs.queue import Queue
from pictura.jobs.states import LONGEST_LEASE_S
from pictura.jobs.values import Claimed, JobRequest, QueueConfig
from pictura.store.database import Database
from pictura.store.tables import Event, Image, User
from tests.jobs.queue_kit import Clock, add_users, claimed_ids, memory_files, new_queue, picture, submit

LEASE_S = 30.0


@pytest.fixture
def made(database: Database) -> tuple[Queue, Clock]:
    return new_queue(database)


@pytest.fixture
def queue(made: tuple[Queue, Clock]) -> Queue:
    return made[0]


@pytest.fixture
def clock(made: tuple[Queue, Clock]) -> Clock:
    return made[1]


@pytest.fixture
def ann(database: Database) -> str:
    return add_users(database, "ann")[0]


def claim(queue: Queue, worker: str = "worker") -> Claimed:
    [claimed] = queue.claim(worker, 1, LEASE_S)
    return claimed


def state(queue: Queue, job_id: str) -> str:
    return queue.get(job_id, None).state


def kinds(queue: Queue, job_id: str) -> list[str]:
    return [event.kind for event in queue.events(job_id)]


def test_a_job_goes_from_request_to_pictures(queue: Queue, ann: str) -> None:
    request = {"prompt": "ein Fuchs 🦊 \0\ud800", "seed": 2**40, "scale": 1.5}
    job_id = queue.submit(JobRequest(num_images=2, request=request), ann, "draft").id
    claimed = claim(queue)
    assert (claimed.job.id, claimed.job.request, claimed.committed) == (job_id, request, frozenset())
    assert queue.claim("other", 1) == []
    images = [queue.commit_image(claimed, index, picture(index), {"seed": index}) for index in (1, 0)]
    queue.finish(claimed)
    job = queue.get(job_id, ann)
    assert (job.state, job.attempt, job.lease_token, job.error) == ("done", 1, None, None)
    assert queue.files.read(images[1].path) == picture(0)
    assert [(image.id, image.index, image.width, image.height, image.visibility) for image in images] == [
        (f"{job_id}-1", 1, 8, 6, "private"),
        (f"{job_id}-0", 0, 8, 6, "private"),
    ]
    assert kinds(queue, job_id) == ["queued", "started", "image", "image", "done"]


def test_jobs_submitted_together_are_accepted_together_or_not_at_all(database: Database, ann: str) -> None:
    queue, _ = new_queue(database, QueueConfig(max_pending_per_user=3, max_pending=4))
    requests = [JobRequest(num_images=1, request={"n": n}) for n in range(2)]
    jobs = queue.submit_all(requests, ann)
    assert [job.request["n"] for job in jobs] == [0, 1]
    with pytest.raises(
        QueueFullError, match=r"2 jobs of yours wait or run, and 2 more would pass the limit of 3\."
    ):
        queue.submit_all(requests, ann)
    [bob] = add_users(database, "bob")
    queue.submit_all(requests, bob)
    with pytest.raises(
        QueueFullError, match=r"4 jobs in all wait or run, and 1 more would pass the limit of 4\."
    ):
        submit(queue, bob)
    queue.claim("worker", 1)  # one that runs still counts
    with pytest.raises(QueueFullError, match="in all"):
        submit(queue, bob)
    queue.cancel(jobs[1].id, ann)
    submit(queue, bob)


def test_the_same_key_gives_the_same_jobs_even_when_the_queue_is_full(database: Database, ann: str) -> None:
    queue, _ = new_queue(database, QueueConfig(max_pending_per_user=2))
    requests = [JobRequest(num_images=1, request={"n": n}) for n in range(2)]
    first = queue.submit_all(requests, ann, "fast", "key", "a" * 64)
    again = queue.submit_all(requests, ann, "fast", "key", "a" * 64)
    assert [job.id for job in again] == [job.id for job in first]
    [bob] = add_users(database, "bob")
    assert queue.submit(requests[0], bob, "fast", "key").id not in {job.id for job in first}
    with pytest.raises(KeyReusedError, match=r"'key' came before with another request\. Use a new key"):
        queue.submit_all(requests, ann, "fast", "key", "b" * 64)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\0b", "ключ"])
def test_an_impossible_key_or_lane_is_refused(queue: Queue, ann: str, key: str) -> None:
    with pytest.raises(ConfigError, match=r"An idempotency key is 1 to 255 visible ASCII characters; got "):
        queue.submit(JobRequest(num_images=1), ann, "fast", key)
    with pytest.raises(ConfigError, match=r"A job's lane is one of draft, fast, relax; got 'turbo'\."):
        queue.submit(JobRequest(num_images=1), ann, "turbo")  # type: ignore[arg-type]


def test_lanes_then_users_in_turn_then_arrival(queue: Queue, ann: str, clock: Clock) -> None:
    [bob] = add_users(queue.database, "bob")
    relaxed = submit(queue, bob, "relax")
    anns = [submit(queue, ann) for _ in range(3)]
    bobs = [submit(queue, bob) for _ in range(2)]
    draft = submit(queue, ann, "draft")
    order = [draft, bobs[0], anns[0], bobs[1], anns[1], anns[2], relaxed]
    assert [queue.position(job_id) for job_id in order] == list(range(7))
    assert claimed_ids(queue, 2) == order[:2]
    assert [queue.position(job_id) for job_id in order] == [None, None, 0, 1, 2, 3, 4]
    assert claimed_ids(queue, 1) == order[2:3]  # turns are remembered from claim to claim
    assert claimed_ids(queue, 9) == order[3:]


def test_a_relaxed_job_that_waited_goes_before_a_new_draft(queue: Queue, ann: str, clock: Clock) -> None:
    relaxed = submit(queue, ann, "relax")
    clock.now += 2 * queue.config.ageing_s
    draft = submit(queue, ann, "draft")
    assert claimed_ids(queue, 2) == [relaxed, draft]


def test_only_jobs_that_fit_are_taken_until_one_has_waited_too_long(
    queue: Queue, ann: str, clock: Clock
) -> None:
    large = submit(queue, ann, num_images=4)
    small = [submit(queue, ann) for _ in range(3)]
    claimed = queue.claim("worker", 2, fits=lambda job: job.num_images == 1)
    assert [claim.job.id for claim in claimed] == small[:2]
    clock.now += queue.config.patience_s
    assert queue.claim("worker", 2, fits=lambda job: job.num_images == 1) == []
    assert claimed_ids(queue, 1) == [large]


def test_a_job_whose_lease_is_over_goes_back_to_its_old_place(queue: Queue, ann: str, clock: Clock) -> None:
    ids = [submit(queue, ann, num_images=2) for _ in range(2)]
    lost = claim(queue)
    queue.commit_image(lost, 1, picture(1), {})
    clock.now += LEASE_S
    assert queue.recover() == 0  # not yet
    clock.now += 0.001
    again = claim(queue, "other")  # a claim takes back as well
    assert (again.job.id, again.job.attempt, again.committed) == (ids[0], 2, frozenset({1}))
    assert kinds(queue, ids[0]) == ["queued", "started", "image", "queued", "started"]


def test_who_lost_a_job_can_change_nothing_of_it(queue: Queue, ann: str, clock: Clock) -> None:
    job_id = submit(queue, ann)
    lost = claim(queue)
    clock.now += LEASE_S + 1
    holder = claim(queue)  # the same worker, even: the token is another
    assert not queue.heartbeat([lost])[job_id].still_mine
    queue.progress([(lost, {"step": 1})])
    for act in (
        lambda: queue.commit_image(lost, 0, picture(1), {}),
        lambda: queue.finish(lost),
        lambda: queue.fail(lost, "code", "sentence"),
        lambda: queue.release(lost),
    ):
        with pytest.raises(LeaseLostError, match=rf"Job {job_id} is no longer this worker's: .* Drop it"):
            act()
    assert queue.heartbeat([holder])[job_id].still_mine
    queue.commit_image(holder, 0, picture(2), {})
    queue.finish(holder)
    assert kinds(queue, job_id) == ["queued", "started", "queued", "started", "image", "done"]


def test_a_picture_is_committed_once_and_the_first_stays(queue: Queue, ann: str, clock: Clock) -> None:
    submit(queue, ann)
    first = queue.commit_image(lost := claim(queue), 0, picture(1), {"by": "first"})
    assert queue.commit_image(lost, 0, picture(2), {}).sha256 == first.sha256
    clock.now += LEASE_S + 1
    assert queue.commit_image(claim(queue), 0, picture(3), {}).details == {"by": "first"}
    with queue.database.read() as session:
        assert len(session.scalars(select(Image)).all()) == 1
        assert len(session.scalars(select(Event).where(Event.kind == "image")).all()) == 1


def test_a_heartbeat_keeps_a_job_and_writes_only_when_half_a_lease_is_over(
    queue: Queue, ann: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(queue, ann)
    held = claim(queue)
    with monkeypatch.context() as patch:
        patch.setattr(queue.database, "write", None)
        clock.now += LEASE_S / 2
        assert queue.heartbeat([held])[job_id].still_mine
    for _ in range(5):
        clock.now += LEASE_S * 0.9
        assert queue.heartbeat([held])[job_id].still_mine
        assert queue.recover() == 0
    assert queue.heartbeat([]) == {}


def test_a_late_heartbeat_keeps_a_job_that_nobody_took(queue: Queue, ann: str, clock: Clock) -> None:
    job_id = submit(queue, ann)
    held = claim(queue)
    clock.now += 10 * LEASE_S
    assert queue.heartbeat([held])[job_id].still_mine
    assert queue.recover() == 0


def test_after_too_many_attempts_a_job_is_dead_until_it_is_revived(
    queue: Queue, ann: str, clock: Clock
) -> None:
    job_id = submit(queue, ann)
    for attempt in (1, 2, 3):
        assert claim(queue).job.attempt == attempt
        clock.now += LEASE_S + 1
        assert queue.recover() == 1
    job = queue.get(job_id, ann)
    assert (job.state, job.error_code, job.finished_at) == ("dead", "worker_lost", clock.now)
    last = queue.events(job_id)[-1]
    assert (last.kind, last.payload["state"], last.payload["code"]) == ("error", "dead", "worker_lost")
    assert claimed_ids(queue, 1) == []
    assert queue.revive(job_id, ann).state == "queued"
    again = claim(queue)
    assert again.job.attempt == 1
    queue.fail(again, "bad_size", "Too large.")
    assert (state(queue, job_id), queue.get(job_id, ann).error) == ("failed", "Too large.")
    assert queue.revive(job_id, ann).error is None
    assert queue.revive(job_id, ann).state == "queued"  # it waits already


def test_a_revived_job_forgets_that_it_was_to_stop(queue: Queue, ann: str) -> None:
    job_id = submit(queue, ann)
    held = claim(queue)
    queue.cancel(job_id, ann)
    queue.fail(held, "bad_size", "Too large.")
    queue.revive(job_id, ann)
    assert not queue.heartbeat([claim(queue)])[job_id].cancel_asked


def test_a_failure_that_may_pass_is_tried_again(queue: Queue, ann: str) -> None:
    job_id = submit(queue, ann)
    for expected in ("queued", "queued", "dead"):
        queue.fail(claim(queue), "no_device", "Out of memory.", retry=True)
        assert state(queue, job_id) == expected
    assert queue.events(job_id)[-1].payload["message"] == "Out of memory."


def test_a_job_given_back_loses_no_attempt(queue: Queue, ann: str) -> None:
    job_id = submit(queue, ann)
    for _ in range(5):
        held = claim(queue)
        assert held.job.attempt == 1
        queue.release(held)
    assert state(queue, job_id) == "queued"


def test_cancel_ends_a_waiting_job_at_once_and_a_running_one_at_its_next_step(
    queue: Queue, ann: str, clock: Clock
) -> None:
    waiting, released, lost = (submit(queue, ann) for _ in range(3))
    assert queue.cancel(waiting, ann).state == "cancelled"
    first, second = claim(queue), claim(queue)
    assert [c.job.id for c in (first, second)] == [released, lost]
    for job_id in (released, lost):
        assert not queue.heartbeat([first, second])[job_id].cancel_asked
        assert queue.cancel(job_id, ann).state == "running"
        assert queue.heartbeat([first, second])[job_id].cancel_asked
    queue.release(first)
    clock.now += LEASE_S + 1
    queue.recover()
    for job_id in (waiting, released, lost):
        assert state(queue, job_id) == "cancelled"
        assert kinds(queue, job_id)[-1] == "cancelled"
        assert queue.cancel(job_id, ann).state == "cancelled"
    assert claimed_ids(queue, 1) == []


def test_a_cancel_that_comes_too_late_changes_nothing(queue: Queue, ann: str) -> None:
    job_id = submit(queue, ann)
    held = claim(queue)
    queue.commit_image(held, 0, picture(), {})
    queue.cancel(job_id, ann)
    queue.finish(held)
    assert queue.cancel(job_id, ann).state == "done"


def test_nobody_reaches_the_jobs_of_another(queue: Queue, ann: str) -> None:
    [bob] = add_users(queue.database, "bob")
    job_id = submit(queue, ann)
    for act in (queue.get, queue.cancel, queue.revive):
        for wrong, user in ((job_id, bob), ("nothing", ann), ("nul\0", ann), ("", None)):
            with pytest.raises(NotFoundError, match=r"There is no job .* of yours"):
                act(wrong, user)
        assert act(job_id, None).id == job_id


def test_of_progress_only_the_newest_is_kept_and_nothing_after_the_end(queue: Queue, ann: str) -> None:
    job_id, other = submit(queue, ann), submit(queue, ann)
    held, beside = queue.claim("worker", 2)
    for step in range(3):
        queue.progress([(held, {"step": step}), (beside, {"step": 10 + step})])
        queue.progress([(held, {"url": f"{step}.webp"})], "preview")
    seen = queue.events(job_id)
    assert [(event.kind, event.payload) for event in seen[2:]] == [
        ("progress", {"step": 2}),
        ("preview", {"url": "2.webp"}),
    ]
    assert [event.id for event in queue.events(job_id, after=seen[2].id)] == [seen[3].id]
    assert queue.events(other)[-1].payload == {"step": 12}
    queue.commit_image(held, 0, picture(), {})
    queue.finish(held)
    assert kinds(queue, job_id) == ["queued", "started", "image", "done"]


def test_a_worker_that_starts_anew_takes_back_what_it_held(queue: Queue, ann: str) -> None:
    ids = [submit(queue, ann) for _ in range(3)]
    claim(queue, "other")
    queue.claim("studio", 2)
    assert queue.recover("studio") == 2
    assert [state(queue, job_id) for job_id in ids] == ["running", "queued", "queued"]
    assert claimed_ids(queue, 2) == ids[1:]


def test_a_clock_that_jumps_costs_time_and_no_job(queue: Queue, ann: str, clock: Clock) -> None:
    job_id = submit(queue, ann)
    held = claim(queue)
    clock.now -= LONGEST_LEASE_S + 1  # its lease would now last far longer than any may
    assert queue.recover() == 1
    assert not queue.heartbeat([held])[job_id].still_mine
    assert claim(queue).job.id == job_id


def test_leases_are_measured_by_the_clock_of_the_database(database: Database, ann: str) -> None:
    queue = Queue(database, memory_files())
    submit(queue, ann)
    [held] = queue.claim("worker", 1, lease_s=5)
    assert held.job.lease_until is not None
    assert abs(held.job.lease_until - 5 - time.time()) < 5


def test_a_job_is_not_finished_before_its_pictures_are_there(queue: Queue, ann: str) -> None:
    job_id = submit(queue, ann, num_images=2)
    held = claim(queue)
    queue.commit_image(held, 0, picture(), {})
    with pytest.raises(AssertionError, match="1 of 2 pictures"):
        queue.finish(held)
    with pytest.raises(DataError):
        queue.commit_image(held, 1, b"no picture", {})
    assert state(queue, job_id) == "running"


def test_a_place_that_loses_files_is_reported(
    queue: Queue, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(queue, ann)
    monkeypatch.setattr(queue.files, "exists", lambda path: False)
    with pytest.raises(StorageError, match=r"was written at .* three times and is not there"):
        queue.commit_image(claim(queue), 0, picture(), {})
    with queue.database.read() as session:
        assert session.scalars(select(Image)).all() == []
        assert len(session.scalars(select(User)).all()) == 1
