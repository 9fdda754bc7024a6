"""Reward back-propagation: the gradient of the reward itself, through one step and the decoder.

What was painted is noised a little, the policy takes one step back to x_0, and the reward looks at that.

Source  Xu et al. 2023, ReFL (arXiv:2304.05977), and Clark et al. 2023, DRaFT-LV (arXiv:2309.17400, section
        4.2), which noises the finished picture several times. Differs: flow matching, a divergence from the
        reference, and guidance in the step where the model paints with it.
Letters B pictures, C channels, h w latent size.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.core.images import on_background
from pictura.learn.actors import Actors, VelocityOf
from pictura.learn.algorithm import Loss, Noise
from pictura.learn.guided import check_guidance, guided
from pictura.learn.renoise import Renoised, check_times, renoised
from pictura.learn.rollout import Experience
from pictura.learn.surrogate import averaged
from pictura.reward.types import Reward


@dataclass(frozen=True, kw_only=True, slots=True)
class BackpropSettings:
    """Of reward back-propagation."""

    num_times: int = 2
    """Times at which each picture is looked at."""
    lowest: float = 0.05
    """Least noise."""
    highest: float = 0.5
    """Most noise: more lets the reward change what is where, less only how it looks."""
    enough: float = float("inf")
    """Reward above which a picture is pulled no further."""
    kl_weight: float = 0.01
    """Of the squared distance from the reference's velocity."""
    guidance_scale: float = 1.0
    """Of the step back, as the model paints with it (`rollout.guidance_scale`); 1 is off."""
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    """The times at which guidance is on."""

    def __post_init__(self) -> None:
        check_times(self.num_times, 1.0)
        check_guidance(self.guidance_scale, self.guidance_interval)
        if not 0 <= self.lowest < self.highest <= 1:
            raise ConfigError(
                f"algorithm.lowest and highest must be 0 <= lowest < highest <= 1; "
                f"got {self.lowest} and {self.highest}."
            )
        if not self.kl_weight >= 0:
            raise ConfigError(f"algorithm.kl_weight must be at least 0; got {self.kl_weight}.")


class Backprop:
    """ReFL and DRaFT-LV."""

    Settings: ClassVar = BackpropSettings
    name: ClassVar = "backprop"
    needs: ClassVar[Literal["velocity"]] = "velocity"
    behaviour: ClassVar[Literal["new"]] = "new"
    compares: ClassVar = False
    differentiable: ClassVar = True
    noise: ClassVar = Noise()

    def __init__(self, settings: BackpropSettings, reward: Reward) -> None:
        self.settings, self.reward = settings, reward

    def stochastic(self, num_steps: int, rng: np.random.Generator) -> frozenset[int]:
        """None."""
        return frozenset()

    def loss(self, actors: Actors, batch: Experience) -> Loss:
        """What some whole groups teach."""
        s = self.settings
        losses, metrics = [], []
        between = (s.lowest, s.highest)
        for at in renoised(batch.x_0, batch.seeds, num_times=s.num_times, shift=1.0, between=between):
            # 1. One step back to a picture, with its gradient.
            new = self._velocity(actors, actors.new, at, batch)
            images = on_background(actors.policy.decode(at.clean(new))).clamp(0, 1)

            # 2. The reward of that picture, up to what is enough.
            scores = self.reward(images, batch.prompts)
            missing_B = -scores.total if s.enough == float("inf") else (s.enough - scores.total).clamp_min(0)
            missing_B = torch.where(scores.valid, missing_B, 0.0)

            # 3. Not too far from where it started.
            kept = self._velocity(actors, actors.reference, at, batch)
            kl_B = (new - kept).square().flatten(1).mean(1)
            losses.append(missing_B + s.kl_weight * kl_B)
            seen = scores.total.detach()[scores.valid]
            metrics.append(
                {
                    "reward_one_step": seen.mean().item() if len(seen) else 0.0,
                    "kl": kl_B.mean().item(),
                }
            )
        return Loss(per_picture=torch.stack(losses).mean(0), metrics=averaged(metrics))

    def _velocity(self, actors: Actors, hand: VelocityOf, at: Renoised, batch: Experience) -> Tensor:
        plain, s = hand(at.x_t, at.t, batch.cond).float(), self.settings
        return guided(hand, actors.policy, at, plain, scale=s.guidance_scale, interval=s.guidance_interval)

    def old_decay(self, update: int) -> float:
        """The slow copy is not used."""
        return 0.0
