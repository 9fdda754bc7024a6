"""Every algorithm on points in the plane: how fast it learns, and what spread it leaves.

A picture is a point. A prompt names two of eight places on a circle and the reward is 1 near the first, so
that the base, which knows both, earns about a half. The best policy paints the first place with the spread
of the data, 0.2.

    python benchmarks/toy.py --seeds 2

Letters B pictures, K prompts.
"""

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pictura.core.types import Conditioning, Prompt
from pictura.learn import draws
from pictura.learn.actors import Actors, VelocityOf
from pictura.learn.advantage import advantages
from pictura.learn.algorithms import make_algorithm
from pictura.learn.rollout import experience
from pictura.learn.sampling import Painting, paint
from pictura.learn.weights import Full
from pictura.reward.types import Reward, Scores

K, SPREAD, NEAR, SCALE = 4, 0.2, 0.6, 8.0
ANGLES = torch.arange(2 * K) * math.pi / K
PLACES = 1.5 * torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)
NUM_UPDATES, NUM_PROMPTS, GROUP_SIZE, EVERY = 100, 16, 16, 5
RUNS: tuple[dict[str, Any], ...] = (
    {"name": "nft"},
    {"name": "awm"},
    {"name": "awm", "power": 1.0},
    {"name": "grpo"},
    {"name": "grpo", "kl_weight": 0.004},
    {"name": "grpo", "kl_weight": 0.5},
    {"name": "grpo", "stochastic_steps": 0, "kl_weight": 0.004},
    {"name": "grpo", "sde": "cps", "noise_level": 0.8, "kl_weight": 0.004},
    {"name": "dpo"},
    {"name": "dpo", "beta": 10.0},
    {"name": "backprop"},
)


class Field(nn.Module):
    """Point, time and prompt to velocity."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        sizes = (2 + 8 + K + 1, width, width, width)
        layers = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.SiLU())]
        self.layers = nn.Sequential(*layers, nn.Linear(width, 2))

    def forward(self, x_t: Tensor, t: Tensor, prompt: Tensor) -> Tensor:
        """(B, 2), (B,) and (B, K + 1) to (B, 2)."""
        waves = t[:, None] * torch.arange(1, 5) * math.pi
        return self.layers(torch.cat([x_t, waves.sin(), waves.cos(), prompt], dim=1))


class PointPolicy:
    """Points as pictures of one pixel (`learn.policy.Policy`)."""

    latent_shape = (2, 1, 1)
    device = torch.device("cpu")

    def __init__(self, field: Field) -> None:
        self._field = field.requires_grad_(False)
        self.learnable: Mapping[str, Tensor] = {n: p.detach().clone() for n, p in field.named_parameters()}

    def read(self, texts: Sequence[str]) -> Conditioning:
        """The number that a text is; the empty one is the last."""
        number = torch.tensor([int(text or K) for text in texts])
        one_hot = nn.functional.one_hot(number, K + 1).float()[:, None]
        return Conditioning(tokens=one_hot, mask=torch.ones(len(texts), 1, dtype=torch.bool))

    def velocity(self, weights: Mapping[str, Tensor], x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """See the protocol."""
        given = (x_t[:, :, 0, 0], t, cond.tokens[:, 0])
        return torch.func.functional_call(self._field, dict(weights), given)[:, :, None, None]

    def decode(self, x_0: Tensor) -> Tensor:
        """To pixels (B, 3, 1, 1) whose red and green are the point."""
        return torch.cat([x_0, x_0[:, :1]], dim=1) / SCALE + 0.5


@dataclass(frozen=True)
class First:
    """Whether the point is near the first place of its prompt, or how near, which has a gradient."""

    soft: bool
    name: str = "first"
    value_range: tuple[float, float] = (0.0, 1.0)

    @property
    def differentiable(self) -> bool:
        """As it is soft."""
        return self.soft

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        """See the protocol."""
        place = PLACES[[2 * int(prompt.text) for prompt in prompts]]
        squared = (SCALE * (images[:, :2, 0, 0] - 0.5) - place).square().sum(dim=1)
        total = (-2 * squared).exp() if self.soft else (squared < NEAR**2).float()
        return Scores(total=total, valid=torch.ones(len(images), dtype=torch.bool))


def make_base(num_steps: int = 4000, batch_size: int = 256) -> Field:
    """Flow matching on both places of each prompt."""
    torch.manual_seed(0)
    field = Field()
    optimizer = torch.optim.Adam(field.parameters(), lr=2e-3)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, num_steps)
    for _ in range(num_steps):
        prompt = torch.randint(K, (batch_size,))
        x_0 = PLACES[2 * prompt + torch.randint(2, (batch_size,))] + SPREAD * torch.randn(batch_size, 2)
        prompt[torch.rand(batch_size) < 0.1] = K
        t, noise = torch.rand(batch_size), torch.randn(batch_size, 2)
        x_t = (1 - t[:, None]) * x_0 + t[:, None] * noise
        v = field(x_t, t, nn.functional.one_hot(prompt, K + 1).float())
        loss = (v - (noise - x_0)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
    return field


def look(policy: PointPolicy, velocity: VelocityOf, each: int = 256) -> tuple[float, float]:
    """Share of points near the first place, and their standard deviation around the places."""
    seeds = [seed for k in range(K) for seed in draws.seeds_of(99, 0, k, each)]
    prompts = [Prompt(text=str(k)) for k in range(K)]
    made = paint(policy, velocity, prompts, seeds, Painting(shift=1.0, at_once=4096), group_size=each)
    x = made.x_0[:, :, 0, 0]
    place = torch.cdist(x, PLACES).argmin(dim=1)
    stds = [x[place == i].std(dim=0).mean().item() for i in range(2 * K) if (place == i).sum() > 20]
    return First(soft=False)(made.images, made.prompts).total.mean().item(), float(np.mean(stds))


def learn(field: Field, table: dict[str, Any], seed: int) -> str:
    """One run: a row of the table."""
    policy = PointPolicy(field)
    actors = Actors(policy, Full(policy.learnable))
    reward: Reward = First(soft=table["name"] == "backprop")
    algorithm = make_algorithm(table, reward)
    painting = Painting(shift=1.0, at_once=4096, noise=algorithm.noise)
    optimizer = torch.optim.AdamW(actors.values.values(), lr=1e-3, weight_decay=1e-4)
    started, reached = time.monotonic(), "-"
    for update in range(NUM_UPDATES):
        if update % EVERY == 0 and reached == "-" and look(policy, actors.new)[0] >= 0.9:
            reached = str(update)
        made = paint(
            policy,
            getattr(actors, algorithm.behaviour),
            [Prompt(text=str(i % K)) for i in range(NUM_PROMPTS)],
            [s for i in range(NUM_PROMPTS) for s in draws.seeds_of(seed, update, i, GROUP_SIZE)],
            painting,
            group_size=GROUP_SIZE,
            stochastic=algorithm.stochastic(painting.num_steps, np.random.default_rng([seed, update])),
        )
        said = reward(made.images, made.prompts)
        told = advantages(said.total, said.valid, group_size=GROUP_SIZE).advantage
        batch = experience(
            made, advantage=told, reward=said.total, valid=said.valid, rows=slice(0, len(told))
        )
        optimizer.zero_grad()
        algorithm.loss(actors, batch).per_picture.mean().backward()
        nn.utils.clip_grad_norm_(list(actors.values.values()), 1.0)
        optimizer.step()
        actors.follow(old_decay=algorithm.old_decay(update), ema_decay=0.98)
    share, std = look(policy, actors.new)
    settings = ", ".join(f"{k} = {v}" for k, v in table.items() if k != "name") or "defaults"
    seconds = time.monotonic() - started
    return f"| {table['name']} | {settings} | {seed} | {reached} | {share:.3f} | {std:.3f} | {seconds:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="", help="name of one algorithm")
    options = parser.parse_args()
    torch.set_num_threads(1)
    field = make_base()
    policy = PointPolicy(field)
    share, std = look(policy, Actors(policy, Full(policy.learnable)).new)
    print("| algorithm | settings | seed | updates to 0.9 | share at the end | spread | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print(f"| base | | | | {share:.3f} | {std:.3f} | |", flush=True)
    for table in RUNS:
        if options.only in ("", table["name"]):
            for seed in range(options.seeds):
                print(learn(field, table, seed), flush=True)


if __name__ == "__main__":
    main()
