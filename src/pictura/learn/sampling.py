"""Paint pictures to learn from: prompts and weights in, a rollout out.

Here is painting along a velocity; painting by tokens is in `tokens.py`.

Letters B pictures, C channels, h w latent size.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.core.images import on_background
from pictura.core.types import Conditioning, Prompt
from pictura.learn import draws
from pictura.learn.actors import VelocityOf
from pictura.learn.algorithm import Algorithm, Noise, Particular
from pictura.learn.guided import guided_way
from pictura.learn.policy import Policy, TokenPolicy, VelocityPolicy
from pictura.learn.recipe import RolloutSettings
from pictura.learn.rollout import Drawn, Rollout, Transition, repeated
from pictura.learn.tokens import token_painting
from pictura.sample.ode import check_solver
from pictura.sample.schedules import time_grid
from pictura.sample.sde import solve_sde


class AnyPainting(Protocol):
    """How pictures are painted to learn from, by whatever kind of policy."""

    @property
    def at_once(self) -> int:
        """Pictures of one network call."""
        ...

    @property
    def calls(self) -> int:
        """Network calls for a picture."""
        ...

    def hash(self) -> str:
        """First 12 hex digits over everything that changes a picture."""
        ...

    def draw(
        self, policy: Any, hand: Any, cond: Conditioning, seeds: Sequence[int], stochastic: frozenset[int]
    ) -> Drawn:
        """Paint a picture for each of B seeds: `cond` is of their prompts, the rest as for `paint`."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Painting:
    """How pictures are painted along a velocity."""

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

    @property
    def calls(self) -> int:
        """Network calls for a picture."""
        return self.num_steps * (1 if self.guidance_scale == 1 else 2)

    def draw(
        self,
        policy: VelocityPolicy,
        hand: VelocityOf,
        cond: Conditioning,
        seeds: Sequence[int],
        stochastic: frozenset[int],
    ) -> Drawn:
        """Paint a latent for each of B seeds, and keep its stochastic steps."""
        x_T = draws.normal(seeds, draws.NOISE, policy.latent_shape).to(policy.device)
        x_0, path = solve_sde(
            guided_way(hand, policy, cond, scale=self.guidance_scale, interval=self.guidance_interval),
            x_T,
            time_grid(self.num_steps, shift=self.shift),
            stochastic=stochastic,
            noise=lambda step: draws.normal(seeds, draws.PATH + step, x_T.shape[1:]).to(x_T),
            kind=self.noise.kind,
            noise_level=self.noise.level,
            method=self.solver,
        )
        return Drawn(x_T, x_0, tuple(Transition(**step._asdict()) for step in path))


def make_painting(
    settings: RolloutSettings, algorithm: Algorithm, policy: Policy, *, guidance: bool = True
) -> AnyPainting:
    """How a recipe wants pictures painted.

    Args:
        settings: of the recipe.
        algorithm: says which noise its stochastic steps have.
        policy: who paints.
        guidance: false leaves it out.

    Raises:
        ConfigError: a setting does not go with the algorithm or the policy.
    """
    if isinstance(policy, TokenPolicy):
        return token_painting(settings, policy.num_tokens)
    if isinstance(algorithm, Particular):
        algorithm.check(settings)
    drawn = algorithm.stochastic(settings.num_steps, np.random.default_rng(0))
    if drawn and settings.guidance_scale != 1:
        raise ConfigError(
            f"rollout.guidance_scale must be 1 (off) for {algorithm.name!r}, which learns from "
            f"drawn steps of one network call; got {settings.guidance_scale}."
        )
    if (settings.temperature, settings.top_k) != (1, 0):
        raise ConfigError(
            f"rollout.temperature and top_k are for painters by tokens, and this one follows a velocity; "
            f"got {settings.temperature} and {settings.top_k}. Leave them out."
        )
    return Painting(
        num_steps=settings.num_steps,
        solver=settings.solver,
        shift=settings.shift,
        guidance_scale=settings.guidance_scale if guidance else 1.0,
        guidance_interval=settings.guidance_interval,
        at_once=settings.at_once,
        noise=algorithm.noise,
    )


@torch.no_grad()
def paint(
    policy: Policy,
    hand: Callable[..., Tensor],
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
    painting: AnyPainting,
    *,
    group_size: int,
    stochastic: frozenset[int] = frozenset(),
    version: int = 0,
) -> Rollout:
    """Paint a group of pictures for each prompt.

    Args:
        policy: reads prompts and decodes what was painted.
        hand: whose hand paints, such as `Actors.old`.
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
    cond = policy.read([prompt.text for prompt in prompts])
    tokens, mask = (row.repeat_interleave(group_size, 0) for row in (cond.tokens, cond.mask))
    parts = []
    for i in range(0, len(seeds), painting.at_once):
        rows = slice(i, i + painting.at_once)
        some = Conditioning(tokens=tokens[rows], mask=mask[rows])
        parts.append(painting.draw(policy, hand, some, seeds[rows], stochastic))
    drawn = _joined(parts)
    images = [on_background(policy.decode(some)).clamp(0, 1) for some in drawn.x_0.split(painting.at_once)]
    return Rollout(
        prompts=repeated(prompts, group_size),
        group_size=group_size,
        seeds=tuple(seeds),
        cond=Conditioning(tokens=tokens, mask=mask),
        images=torch.cat(images),
        sampler=painting.hash(),
        version=version,
        **drawn._asdict(),
    )


def _joined(parts: Sequence[Drawn]) -> Drawn:
    """Further pictures put below each other, and the same steps of them."""
    path = tuple(
        replace(
            steps[0],
            x_t=torch.cat([step.x_t for step in steps]),
            x_next=torch.cat([step.x_next for step in steps]),
            mean=torch.cat([step.mean for step in steps]),
            log_prob=torch.cat([step.log_prob for step in steps]),
        )
        for steps in zip(*(part.path for part in parts), strict=True)
    )
    log_probs = [part.log_prob for part in parts if part.log_prob is not None]
    return Drawn(
        torch.cat([part.noise for part in parts]),
        torch.cat([part.x_0 for part in parts]),
        path,
        torch.cat(log_probs) if log_probs else None,
    )
