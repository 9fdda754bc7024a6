"""Who is next, by rules alone: no database here."""

from hypothesis import given
from hypothesis import strategies as st

from pictura.jobs.line import Waiting, in_turn, lane_after
from pictura.store.tables import LANES, Lane

AGEING_S = 60.0


def job(number: int, user: str, lane: Lane = "fast", created_at: float = 0.0) -> Waiting:
    return Waiting(job_id=f"{number:04}", user_id=user, lane=lane, created_at=created_at)


def taken(jobs: list[Waiting], served: dict[str, int] | None = None, now: float = 0.0) -> list[Waiting]:
    """Take every job of the line."""
    turns = dict(served or {})
    order = []
    for waiting in in_turn(jobs, turns, now, AGEING_S):
        turns[waiting.user_id] = max(turns.values(), default=0) + 1
        order.append(waiting)
    return order


jobs_of_all = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(LANES), st.floats(0, 200)), max_size=20
).map(lambda facts: [job(i, user, lane, at) for i, (user, lane, at) in enumerate(facts)])


@given(jobs_of_all, st.floats(0, 400))
def test_every_job_is_taken_once_and_a_user_in_a_lane_in_order_of_arrival(
    jobs: list[Waiting], now: float
) -> None:
    order = taken(jobs, now=now)
    assert sorted(order, key=lambda waiting: waiting.job_id) == jobs
    for user in "abc":
        for lane in LANES:
            ids = [w.job_id for w in order if (w.user_id, w.lane) == (user, lane)]
            assert ids == sorted(ids)


def test_a_user_with_many_jobs_delays_another_by_one() -> None:
    jobs = [job(i, "ann") for i in range(50)] + [job(50, "bob"), job(51, "bob")]
    assert [w.user_id for w in taken(jobs)][:5] == ["ann", "bob", "ann", "bob", "ann"]
    assert [w.user_id for w in taken(jobs, {"ann": 7})][:3] == ["bob", "ann", "bob"]


def test_the_user_served_longest_ago_is_first_whoever_came_first() -> None:
    jobs = [job(0, "ann"), job(1, "bob"), job(2, "cid")]
    assert [w.user_id for w in taken(jobs, {"ann": 3, "bob": 2, "cid": 1})] == ["cid", "bob", "ann"]


def test_lanes_go_before_users() -> None:
    jobs = [job(0, "ann", "relax"), job(1, "ann", "fast"), job(2, "bob", "draft"), job(3, "bob", "fast")]
    assert [w.job_id for w in taken(jobs)] == ["0002", "0001", "0003", "0000"]


def test_waiting_raises_a_job_lane_by_lane_and_no_further() -> None:
    ages = (-5.0, 0.0, 59.9, 60.0, 119.9, 120.0, 9999.0)
    assert [lane_after("relax", age, AGEING_S) for age in ages] == [2, 2, 2, 1, 1, 0, 0]
    assert [lane_after("draft", age, AGEING_S) for age in ages] == [0] * 7


@given(st.integers(1, 6), st.integers(0, 5))
def test_nothing_starves_however_many_drafts_keep_coming(num_others: int, ahead: int) -> None:
    """A relaxed job with so many of its user's before it, among others who always have drafts waiting."""
    own = [job(i, "own", "relax") for i in range(ahead + 1)]
    others = [f"user{i}" for i in range(num_others)]
    turns: dict[str, int] = dict.fromkeys(others, 0)
    number, served = 100, list[str]()
    now = 2 * AGEING_S  # from here on it counts as the first lane
    while own:
        drafts = [job(number + i, user, "draft", now) for i, user in enumerate(others)]
        number += num_others
        first = next(in_turn([*own, *drafts], turns, now, AGEING_S))
        turns[first.user_id] = max(turns.values()) + 1
        served.append(first.user_id)
        own = [waiting for waiting in own if waiting != first]
    assert len(served) <= (ahead + 1) * (num_others + 1)
