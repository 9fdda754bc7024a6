"""Online DPO: in each group the better picture is preferred to the worse, as the matching error tells.

Source  Wallace et al. 2023, Diffusion-DPO (arXiv:2311.12908), equation 14, on velocities and on pairs
        that the policy itself painted, as in Flow-GRPO's comparison (arXiv:2505.05470, appendix C).
Letters P groups, G pictures of a group that are used, C channels, h w latent size.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning
from pictura.learn.actors import Actors
from pictura.learn.algorithm import Loss, Noise
from pictura.learn.renoise import Renoised, check_times, renoised
from pictura.learn.rollout import Experience
from pictura.learn.surrogate import averaged


@dataclass(frozen=True, kw_only=True, slots=True)
class DPOSettings:
    """Of online DPO."""

    pairs: Literal["extremes", "all"] = "extremes"
    """The best against the worst of each group, which calls the network for these two alone; or all pairs."""
    beta: float = 100.0
    """How sharply a difference of errors counts as a preference; too little collapses."""
    num_times: int = 2
    """Times at which each pair is learnt, both at the same time and noise."""
    shift: float = 3.0
    """Of those times, as in painting."""

    def __post_init__(self) -> None:
        check_times(self.num_times, self.shift)
        if self.pairs not in ("extremes", "all"):
            raise ConfigError(f"algorithm.pairs must be 'extremes' or 'all'; got {self.pairs!r}.")
        if not self.beta > 0:
            raise ConfigError(f"algorithm.beta must be above 0; got {self.beta}.")


class DPO:
    """Online direct preference optimisation."""

    Settings: ClassVar = DPOSettings
    name: ClassVar = "dpo"
    needs: ClassVar[Literal["velocity"]] = "velocity"
    behaviour: ClassVar[Literal["new"]] = "new"
    compares: ClassVar = True
    differentiable: ClassVar = False
    noise: ClassVar = Noise()

    def __init__(self, settings: DPOSettings) -> None:
        self.settings = settings

    def stochastic(self, num_steps: int, rng: np.random.Generator) -> frozenset[int]:
        """None."""
        return frozenset()

    def loss(self, actors: Actors, batch: Experience) -> Loss:
        """What some whole groups teach: every picture of a group carries the mean over the group's pairs."""
        s = self.settings
        # 1. Whom to compare: `better_PGG[p, i, j]` where picture i of group p is better than j.
        rows_PG = _rows(batch, extremes=s.pairs == "extremes")
        score_PG, valid_PG = batch.advantage[rows_PG], batch.valid[rows_PG]
        better_PGG = score_PG[:, :, None] > score_PG[:, None, :]
        better_PGG = better_PGG & valid_PG[:, :, None] & valid_PG[:, None, :]
        num_P = better_PGG.sum(dim=(1, 2)).clamp_min(1)

        # 2. The pictures of a group are noised alike, so that only they differ.
        rows = rows_PG.flatten()
        cond = Conditioning(tokens=batch.cond.tokens[rows], mask=batch.cond.mask[rows])
        shared = [batch.seeds[i // batch.group_size * batch.group_size] for i in rows.tolist()]
        losses, metrics = [], []
        for at in renoised(batch.x_0[rows], shared, num_times=s.num_times, shift=s.shift):
            new, reference = (
                velocity(at.x_t, at.t, cond).float() for velocity in (actors.new, actors.reference)
            )
            # 3. Beside the reference, the better one's error must fall more than the worse one's.
            gain_PG = (_error(at, reference) - _error(at, new)).view(rows_PG.shape)
            margin_PGG = 0.5 * s.beta * (gain_PG[:, :, None] - gain_PG[:, None, :])
            loss_P = (-F.logsigmoid(margin_PGG) * better_PGG).sum(dim=(1, 2)) / num_P
            losses.append(loss_P)
            num_pairs = better_PGG.sum().clamp_min(1)
            metrics.append(
                {
                    "accuracy": ((margin_PGG > 0) & better_PGG).sum().div(num_pairs).item(),
                    "margin": (margin_PGG * better_PGG).sum().div(num_pairs).item(),
                    "groups_with_pairs": better_PGG.any(dim=(1, 2)).float().mean().item(),
                    "kl": (new - reference).square().mean().item(),
                }
            )
        loss_P = torch.stack(losses).mean(0)
        return Loss(per_picture=loss_P.repeat_interleave(batch.group_size), metrics=averaged(metrics))

    def old_decay(self, update: int) -> float:
        """The slow copy is not used."""
        return 0.0


def _rows(batch: Experience, *, extremes: bool) -> Tensor:
    """Which pictures of each group to use: (P, 2) the best and the worst valid ones, or (P, G) all."""
    all_PG = torch.arange(len(batch.valid), device=batch.valid.device).view(-1, batch.group_size)
    if not extremes:
        return all_PG
    score_PG, valid_PG = batch.advantage[all_PG], batch.valid[all_PG]
    best_P = score_PG.masked_fill(~valid_PG, -torch.inf).argmax(dim=1)
    worst_P = score_PG.masked_fill(~valid_PG, torch.inf).argmin(dim=1)
    return all_PG.gather(1, torch.stack([best_P, worst_P], dim=1))


def _error(at: Renoised, velocity: Tensor) -> Tensor:
    return (velocity - at.velocity).square().flatten(1).mean(1)
