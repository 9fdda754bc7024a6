"""AWM: flow matching on what was painted, weighted by how much better it was than the rest.

The matching error stands for a log-probability (the bound that training a flow minimises), so the policy
gradient needs no drawn steps.

Source  Xue et al. 2025, Advantage Weighted Matching (arXiv:2509.25050), equation 11; its code for the bent
        error ("ghuber"), the pull to the slow copy, and the settings of its GenEval run.
Letters B pictures, C channels, h w latent size.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.learn.actors import Actors
from pictura.learn.algorithm import Loss, Noise
from pictura.learn.renoise import Renoised, check_times, renoised
from pictura.learn.rollout import Experience
from pictura.learn.surrogate import averaged, clipped_surrogate, ratio_metrics


@dataclass(frozen=True, kw_only=True, slots=True)
class AWMSettings:
    """Of AWM."""

    num_times: int = 2
    """Times at which each picture is learnt."""
    shift: float = 3.0
    """Of those times, as in painting."""
    power: float = 0.25
    """p of the error's form error^p / p: 1 is the mean square. Less pushes less where the error is large
    already, without which bad pictures are pushed away without bound."""
    max_advantage: float = 5.0
    """The advantage that counts as 1."""
    behaviour: Literal["new", "old"] = "new"
    """Who paints: the policy itself, which makes every ratio 1, or its slow copy."""
    clip_range: float = 1.0
    """Of the ratio, where the slow copy paints."""
    kl_weight: float = 0.003
    """Of the squared distance from the reference's velocity."""
    old_weight: float = 1.0
    """Of the squared distance from the slow copy's velocity."""
    old_decay_rate: float = 0.001
    """The slow copy's decay grows by this with each update …"""
    old_decay_max: float = 0.3
    """… up to this."""

    def __post_init__(self) -> None:
        check_times(self.num_times, self.shift)
        if self.behaviour not in ("new", "old"):
            raise ConfigError(f"algorithm.behaviour must be 'new' or 'old'; got {self.behaviour!r}.")
        for name in ("power", "max_advantage", "clip_range"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"algorithm.{name} must be above 0; got {getattr(self, name)}.")
        if not (self.kl_weight >= 0 and self.old_weight >= 0):
            raise ConfigError(
                "algorithm.kl_weight and old_weight must be at least 0; "
                f"got {self.kl_weight} and {self.old_weight}."
            )


class AWM:
    """Advantage weighted matching."""

    Settings: ClassVar = AWMSettings
    name: ClassVar = "awm"
    needs: ClassVar[Literal["velocity"]] = "velocity"
    compares: ClassVar = True
    differentiable: ClassVar = False
    noise: ClassVar = Noise()

    def __init__(self, settings: AWMSettings) -> None:
        self.settings = settings
        self.behaviour = settings.behaviour

    def stochastic(self, num_steps: int, rng: np.random.Generator) -> frozenset[int]:
        """None."""
        return frozenset()

    def loss(self, actors: Actors, batch: Experience) -> Loss:
        """What some whole groups teach."""
        s = self.settings
        advantage_B = (batch.advantage / s.max_advantage).clamp(-1, 1)
        losses, metrics = [], []
        for at in renoised(batch.x_0, batch.seeds, num_times=s.num_times, shift=s.shift):
            new, old, reference = (
                velocity(at.x_t, at.t, batch.cond).float()
                for velocity in (actors.new, actors.old, actors.reference)
            )
            # 1. The matching error as a log-probability, of the policy and of who painted.
            log_prob_B = self._log_prob(at, new)
            then_B = log_prob_B.detach() if self.behaviour == "new" else self._log_prob(at, old)
            ratio_B = (log_prob_B - then_B).exp()

            # 2. The better likelier, the worse less likely; near the slow copy, and near where it started.
            old_B, kl_B = ((new - other).square().flatten(1).mean(1) for other in (old, reference))
            policy_B = clipped_surrogate(ratio_B, advantage_B, s.clip_range)
            losses.append(policy_B + s.old_weight * old_B + s.kl_weight * kl_B)
            metrics.append(
                {
                    **ratio_metrics(ratio_B, advantage_B, s.clip_range),
                    "kl": kl_B.mean().item(),
                    "kl_old": old_B.mean().item(),
                }
            )
        return Loss(per_picture=torch.stack(losses).mean(0), metrics=averaged(metrics))

    def _log_prob(self, at: Renoised, velocity: Tensor) -> Tensor:
        """-t error^p / p: (B,)."""
        error_B = (velocity - at.velocity).square().flatten(1).mean(1)
        return -at.t * (error_B + 1e-10) ** self.settings.power / self.settings.power

    def old_decay(self, update: int) -> float:
        """Fast at first, slower later."""
        return min(self.settings.old_decay_rate * update, self.settings.old_decay_max)
