"""Requests a minute, counted over all programs that share a database."""

from typing import Any

import pytest
from sqlalchemy import select

from pictura.api.access.buckets import SHARES, Buckets
from pictura.store.database import Database
from pictura.store.tables import Bucket


class Turned:
    """One clock for the database and for the programs on it."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(database, "now", lambda _: self.now)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(database: Database, monkeypatch: pytest.MonkeyPatch) -> Turned:
    return Turned(database, monkeypatch)


def taken(buckets: Buckets, times: int, a_minute: int) -> int:
    return sum(not buckets.take("a", a_minute)[1] for _ in range(times))


def test_a_bucket_fills_at_its_own_pace(database: Database, clock: Turned) -> None:
    buckets = Buckets(database, clock)
    assert [buckets.take("a", 2) for _ in range(3)] == [(1, 0.0), (0, 0.0), (0, 30.0)]
    assert buckets.take("b", 2) == (1, 0.0)
    clock.now += 29.9
    assert buckets.take("a", 2)[1] == pytest.approx(0.1)
    clock.now += 0.2
    assert buckets.take("a", 2) == (0, 0.0)
    clock.now += 1e6
    assert buckets.take("a", 2) == (1, 0.0)
    assert buckets.take("none", 0)[1] == float("inf")


@pytest.mark.parametrize("a_minute", [3, 120])
def test_two_programs_share_a_bucket(database: Database, clock: Turned, a_minute: int) -> None:
    one, two = Buckets(database, clock), Buckets(database, clock)
    assert taken(one, 1, a_minute) == 1
    assert taken(two, 2 * a_minute, a_minute) + taken(one, 2 * a_minute, a_minute) == a_minute - 1
    clock.now += 30
    in_half = [taken(buckets, a_minute, a_minute) for buckets in (one, two)]
    assert sum(in_half) == a_minute // 2
    clock.now -= 600  # a clock that is set back gives nothing and takes nothing for long
    taken(Buckets(database, clock), 1, a_minute)
    clock.now += 60
    assert taken(Buckets(database, clock), 2 * a_minute, a_minute) == a_minute


def test_few_requests_write(database: Database, clock: Turned, monkeypatch: pytest.MonkeyPatch) -> None:
    buckets, plain, writes = Buckets(database, clock), database.write, list[Any]()

    def counted(**more: Any) -> Any:
        writes.append(more)
        return plain(**more)

    monkeypatch.setattr(database, "write", counted)
    assert taken(buckets, 400, 200) == 200  # those that are refused cost nothing
    assert writes == [{"synced": False}] * (SHARES + 1)


def test_a_new_limit_holds_at_once(database: Database, clock: Turned) -> None:
    buckets = Buckets(database, clock)
    taken(buckets, 1, 1000)
    assert taken(buckets, 9, 2) == 2
    clock.now += 60
    assert taken(buckets, 9, 4) == 4


def test_what_is_left_is_in_the_database(database: Database, clock: Turned) -> None:
    taken(Buckets(database, clock), 1, 200)
    with database.read() as session:
        assert [(row.name, row.left, row.at) for row in session.scalars(select(Bucket))] == [
            ("a", 190.0, 1000.0)
        ]
