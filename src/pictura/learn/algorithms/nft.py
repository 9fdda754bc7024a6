"""DiffusionNFT: towards what was good and away from what was bad, on noised pictures alone.

The policy stands between two imagined ones: v+ goes from the slow copy its way, v- as far the other way. Good
pictures teach v+, bad ones v-. No probabilities, no paths: any solver paints.

Source  Zheng et al. 2025, DiffusionNFT (arXiv:2509.16117), equation 5 and algorithm 1; its code's scaling of
        each error by its own mean distance.
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
from pictura.learn.surrogate import averaged


@dataclass(frozen=True, kw_only=True, slots=True)
class NFTSettings:
    """Of DiffusionNFT."""

    beta: float = 1.0
    """How far v+ and v- lie from the slow copy, in steps of the policy's way from it; less learns faster."""
    num_times: int = 2
    """Times at which each picture is learnt."""
    shift: float = 3.0
    """Of those times, as in painting."""
    max_advantage: float = 5.0
    """The advantage that counts as wholly good (and its negative as wholly bad)."""
    kl_weight: float = 1e-4
    """Of the squared distance from the reference's velocity."""
    old_decay_rate: float = 0.001
    """The slow copy's decay grows by this with each update …"""
    old_decay_max: float = 0.5
    """… up to this."""

    def __post_init__(self) -> None:
        check_times(self.num_times, self.shift)
        if not (self.beta > 0 and self.max_advantage > 0 and self.kl_weight >= 0):
            raise ConfigError(
                "algorithm.beta and max_advantage must be above 0 and kl_weight at least 0; "
                f"got {self.beta}, {self.max_advantage} and {self.kl_weight}."
            )


class NFT:
    """DiffusionNFT."""

    Settings: ClassVar = NFTSettings
    name: ClassVar = "nft"
    needs: ClassVar[Literal["velocity"]] = "velocity"
    behaviour: ClassVar[Literal["old"]] = "old"
    compares: ClassVar = True
    differentiable: ClassVar = False
    noise: ClassVar = Noise()

    def __init__(self, settings: NFTSettings) -> None:
        self.settings = settings

    def stochastic(self, num_steps: int, rng: np.random.Generator) -> frozenset[int]:
        """None."""
        return frozenset()

    def loss(self, actors: Actors, batch: Experience) -> Loss:
        """What some whole groups teach."""
        s = self.settings
        # 1. How good was each picture, from 0 to 1? One half teaches nothing.
        good_B = 0.5 + 0.5 * (batch.advantage / s.max_advantage).clamp(-1, 1)

        losses, metrics = [], []
        for at in renoised(batch.x_0, batch.seeds, num_times=s.num_times, shift=s.shift):
            new, old, reference = (
                velocity(at.x_t, at.t, batch.cond).float()
                for velocity in (actors.new, actors.old, actors.reference)
            )
            # 2. Good pictures pull v+ to themselves, bad ones v-, which pushes the policy away.
            positive_B = _error(at, s.beta * new + (1 - s.beta) * old, batch.x_0)
            negative_B = _error(at, (1 + s.beta) * old - s.beta * new, batch.x_0)
            match_B = good_B * positive_B + (1 - good_B) * negative_B

            # 3. Not too far from where it started.
            kl_B = (new - reference).square().flatten(1).mean(1)
            losses.append(match_B * s.max_advantage / s.beta + s.kl_weight * kl_B)
            metrics.append(
                {
                    "kl": kl_B.mean().item(),
                    "kl_old": (new - old).square().mean().item(),
                }
            )
        return Loss(per_picture=torch.stack(losses).mean(0), metrics=averaged(metrics))

    def old_decay(self, update: int) -> float:
        """Fast at first, slower later."""
        return min(self.settings.old_decay_rate * update, self.settings.old_decay_max)


def _error(at: Renoised, velocity: Tensor, x_0: Tensor) -> Tensor:
    """Squared distance of the x_0 that a velocity leads to, over its mean distance: (B,)."""
    miss = (at.clean(velocity) - x_0.float()).flatten(1)
    return miss.square().mean(1) / miss.detach().abs().mean(1).clamp_min(1e-5)
