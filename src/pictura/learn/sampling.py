"""Paint pictures to learn from: prompts and weights in, a rollout out.

Letters B pictures, C channels, h w latent size.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.core.images import on_background
from pictura.core.types import Conditioning, Prompt
from pictura.learn import draws
from pictura.learn.actors import VelocityOf
from pictura.learn.algorithm import Noise
from pictura.learn.policy import Policy
from pictura.learn.rollout import Rollout, Transition, repeated
from pictura.sample.guidance import guided
from pictura.sample.ode import check_solver
from pictura.sample.schedules import time_grid
from pictura.sample.sde import solve_sde


@dataclass(frozen=True, kw_only=True, slots=True)
class Painting:
    """How pictures are painted to learn from."""

    num_steps: int = 10
    solver: str = "ab2"
    shift: float = 3.0
    guidance_scale: float = 1.0
    """1 = off: one network call per step, in learning as in use."""
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    at_once: int = 64
    """Pictures of one network call."""
    noise: Noise = field(default_factory=Noise)
    """Of stochastic steps, where the algorithm asks for them."""

    def __post_init__(self) -> None:
        check_solver(self.solver)
        if self.at_once < 1:
            raise ConfigError(f"rollout.at_once must be at least 1; got {self.at_once}.")

    def hash(self) -> str:
        """First 12 hex digits over everything that changes a picture."""
        table = asdict(replace(self, at_once=1))
        return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:12]


@torch.no_grad()
def paint(
    policy: Policy,
    velocity: VelocityOf,
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
    painting: Painting,
    *,
    group_size: int,
    stochastic: frozenset[int] = frozenset(),
    version: int = 0,
) -> Rollout:
    """Paint a group of pictures for each prompt.

    Args:
        policy: reads prompts and decodes latents.
        velocity: whose hand paints, such as `Actors.old`.
        prompts: P of them.
        seeds: P * group_size, those of a prompt side by side.
        painting: how.
        group_size: pictures of a prompt.
        stochastic: solver steps, from 0, that are SDE steps; their transitions are kept.
        version: updates that the weights have seen.

    Returns:
        A rollout of P * group_size pictures; each depends on its prompt and seed alone.
    """
    if len(seeds) != len(prompts) * group_size:
        raise ConfigError(
            f"{len(prompts)} prompts in groups of {group_size} need {len(prompts) * group_size} seeds; "
            f"got {len(seeds)}."
        )
    texts = [prompt.text for prompt in prompts]
    cond, empty = policy.read(texts), policy.read([""])
    given = Conditioning(
        tokens=cond.tokens.repeat_interleave(group_size, 0), mask=cond.mask.repeat_interleave(group_size, 0)
    )
    noise = draws.normal(seeds, draws.NOISE, policy.latent_shape).to(policy.device)
    parts = [
        _some(velocity, given, empty, noise, seeds, slice(i, i + painting.at_once), painting, stochastic)
        for i in range(0, len(seeds), painting.at_once)
    ]
    x_0 = torch.cat([part for part, _ in parts])
    images = [on_background(policy.decode(some)).clamp(0, 1) for some in x_0.split(painting.at_once)]
    return Rollout(
        prompts=repeated(prompts, group_size),
        group_size=group_size,
        seeds=tuple(seeds),
        cond=given,
        noise=noise,
        x_0=x_0,
        images=torch.cat(images),
        path=_joined([path for _, path in parts]),
        sampler=painting.hash(),
        version=version,
    )


def _some(
    velocity: VelocityOf,
    cond: Conditioning,
    empty: Conditioning,
    noise: Tensor,
    seeds: Sequence[int],
    rows: slice,
    painting: Painting,
    stochastic: frozenset[int],
) -> tuple[Tensor, tuple[Transition, ...]]:
    """The latents of some rows, and their stochastic steps."""
    x_T = noise[rows]
    mine = Conditioning(tokens=cond.tokens[rows], mask=cond.mask[rows])
    none = Conditioning(tokens=empty.tokens.expand(len(x_T), -1, -1), mask=empty.mask.expand(len(x_T), -1))
    x_0, path = solve_sde(
        guided(
            partial(_call, velocity, mine),
            partial(_call, velocity, none),
            guidance_scale=painting.guidance_scale,
            interval=painting.guidance_interval,
        ),
        x_T,
        time_grid(painting.num_steps, shift=painting.shift),
        stochastic=stochastic,
        noise=lambda step: draws.normal(seeds[rows], draws.PATH + step, x_T.shape[1:]).to(x_T),
        kind=painting.noise.kind,
        noise_level=painting.noise.level,
        method=painting.solver,
    )
    return x_0, tuple(Transition(**step._asdict()) for step in path)


def _call(velocity: VelocityOf, cond: Conditioning, x_t: Tensor, t: Tensor) -> Tensor:
    return velocity(x_t, t, cond)


def _joined(paths: Sequence[tuple[Transition, ...]]) -> tuple[Transition, ...]:
    """The same steps of further pictures, put below each other."""
    return tuple(
        replace(
            steps[0],
            x_t=torch.cat([step.x_t for step in steps]),
            x_next=torch.cat([step.x_next for step in steps]),
            mean=torch.cat([step.mean for step in steps]),
            log_prob=torch.cat([step.log_prob for step in steps]),
        )
        for steps in zip(*paths, strict=True)
    )
