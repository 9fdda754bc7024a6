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

from pictura.learn.actors import Actors
from pictura.learn.algorithm import Loss, Noise
from pictura.learn.guided import check_guidance, guided
from pictura.learn.renoise import check_times, renoised
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
        check_guidance(self.guidance_scale, self.guidance_interval)


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
            wanted = guided(
                actors.reference,
                actors.policy,
                at,
                plain,
                scale=s.guidance_scale,
                interval=s.guidance_interval,
            )
            error_B = (new - wanted).square().flatten(1).mean(1)
            losses.append(error_B)
            # The way from the reference is the aim here, so no guard may watch it as `kl`.
            change = (new - plain).square().mean().item()
            metrics.append({"error": error_B.mean().item(), "change": change})
        return Loss(per_picture=torch.stack(losses).mean(0), metrics=averaged(metrics))

    def old_decay(self, update: int) -> float:
        """The slow copy is not used."""
        return 0.0
