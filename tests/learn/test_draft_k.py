"""DRaFT-K: the gradient of the reward through the last steps of painting."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.learn.actors import Actors
from pictura.learn.algorithms.draft_k import DraftK, DraftKSettings
from pictura.learn.recipe import RolloutSettings
from pictura.learn.rollout import Experience
from pictura.sample.ode import Steps
from pictura.sample.schedules import time_grid
from tests.learn.gaussian import RED, PixelReward, gaussian_actors, gradient, move, painted

BARE = DraftKSettings(kl_weight=0.0, num_steps=4, last=4, solver="ab2")


@torch.no_grad()
def mean_red(actors: Actors, batch: Experience, *, free: int) -> Tensor:
    """Of the pictures of a batch's noise, painted by the reference but for the last `free` steps."""
    steps = Steps(batch.noise, time_grid(4, shift=3.0), "ab2")
    for number in range(4):
        hand = actors.new if number >= 4 - free else actors.reference
        steps.take(hand(steps.x_t, steps.t, batch.cond))
    return steps.x_t[:, 0, 0, 0].sigmoid().double().mean()


@pytest.mark.parametrize("last", [1, 2, 4])
def test_its_gradient_is_that_of_the_mean_reward_by_the_last_steps(last: int) -> None:
    draft, actors = DraftK(replace(BARE, last=last), RED), gaussian_actors()
    batch = painted(actors, draft)
    found = gradient(actors, draft, batch)["mean"].flatten()
    one, h = torch.zeros(3, 1, 1), 1e-2
    one[0] = 1.0
    move(actors, {"mean": one}, -h)
    up = mean_red(actors, batch, free=last)
    move(actors, {"mean": one}, 2 * h)
    difference = (up - mean_red(actors, batch, free=last)) / (2 * h)
    assert difference > 0.01
    torch.testing.assert_close(-found[0].double(), difference, rtol=1e-2, atol=1e-4)
    assert not found[1:].any()


def test_enough_is_enough() -> None:
    actors = gaussian_actors()
    batch = painted(actors, DraftK(BARE, RED))
    assert not gradient(actors, DraftK(replace(BARE, enough=-1.0), RED), batch)["mean"].any()


def test_the_reference_pulls_back() -> None:
    flat = PixelReward(lambda pixels: 0 * pixels[:, 0])
    actors, draft = gaussian_actors(), DraftK(replace(BARE, kl_weight=1.0), flat)
    batch = painted(actors, draft)
    assert not gradient(actors, draft, batch)["mean"].any()
    move(actors, {"mean": torch.full((3, 1, 1), -0.5)}, 1.0)
    assert (gradient(actors, draft, batch)["mean"] > 0).all()


def test_rollouts_that_are_painted_otherwise_are_refused() -> None:
    draft = DraftK(BARE, RED)
    draft.check(RolloutSettings(num_steps=4, solver="ab2", shift=3.0))
    with pytest.raises(ConfigError, match=r"rollout\.num_steps must be 4, as \[algorithm\] walks; got 8"):
        draft.check(RolloutSettings(num_steps=8, solver="ab2", shift=3.0))
    with pytest.raises(ConfigError, match=r"last must be from 1 to num_steps, which is 4; got 5"):
        replace(BARE, last=5)
