"""Mixtures: weighted sums with their breakdown, invalid where a reward that counts cannot tell."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.core.types import Prompt
from pictura.reward.mix import Mixture, Share
from pictura.reward.types import Scores

IMAGES, PROMPTS = torch.zeros(3, 3, 8, 8), [Prompt(text="a fox")] * 3


class Fixed:
    """Gives what it was told to."""

    def __init__(
        self, name: str, total: list[float], *, std: float | None = None, gradient: bool = True
    ) -> None:
        self.name, self.differentiable, self.value_range = name, gradient, (0.0, 4.0)
        self._total, self._std = torch.tensor(total), std

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        std = None if self._std is None else torch.full_like(self._total, self._std)
        return Scores(
            total=self._total, valid=self._total.isfinite(), parts={"half": self._total / 2}, std=std
        )


def mix(*shares: tuple[Fixed, float]) -> Mixture:
    return Mixture([Share(reward=reward, weight=weight) for reward, weight in shares])


def test_the_sum_comes_with_what_each_reward_said() -> None:
    scores = mix((Fixed("a", [1, 2, 3]), 2.0), (Fixed("b", [4, 0, 1]), -0.5))(IMAGES, PROMPTS)
    assert scores.total.tolist() == [0, 4, 5.5]
    assert {name: part.tolist() for name, part in scores.parts.items()} == {
        "a": [1, 2, 3],
        "a.half": [0.5, 1, 1.5],
        "b": [4, 0, 1],
        "b.half": [2, 0, 0.5],
    }
    assert scores.std is None


def test_a_picture_counts_only_where_every_reward_that_counts_can_tell() -> None:
    a, b = Fixed("a", [1, math.nan, 3]), Fixed("b", [1, 1, math.nan])
    assert mix((a, 1.0), (b, 1.0))(IMAGES, PROMPTS).valid.tolist() == [True, False, False]
    looking_on = mix((a, 1.0), (b, 0.0))(IMAGES, PROMPTS)
    assert looking_on.valid.tolist() == [True, False, True]
    assert looking_on.total[looking_on.valid].tolist() == [1, 3]
    assert looking_on.parts["b"][:2].tolist() == [1, 1]


def test_doubts_add_up_as_independent_errors_do() -> None:
    scores = mix((Fixed("a", [1, 2, 3], std=3.0), 1.0), (Fixed("b", [1, 2, 3], std=2.0), 2.0))(
        IMAGES, PROMPTS
    )
    assert scores.std is not None
    assert scores.std.tolist() == [5, 5, 5]


def test_the_range_and_the_gradient_are_those_of_the_rewards_that_count() -> None:
    mixed = mix((Fixed("a", [0, 0, 0]), 2.0), (Fixed("b", [0, 0, 0]), -1.0))
    assert (mixed.value_range, mixed.differentiable) == ((-4.0, 8.0), True)
    without = Fixed("c", [0, 0, 0], gradient=False)
    assert not mix((Fixed("a", [0, 0, 0]), 1.0), (without, 1.0)).differentiable
    assert mix((Fixed("a", [0, 0, 0]), 1.0), (without, 0.0)).differentiable


def test_names_and_weights_are_checked_when_it_is_made() -> None:
    a = Fixed("a", [0, 0, 0])
    with pytest.raises(ConfigError, match="'a' stands in the mixture 2 times"):
        mix((a, 1.0), (a, 2.0))
    with pytest.raises(ConfigError, match="weight of the reward 'a' must be a number; got nan"):
        mix((a, math.nan))
    with pytest.raises(ConfigError, match="whose weight is not 0; got none"):
        mix((a, 0.0))
