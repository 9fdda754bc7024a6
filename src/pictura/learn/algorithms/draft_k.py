"""DRaFT-K: the gradient of the reward itself, through the last steps of painting and the decoder.

The noise of a picture is walked again, to the picture that the policy paints now; the reward looks at that,
and its gradient goes back through the last K steps, each of which is the policy's.

Source  Clark et al. 2023, DRaFT (arXiv:2309.17400), section 4.1: K steps are derived; K = all is plain
        DRaFT. Differs: flow matching, and a divergence from the reference in those steps.
Letters B pictures, C channels, h w latent size.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch

from pictura.core.errors import ConfigError
from pictura.core.images import on_background
from pictura.learn.actors import Actors
from pictura.learn.algorithm import Loss, Noise
from pictura.learn.recipe import RolloutSettings
from pictura.learn.rollout import Experience
from pictura.reward.types import Reward
from pictura.sample.ode import Steps, check_solver
from pictura.sample.schedules import time_grid


@dataclass(frozen=True, kw_only=True, slots=True)
class DraftKSettings:
    """Of DRaFT-K. How it walks must be how the rollouts are painted."""

    last: int = 2
    """K: steps that are derived, the last ones. More let the reward change what is where."""
    num_steps: int = 4
    solver: str = "euler"
    shift: float = 3.0
    enough: float = float("inf")
    """Reward above which a picture is pulled no further."""
    kl_weight: float = 0.01
    """Of the squared distance from the reference's velocity, mean over the derived steps."""

    def __post_init__(self) -> None:
        check_solver(self.solver)
        time_grid(self.num_steps, shift=self.shift)
        if not 1 <= self.last <= self.num_steps:
            raise ConfigError(
                f"algorithm.last must be from 1 to num_steps, which is {self.num_steps}; got {self.last}."
            )
        if not self.kl_weight >= 0:
            raise ConfigError(f"algorithm.kl_weight must be at least 0; got {self.kl_weight}.")


class DraftK:
    """DRaFT-K."""

    Settings: ClassVar = DraftKSettings
    name: ClassVar = "draft-k"
    needs: ClassVar[Literal["velocity"]] = "velocity"
    behaviour: ClassVar[Literal["new"]] = "new"
    compares: ClassVar = False
    differentiable: ClassVar = True
    noise: ClassVar = Noise()

    def __init__(self, settings: DraftKSettings, reward: Reward) -> None:
        self.settings, self.reward = settings, reward

    def check(self, rollout: RolloutSettings) -> None:
        """Refuse rollouts that are painted otherwise than the algorithm walks.

        Raises:
            ConfigError: they are; the message says what they must be.
        """
        s = self.settings
        wanted = {"num_steps": s.num_steps, "solver": s.solver, "shift": s.shift, "guidance_scale": 1.0}
        for name, value in wanted.items():
            if getattr(rollout, name) != value:
                raise ConfigError(
                    f"rollout.{name} must be {value!r}, as [algorithm] walks; got {getattr(rollout, name)!r}."
                )

    def stochastic(self, num_steps: int, rng: np.random.Generator) -> frozenset[int]:
        """None."""
        return frozenset()

    def loss(self, actors: Actors, batch: Experience) -> Loss:
        """What some whole groups teach: of each picture its noise alone is taken."""
        s = self.settings

        # 1. From the noise to a picture, the last steps with their gradient.
        steps = Steps(batch.noise, time_grid(s.num_steps, shift=s.shift), s.solver)
        kl_B = torch.zeros(len(batch.seeds), device=batch.noise.device)
        for number in range(s.num_steps):
            derived = number >= s.num_steps - s.last
            with torch.set_grad_enabled(derived):
                velocity = actors.new(steps.x_t, steps.t, batch.cond).float()
            if derived:
                kept = actors.reference(steps.x_t.detach(), steps.t, batch.cond).float()
                kl_B = kl_B + (velocity - kept).square().flatten(1).mean(1) / s.last
            steps.take(velocity)
        images = on_background(actors.policy.decode(steps.x_t)).clamp(0, 1)

        # 2. The reward of that picture, up to what is enough.
        scores = self.reward(images, batch.prompts)
        missing_B = -scores.total if s.enough == float("inf") else (s.enough - scores.total).clamp_min(0)
        missing_B = torch.where(scores.valid, missing_B, 0.0)
        seen = scores.total.detach()[scores.valid]
        return Loss(
            per_picture=missing_B + s.kl_weight * kl_B,
            metrics={"reward_now": seen.mean().item() if len(seen) else 0.0, "kl": kl_B.mean().item()},
        )

    def old_decay(self, update: int) -> float:
        """The slow copy is not used."""
        return 0.0
