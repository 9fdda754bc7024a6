"""Reward back-propagation: the gradient of the reward of one step."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pictura.core.types import Prompt
from pictura.learn.algorithms.backprop import Backprop, BackpropSettings
from pictura.learn.renoise import renoised
from pictura.reward.types import Scores
from tests.learn.gaussian import RED, PixelReward, gaussian_actors, gradient, move, painted

BARE = BackpropSettings(kl_weight=0.0)


def test_its_gradient_is_that_of_the_mean_reward() -> None:
    backprop = Backprop(BARE, RED)
    actors = gaussian_actors()
    batch = painted(actors, backprop)

    def mean_reward() -> Tensor:
        rewards = []
        for at in renoised(batch.x_0, batch.seeds, num_times=2, shift=1.0, between=(0.05, 0.5)):
            x_0 = at.x_t - at.t[:, None, None, None] * actors.new(at.x_t, at.t, batch.cond).detach()
            rewards.append(x_0[:, 0, 0, 0].sigmoid())
        return torch.stack(rewards).double().mean()

    found = gradient(actors, backprop, batch)["mean"].flatten()
    one, h = torch.zeros(3, 1, 1), 1e-2
    one[0] = 1.0
    move(actors, {"mean": one}, -h)
    up = mean_reward()
    move(actors, {"mean": one}, 2 * h)
    difference = (up - mean_reward()) / (2 * h)
    assert difference > 0.01
    torch.testing.assert_close(-found[0].double(), difference, rtol=1e-2, atol=1e-4)
    assert not found[1:].any()


class Choosy(PixelReward):
    """Cannot tell of the first picture, and says so."""

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        scores = super().__call__(images, prompts)
        valid = scores.valid.clone()
        valid[0] = False
        return replace(scores, valid=valid)


def test_what_the_reward_could_not_tell_teaches_nothing() -> None:
    actors = gaussian_actors()
    batch = painted(actors, Backprop(BARE, RED))
    loss = Backprop(BARE, Choosy(RED.of)).loss(actors, batch)
    plain = Backprop(BARE, RED).loss(actors, batch)
    assert loss.per_picture[0] == 0
    torch.testing.assert_close(loss.per_picture[1:], plain.per_picture[1:])
    assert loss.metrics["reward_one_step"] != plain.metrics["reward_one_step"]


def test_enough_is_enough() -> None:
    actors = gaussian_actors()
    batch = painted(actors, Backprop(BARE, RED))
    assert not gradient(actors, Backprop(replace(BARE, enough=-1.0), RED), batch)["mean"].any()
    assert gradient(actors, Backprop(replace(BARE, enough=1.0), RED), batch)["mean"][0] < 0


def test_the_reference_pulls_back() -> None:
    flat = PixelReward(lambda pixels: 0 * pixels[:, 0])
    actors, backprop = gaussian_actors(), Backprop(BackpropSettings(kl_weight=1.0), flat)
    batch = painted(actors, backprop)
    assert not gradient(actors, backprop, batch)["mean"].any()
    move(actors, {"mean": torch.full((3, 1, 1), -0.5)}, 1.0)
    assert (gradient(actors, backprop, batch)["mean"] > 0).all()


def test_the_picture_that_was_painted_has_no_gradient_of_its_own() -> None:
    actors, backprop = gaussian_actors(), Backprop(BARE, RED)
    batch = painted(actors, backprop)
    leaf = batch.x_0.clone().requires_grad_(True)
    backprop.loss(actors, replace(batch, x_0=leaf)).per_picture.sum().backward()
    assert leaf.grad is None
