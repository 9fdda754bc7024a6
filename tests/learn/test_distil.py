"""Guidance distillation: a guided normal law is one again, with its mean times the scale."""

from dataclasses import replace

import pytest
import torch

from pictura.learn.algorithms.distil import Distil, DistilSettings
from pictura.learn.sampling import Painting
from tests.learn.gaussian import gaussian_actors, gradient, move, painted

MEAN = torch.tensor([0.2, -0.3, 0.1])[:, None, None]
GUIDED = Painting(num_steps=6, guidance_scale=3.0)


def test_the_guided_policy_has_no_loss_without_guidance() -> None:
    actors, distil = gaussian_actors(MEAN.flatten().tolist()), Distil(DistilSettings(guidance_scale=3.0))
    batch = painted(actors, distil, painting=GUIDED)
    assert distil.loss(actors, batch).per_picture.min() > 0.01
    move(actors, {"mean": -2 * MEAN}, 1.0)
    assert distil.loss(actors, batch).per_picture.max() < 1e-10


def test_it_learns_to_be_that() -> None:
    actors, distil = gaussian_actors(MEAN.flatten().tolist()), Distil(DistilSettings(guidance_scale=3.0))
    for update in range(30):
        batch = painted(actors, distil, painting=GUIDED, update=update)
        move(actors, gradient(actors, distil, batch), 1.0)
    torch.testing.assert_close(actors.values["mean"].detach(), 3 * MEAN, atol=1e-3, rtol=0)


def test_rewards_teach_nothing() -> None:
    actors, distil = gaussian_actors(MEAN.flatten().tolist()), Distil(DistilSettings())
    batch = painted(actors, distil, painting=GUIDED)
    other = replace(batch, advantage=-batch.advantage, reward=-batch.reward)
    torch.testing.assert_close(
        gradient(actors, distil, batch)["mean"], gradient(actors, distil, other)["mean"]
    )


@pytest.mark.parametrize("settings", [{"guidance_scale": 1.0}, {"guidance_interval": (0.0, 0.0)}], ids=str)
def test_where_guidance_is_off_there_is_nothing_to_learn(settings: dict[str, object]) -> None:
    actors = gaussian_actors(MEAN.flatten().tolist())
    distil = Distil(DistilSettings(**settings))  # type: ignore[arg-type]
    loss = distil.loss(actors, painted(actors, distil, painting=GUIDED))
    assert loss.per_picture.max() < 1e-10


def test_the_guided_reference_paints() -> None:
    actors, distil = gaussian_actors(MEAN.flatten().tolist()), Distil(DistilSettings())
    assert distil.behaviour == "reference"
    batch = painted(actors, distil, painting=GUIDED, num_groups=16)
    torch.testing.assert_close(batch.x_0.mean(dim=0), 3 * MEAN, atol=0.15, rtol=0)
