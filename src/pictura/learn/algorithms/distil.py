"""Guidance distillation: learn to paint in one network call a step what guidance needs two for.

The reference paints with guidance; the policy learns, without, the guided velocity on those pictures. No
reward is needed. It is the start of learning without guidance.

Source  Meng et al. 2022, On distillation of guided diffusion models (arXiv:2210.03142), stage 1. Differs: one
        guidance scale, and the pictures are painted, not from data.
Letters B pictures, C channels, h w latent size.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning
from pictura.learn.actors import Actors
from pictura.learn.algorithm import Loss, Noise
from pictura.learn.renoise import Renoised, check_times, renoised
from pictura.learn.rollout import Experience
from pictura.learn.surrogate import averaged


@dataclass(frozen=True, kw_only=True, slots=True)
class DistilSettings:
    """Of guidance distillation."""

    guidance_scale: float = 3.0
    """What is learnt; the rollouts are painted with the same (`rollout.guidance_scale`)."""
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    """The times at which guidance is on."""
    num_times: int = 2
    """Times at which each picture is learnt."""
    shift: float = 3.0
    """Of those times, as in painting."""

    def __post_init__(self) -> None:
        check_times(self.num_times, self.shift)
        low, high = self.guidance_interval
        if not 0 <= low <= high <= 1:
            raise ConfigError(
                f"algorithm.guidance_interval must be 0 <= low <= high <= 1; got {low} to {high}."
            )
        if not self.guidance_scale >= 0:
            raise ConfigError(f"algorithm.guidance_scale must be at least 0; got {self.guidance_scale}.")


class Distil:
    """Guidance distillation."""

    Settings: ClassVar = DistilSettings
    name: ClassVar = "distil"
    needs: ClassVar[Literal["velocity"]] = "velocity"
    behaviour: ClassVar[Literal["reference"]] = "reference"
    compares: ClassVar = False
    differentiable: ClassVar = False
    noise: ClassVar = Noise()

    def __init__(self, settings: DistilSettings) -> None:
        self.settings = settings

    def stochastic(self, num_steps: int, rng: np.random.Generator) -> frozenset[int]:
        """None."""
        return frozenset()

    def loss(self, actors: Actors, batch: Experience) -> Loss:
        """What some whole groups teach."""
        s = self.settings
        losses, metrics = [], []
        for at in renoised(batch.x_0, batch.seeds, num_times=s.num_times, shift=s.shift):
            new = actors.new(at.x_t, at.t, batch.cond).float()
            plain = actors.reference(at.x_t, at.t, batch.cond).float()
            error_B = (new - self._guided(actors, at, plain)).square().flatten(1).mean(1)
            losses.append(error_B)
            # The way from the reference is the aim here, so no guard may watch it as `kl`.
            change = (new - plain).square().mean().item()
            metrics.append({"error": error_B.mean().item(), "change": change})
        return Loss(per_picture=torch.stack(losses).mean(0), metrics=averaged(metrics))

    def _guided(self, actors: Actors, at: Renoised, plain: Tensor) -> Tensor:
        """The reference's velocity with guidance."""
        empty, num = actors.policy.read([""]), len(plain)
        none = Conditioning(tokens=empty.tokens.expand(num, -1, -1), mask=empty.mask.expand(num, -1))
        without = actors.reference(at.x_t, at.t, none).float()
        low, high = self.settings.guidance_interval
        on_B = (at.t >= low) & (at.t <= high)
        scale_B = torch.where(on_B, self.settings.guidance_scale, 1.0)
        return without + scale_B[:, None, None, None] * (plain - without)

    def old_decay(self, update: int) -> float:
        """The slow copy is not used."""
        return 0.0
