"""Whose ratings count: those who mean it do, and each way of not meaning it has its rule."""

import math
from dataclasses import replace

import pytest

from pictura.learn.taste.pairs import Table
from pictura.learn.taste.raters import Rater, at_most, check_raters
from tests.learn.taste.taste_kit import against_it, always_left, answers, by_chance, by_taste, together


def reasons(*tables: Table) -> dict[str, tuple[str, ...]]:
    return {rater.name: rater.reasons for rater in check_raters(together(tables))}


def test_one_who_means_it_counts_alone_and_beside_others() -> None:
    anna, ben = (
        answers("anna", by_taste, 120, seed=1, repeats=12),
        answers("ben", by_taste, 40, seed=2, repeats=4),
    )
    assert reasons(anna) == {"anna": ()}
    assert reasons(anna, ben) == {"anna": (), "ben": ()}
    (told,) = check_raters(anna)
    assert told.kept
    assert told.numbers["by_own"] > 0.6
    assert told.numbers["agrees"] > 0.5


@pytest.mark.parametrize("seed", range(2))
def test_answers_at_random_are_left_out(seed: int) -> None:
    spammer = answers("spammer", by_chance, 500, seed=seed, repeats=50)
    alone = reasons(spammer)["spammer"]
    beside = reasons(answers("anna", by_taste, 200, seed=9, repeats=20), spammer)
    assert any("no taste" in reason or "contradiction" in reason for reason in alone)
    assert beside["anna"] == ()
    assert any("no taste" in reason or "contradiction" in reason for reason in beside["spammer"])


def test_always_the_left_one_is_left_out() -> None:
    (found,) = reasons(answers("spammer", always_left, 500, seed=3, repeats=50)).values()
    assert found[0] == "one side: 550 of 550 answers for the left one"
    assert found[1] == "contradiction: 0 of 50 turned repeats answered the same"
    few = reasons(answers("new", always_left, 15, seed=3))
    assert few == {"new": ()}, "of a few answers nobody can tell"


def test_a_hand_that_is_faster_than_an_eye_is_left_out() -> None:
    fast = answers("fast", by_taste, 60, seed=4, ms=150)
    assert reasons(fast)["fast"] == ("too fast: 100% of 60 answers within 400 ms",)
    half = replace(
        fast, rows=tuple(replace(row, ms=150 if i % 2 else 900) for i, row in enumerate(fast.rows))
    )
    assert reasons(half)["fast"] == ()


def test_one_against_all_others_is_left_out_but_of_two_nobody_knows_who_is_right() -> None:
    others = [answers(name, by_taste, 60, seed=seed) for seed, name in enumerate(("anna", "ben"), start=5)]
    rebel = answers("rebel", against_it, 90, seed=8)
    found = reasons(*others, rebel)
    assert found["anna"] == found["ben"] == ()
    assert found["rebel"][0].startswith("against all: a head of the others tells 0.")
    assert reasons(others[0], rebel) == {"anna": (), "rebel": ()}


def test_ties_and_weak_choices_accuse_nobody() -> None:
    table = answers("anna", always_left, 30, seed=1)
    tied = replace(table, rows=tuple(replace(row, tie=True, side=None) for row in table.rows))
    weak = replace(
        table, rows=tuple(replace(row, kind="like", weight=0.3, side=None, ms=None) for row in table.rows)
    )
    for one in (tied, weak):
        assert check_raters(one) == (Rater(name="anna", num=30, numbers=check_raters(one)[0].numbers),)


def test_the_binomial_tail_is_exact() -> None:
    assert at_most(2, 8, 0.6) == pytest.approx(
        sum(math.comb(8, k) * 0.6**k * 0.4 ** (8 - k) for k in range(3))
    )
    assert at_most(8, 8, 0.6) == pytest.approx(1)
    assert at_most(0, 2000, 0.5) == 0.5**2000
