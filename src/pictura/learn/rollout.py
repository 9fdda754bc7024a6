"""Pictures that were painted to learn from, and how.

Letters B pictures (whole groups, all pictures of a prompt side by side), C channels, h w latent size,
        L tokens of a picture, T text tokens, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from torch import Tensor

from pictura.core.types import Conditioning, Prompt


@dataclass(frozen=True, kw_only=True, slots=True)
class Transition:
    """One stochastic step of B paths, in fp32."""

    t: float
    t_next: float
    x_t: Tensor
    """(B, C, h, w) before the step."""
    x_next: Tensor
    """(B, C, h, w) after it."""
    mean: Tensor
    """(B, C, h, w) of the normal law that `x_next` was drawn from."""
    std: float
    """Of each number of it."""
    log_prob: Tensor
    """(B,) of `x_next`, mean over the numbers."""


class Drawn(NamedTuple):
    """What some pictures were made of and became."""

    noise: Tensor
    """What painting started from: latents (B, C, h, w), or for tokens (B, L) numbers in [0, 1)."""
    x_0: Tensor
    """What was painted: latents (B, C, h, w), or codes (B, L) int64."""
    path: tuple[Transition, ...] = ()
    """The stochastic steps; none where the path was an ODE, and none for tokens."""
    log_prob: Tensor | None = None
    """(B, L) of each token as it was drawn, in fp32; None where no tokens were."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """What was painted."""

    prompts: tuple[Prompt, ...]
    """B of them, each `group_size` times."""
    group_size: int
    seeds: tuple[int, ...]
    """B: every random number about a picture is drawn from its own (`draws.py`)."""
    cond: Conditioning
    """Of each picture's prompt, (B, T, D) or (B, T)."""
    noise: Tensor
    x_0: Tensor
    path: tuple[Transition, ...]
    log_prob: Tensor | None = None
    """These four as `Drawn` says."""
    images: Tensor
    """(B, 3, H, W) in [0, 1] on light grey."""
    sampler: str
    """Hash of how it was painted."""
    version: int
    """Updates that the painting weights had seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Experience:
    """Some whole groups of a rollout, with what they earned: what a loss is made of."""

    prompts: tuple[Prompt, ...]
    group_size: int
    seeds: tuple[int, ...]
    cond: Conditioning
    noise: Tensor
    x_0: Tensor
    path: tuple[Transition, ...]
    log_prob: Tensor | None = None
    """These four as `Drawn` says."""
    advantage: Tensor
    """(B,) how much better than the others of its group; 0 where the reward could not tell."""
    reward: Tensor
    """(B,) total."""
    valid: Tensor
    """(B,) bool."""


def experience(
    rollout: Rollout, *, advantage: Tensor, reward: Tensor, valid: Tensor, rows: slice
) -> Experience:
    """The pictures `rows` of a rollout; `advantage`, `reward` and `valid` are of all its B pictures."""
    cond = Conditioning(tokens=rollout.cond.tokens[rows], mask=rollout.cond.mask[rows])
    path = tuple(
        replace(
            step,
            x_t=step.x_t[rows],
            x_next=step.x_next[rows],
            mean=step.mean[rows],
            log_prob=step.log_prob[rows],
        )
        for step in rollout.path
    )
    return Experience(
        prompts=rollout.prompts[rows],
        group_size=rollout.group_size,
        seeds=rollout.seeds[rows],
        cond=cond,
        noise=rollout.noise[rows],
        x_0=rollout.x_0[rows],
        path=path,
        log_prob=None if rollout.log_prob is None else rollout.log_prob[rows],
        advantage=advantage[rows],
        reward=reward[rows],
        valid=valid[rows],
    )


T = TypeVar("T")


def repeated(items: Sequence[T], times: int) -> tuple[T, ...]:
    """Each item `times` times, side by side."""
    return tuple(item for item in items for _ in range(times))
