"""A policy in closed form, to try algorithms on: one-pixel pictures whose latents follow a known normal law.

Letters B pictures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from pictura.core.types import Conditioning, Prompt
from pictura.learn import draws
from pictura.learn.actors import Actors
from pictura.learn.advantage import AdvantageSettings, advantages
from pictura.learn.algorithm import Algorithm
from pictura.learn.rollout import Experience, experience
from pictura.learn.sampling import Painting, paint
from pictura.learn.weights import Full
from pictura.reward.types import Scores

STD = 0.5
UNSCALED = AdvantageSettings(scale="none", clip=float("inf"))


class GaussianPolicy:
    """Latents (3, 1, 1) are N(mean, STD^2), and the mean is learnt; a pixel is their sigmoid.

    Without a prompt their mean is 0.
    """

    latent_shape = (3, 1, 1)
    device = torch.device("cpu")

    def __init__(self, mean: Sequence[float] = (0.0, 0.0, 0.0)) -> None:
        self.learnable: Mapping[str, Tensor] = {"mean": torch.tensor(mean)[:, None, None]}

    def read(self, texts: Sequence[str]) -> Conditioning:
        """One feature: whether there is a prompt."""
        there = torch.tensor([float(bool(text)) for text in texts])[:, None, None]
        return Conditioning(tokens=there, mask=torch.ones(len(texts), 1).bool())

    def velocity(self, weights: Mapping[str, Tensor], x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """The exact one: E[noise - x_0 | x_t]."""
        t, mean = t[:, None, None, None], cond.tokens[..., None] * weights["mean"]
        variance = (1 - t) ** 2 * STD**2 + t**2
        return (t - (1 - t) * STD**2) / variance * (x_t - (1 - t) * mean) - mean

    def decode(self, x_0: Tensor) -> Tensor:
        """To pixels (B, 3, 1, 1)."""
        return x_0.sigmoid()


@dataclass(frozen=True)
class PixelReward:
    """Any differentiable function of the mean colour (B, 3)."""

    of: Callable[[Tensor], Tensor]
    name: str = "pixels"
    differentiable: bool = True
    value_range: tuple[float, float] = field(default=(-np.inf, np.inf))

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        total = self.of(images.mean(dim=(2, 3)))
        return Scores(total=total, valid=torch.ones(len(images), dtype=torch.bool))


RED = PixelReward(lambda pixels: pixels[:, 0])


def prompted(size: int) -> Conditioning:
    """Of as many prompts."""
    return GaussianPolicy().read(["x"] * size)


def gaussian_actors(mean: Sequence[float] = (0.0, 0.0, 0.0)) -> Actors:
    policy = GaussianPolicy(mean)
    return Actors(policy, Full(policy.learnable))


def painted(
    actors: Actors,
    algorithm: Algorithm,
    reward: PixelReward = RED,
    *,
    num_groups: int = 4,
    group_size: int = 8,
    update: int = 0,
    painting: Painting | None = None,
    settings: AdvantageSettings | None = None,
) -> Experience:
    """One rollout of an algorithm with what it earned."""
    painting = replace(painting or Painting(num_steps=6), noise=algorithm.noise)
    seeds = tuple(s for i in range(num_groups) for s in draws.seeds_of(0, update, i, group_size))
    rollout = paint(
        actors.policy,
        getattr(actors, algorithm.behaviour),
        tuple(Prompt(text=str(i)) for i in range(num_groups)),
        seeds,
        painting,
        group_size=group_size,
        stochastic=algorithm.stochastic(painting.num_steps, np.random.default_rng(update)),
        version=update,
    )
    scores = reward(rollout.images, rollout.prompts)
    compared = advantages(scores.total, scores.valid, group_size=group_size, settings=settings)
    return experience(
        rollout,
        advantage=compared.advantage,
        reward=scores.total,
        valid=scores.valid,
        rows=slice(0, len(seeds)),
    )


def gradient(actors: Actors, algorithm: Algorithm, batch: Experience) -> dict[str, Tensor]:
    """Of the mean loss, by name of the values."""
    loss = algorithm.loss(actors, batch).per_picture.mean()
    names = list(actors.values)
    grads = torch.autograd.grad(loss, [actors.values[name] for name in names], allow_unused=True)
    return {
        name: torch.zeros_like(actors.values[name]) if g is None else g
        for name, g in zip(names, grads, strict=True)
    }


@torch.no_grad()
def move(actors: Actors, by: Mapping[str, Tensor], rate: float) -> None:
    """One step of plain gradient descent, after which the copies stay where they are."""
    for name, value in actors.values.items():
        value -= rate * by[name]
