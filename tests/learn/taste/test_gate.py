"""Heads that never meet, intervals over prompts, and the four conditions."""

import numpy as np
import pytest
import torch

from pictura.core.errors import DataError
from pictura.learn.taste.gate import Benched, check_bench, check_diversity, check_heads, check_wins
from pictura.learn.taste.heads import HELD_OUT, fit_heads, num_directions, place_of
from pictura.learn.taste.intervals import Interval, over_prompts
from pictura.reward.bradley_terry import best_precision, fit, held_out
from tests.learn.taste.taste_kit import TASTE, answers, by_chance, by_taste


def test_heads_find_a_taste_and_no_choice_is_on_both_sides() -> None:
    table = answers("anna", by_taste, 200, seed=1)
    heads = fit_heads(table)
    assert heads.accuracy.low > 0.5
    assert heads.jury_accuracy.low > 0.5
    sides = [place_of(prompt) < HELD_OUT for prompt in table.prompts]
    assert (heads.num_learnt, heads.num_held_out) == (sides.count(False), sides.count(True))
    assert 0.2 < heads.num_held_out / len(table) < 0.6
    assert place_of("A red  Fox") == place_of("a red fox")
    assert check_heads(heads.accuracy, heads.num_held_out).passed
    fresh = torch.randn(300, table.better.shape[1], dtype=torch.float64)
    for head in (heads.taste, heads.jury):
        score, _ = head.taste.score(fresh)
        assert torch.corrcoef(torch.stack([score, fresh[:, TASTE]]))[0, 1] > 0.5


def test_chance_does_not_pass_for_a_taste() -> None:
    found = [fit_heads(answers("x", by_chance, 200, seed=seed)).accuracy for seed in range(4)]
    passed = [check_heads(accuracy, 100).passed for accuracy in found]
    assert sum(passed) <= 1  # of a 95 % interval
    with pytest.raises(DataError, match=r"at least 40 choices between two pictures .*; 30 are left"):
        fit_heads(answers("x", by_taste, 30, seed=1))


def test_a_pair_of_weight_two_counts_as_two_pairs() -> None:
    x = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wins = (x[:, 0] > 0).double()
    twice = torch.ones(40)
    twice[:7] = 2
    a = fit(x, wins, precision=1.0, weights=twice)
    b = fit(torch.cat([x, x[:7]]), torch.cat([wins, wins[:7]]), precision=1.0)
    assert torch.allclose(a.mean, b.mean, atol=1e-9)
    assert torch.allclose(a.covariance, b.covariance, atol=1e-9)
    groups = [i % 5 for i in range(40)]
    even = held_out(x, wins, precision=1.0, groups=groups, weights=torch.ones(40))
    assert torch.allclose(even, held_out(x, wins, precision=1.0, groups=groups))
    assert best_precision(x, wins, groups, torch.ones(40)) == best_precision(x, wins, groups)


def test_an_interval_counts_prompts_and_not_pictures() -> None:
    rng = np.random.default_rng(1)
    of_prompt = rng.random(40) < 0.5
    alike = over_prompts(np.repeat(of_prompt, 10), [i // 10 for i in range(400)])
    apart = over_prompts(np.repeat(of_prompt, 10), list(range(400)))
    assert alike.value == apart.value == of_prompt.mean()
    assert (alike.high - alike.low) / (apart.high - apart.low) == pytest.approx(10**0.5, rel=0.1)
    nothing = over_prompts([1.0, 1.0], ["a", "a"])
    assert (nothing.low, nothing.high) == (0, 1), "one prompt proves nothing"


def test_each_condition_looks_at_the_end_of_the_interval_that_hurts() -> None:
    def interval(low: float, high: float) -> Interval:
        return Interval(value=(low + high) / 2, low=low, high=high)

    assert not check_heads(interval(0.5, 0.9), 80).passed
    assert check_wins(interval(0.51, 0.6), 64).passed
    assert not check_wins(interval(0.49, 0.9), 64).passed

    def benched(low: float, high: float) -> Benched:
        return Benched(
            before=0.38, after=0.38, difference=interval(low, high), num_prompts=553, num_pictures=1106
        )

    assert check_bench(benched(-0.03, 0.01)).passed
    assert not check_bench(benched(-0.031, 0.05)).passed
    assert check_diversity(0.8).passed
    assert not check_diversity(0.79).passed
    assert "0.380 before, 0.380 after" in check_bench(benched(-0.03, 0.01)).said


def test_a_head_looks_at_more_directions_the_more_choices_there_are() -> None:
    assert [num_directions(num) for num in (40, 120, 400, 10_000)] == [4, 4, 16, 32]
