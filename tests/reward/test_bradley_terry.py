"""Preferences from pairs: planted weights are found, doubt is honest, and good questions save answers."""

import pytest
import torch
from torch import Tensor

from pictura.core.errors import DataError
from pictura.reward.bradley_terry import (
    Posterior,
    accuracy,
    bald,
    best_precision,
    calibration_error,
    choose_pairs,
    fit,
    held_out,
)

NUM_FEATURES = 12


def world(seed: int, count: int, *, scale: float = 0.5) -> tuple[Tensor, Tensor, Tensor]:
    """Planted weights (F,), differences (N, F) and who won (N,) by them."""
    generator = torch.Generator().manual_seed(seed)
    weights = scale * torch.randn(NUM_FEATURES, generator=generator, dtype=torch.float64)
    x = torch.randn(count, NUM_FEATURES, generator=generator, dtype=torch.float64)
    return weights, x, (torch.rand(count, generator=generator) < (x @ weights).sigmoid()).double()


def rank_correlation(a: Tensor, b: Tensor) -> float:
    ranks = torch.stack([a.argsort().argsort(), b.argsort().argsort()]).double()
    return float(torch.corrcoef(ranks)[0, 1])


@pytest.mark.parametrize("seed", range(5))
def test_planted_weights_are_found_from_300_pairs_and_the_odds_are_honest(seed: int) -> None:
    weights, x, wins = world(seed, 5300)
    precision = best_precision(x[:300], wins[:300], range(300))
    posterior = fit(x[:300], wins[:300], precision=precision)
    mean, _ = posterior.score(x[300:])
    assert rank_correlation(mean, x[300:] @ weights) > 0.9
    assert calibration_error(posterior.wins(x[300:]), wins[300:]) < 0.05


def test_the_posterior_covers_the_truth_as_often_as_it_says() -> None:
    inside = []
    for seed in range(40):
        weights, x, wins = world(seed, 200, scale=1.0)
        mean, std = fit(x, wins, precision=1.0).score(torch.eye(NUM_FEATURES))
        inside.append(((mean - weights).abs() < 1.64 * std).double().mean())
    assert float(torch.stack(inside).mean()) == pytest.approx(0.9, abs=0.05)


def test_the_fit_is_where_the_slope_is_zero() -> None:
    _, x, wins = world(0, 50)
    w = fit(x, wins, precision=2.0).mean.requires_grad_()
    loss = (
        torch.nn.functional.binary_cross_entropy_with_logits(x @ w, wins, reduction="sum") + w.square().sum()
    )
    assert torch.autograd.grad(loss, w)[0].abs().max() < 1e-8


def test_a_tie_is_half_a_win_for_each_and_order_does_not_matter() -> None:
    _, x, wins = world(1, 60)
    wins[:10] = 0.5
    doubled = torch.cat([x[10:], x[:10], x[:10]]), torch.cat([wins[10:], torch.ones(10), torch.zeros(10)])
    tied = fit(torch.cat([x, x[:10]]), torch.cat([wins, wins[:10]]), precision=1.0)
    torch.testing.assert_close(tied.mean, fit(*doubled, precision=1.0).mean)
    turned = fit(-x, 1 - wins, precision=1.0)
    torch.testing.assert_close(turned.mean, fit(x, wins, precision=1.0).mean)


def test_without_pairs_only_the_prior_is_left() -> None:
    nothing = fit(torch.zeros(0, 3), torch.zeros(0), precision=4.0)
    mean, std = nothing.score(torch.tensor([[2.0, 0.0, 0.0]]))
    assert float(mean) == 0
    assert float(std) == pytest.approx(1)
    assert nothing.wins(torch.eye(3)).tolist() == [0.5] * 3


def test_doubt_draws_the_odds_towards_even() -> None:
    believed = Posterior(torch.tensor([2.0]).double(), torch.tensor([[9.0]]).double())
    certain = Posterior(torch.tensor([2.0]).double(), torch.tensor([[1e-9]]).double())
    asked = torch.ones(1, 1)
    assert 0.5 < float(believed.wins(asked)) < float(certain.wins(asked))
    assert float(certain.wins(asked)) == pytest.approx(float(torch.tensor(2.0).sigmoid()))


def test_pairs_of_one_group_are_never_told_by_one_another() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(100, 80, generator=generator).repeat_interleave(2, dim=0)
    wins = (torch.rand(100, generator=generator) < 0.5).double().repeat_interleave(2)
    groups = [i // 2 for i in range(200)]
    apart = accuracy(held_out(x, wins, precision=0.1, groups=groups), wins)[0]
    mixed = accuracy(held_out(x, wins, precision=0.1, groups=range(200)), wins)[0]
    assert apart < 0.65 < 0.95 < mixed  # noise cannot be told; its copy can


def test_too_few_prompts_are_refused() -> None:
    with pytest.raises(DataError, match="pairs of at least 5 prompts; got 2"):
        best_precision(torch.zeros(6, 3), torch.ones(6), [0, 0, 0, 1, 1, 1])


def test_accuracy_leaves_ties_out_and_says_how_sure_it_is() -> None:
    said, wins = torch.tensor([0.9, 0.8, 0.2, 0.6]), torch.tensor([1.0, 0.0, 0.0, 0.5])
    share, half = accuracy(said, wins)
    assert share == pytest.approx(2 / 3)
    assert half == pytest.approx(1.96 * (2 / 9 / 3) ** 0.5)


def test_the_calibration_error_is_the_distance_of_said_and_so() -> None:
    said = torch.full((1000,), 0.8)
    wins = (torch.arange(1000) % 10 < 6).double()
    assert calibration_error(said, wins, bins=1) == pytest.approx(0.2, abs=1e-6)
    assert calibration_error(1 - said, 1 - wins, bins=1) == pytest.approx(0.2, abs=1e-6)


def test_an_answer_tells_most_where_the_outcome_is_even_and_the_weights_are_not_known() -> None:
    mean = torch.tensor([0.0, 0.0, 3.0, 0.0], dtype=torch.float64)
    std = torch.tensor([0.0, 1.0, 1.0, 3.0], dtype=torch.float64)
    told = bald(mean, std)
    assert told[0] == pytest.approx(0, abs=1e-9)
    assert told[2] < told[1] < told[3] < torch.tensor(2.0).log()
    draws = (3.0 * torch.randn(200_000, generator=torch.Generator().manual_seed(0))).double().sigmoid()

    def entropy(p: Tensor) -> Tensor:
        return -(p * p.log() + (1 - p) * (1 - p).log())

    assert told[3] == pytest.approx(float(entropy(draws.mean()) - entropy(draws).mean()), abs=3e-3)


def test_the_same_question_is_not_asked_twice_in_other_words() -> None:
    posterior = fit(torch.zeros(0, 3), torch.zeros(0), precision=1.0)
    asked = torch.tensor([[2.0, 0, 0], [2.0, 0.01, 0], [0, 1.9, 0], [0, 0, 1.8]])
    assert choose_pairs(posterior, asked, 3) == [1, 2, 3]
    assert sorted(choose_pairs(posterior, asked, 9)) == [0, 1, 2, 3]


def learnt_after(count: int, seed: int, *, active: bool) -> float:
    """How well weights are known after `count` answers, chosen ten at a time or at random."""
    weights, x, wins = world(seed, 1500, scale=1.0)
    x = x * torch.linspace(0.2, 2.0, NUM_FEATURES)  # some features vary little among the pictures at hand
    wins = (
        torch.rand(1500, generator=torch.Generator().manual_seed(seed)) < (x @ weights).sigmoid()
    ).double()
    rows = list(range(10))
    while len(rows) < count:
        left = [i for i in range(400) if i not in rows]
        posterior = fit(x[rows], wins[rows], precision=1.0)
        picked = choose_pairs(posterior, x[left], 10) if active else range(10)
        rows += [left[i] for i in picked]
    said, truth = fit(x[rows], wins[rows], precision=1.0).wins(x[1000:]), x[1000:] @ weights
    return float(((said > 0.5) == (truth > 0)).double().mean())


def test_chosen_pairs_teach_more_than_random_ones() -> None:
    seeds = range(8)
    chosen, drawn, more = (
        torch.tensor([learnt_after(count, seed, active=active) for seed in seeds]).mean()
        for count, active in ((60, True), (60, False), (90, False))
    )
    assert chosen > drawn + 0.01
    assert chosen >= more  # the same accuracy with at most two thirds of the answers
