"""Flow-GRPO: some steps of painting are drawn, and the good draws are made likelier.

Source  Liu et al. 2025, Flow-GRPO (arXiv:2505.05470), equations 4 to 6, and its Fast variant (published
        code): one or two early steps are drawn, the rest is an ODE. Flow-DPPO (arXiv:2606.11025) for the
        divergence mask: a step is dropped only where its law has moved too far and would move further.
        Differs: the divergence from the reference is that of the laws of a step, |dt| included, so that the
        code's weight of 0.04 at ten steps is about 0.004 here.
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
from pictura.learn.rollout import Experience, Transition
from pictura.learn.surrogate import averaged, clipped_surrogate, ratio_metrics
from pictura.sample.sde import check_noise, log_prob, step_law


@dataclass(frozen=True, kw_only=True, slots=True)
class GRPOSettings:
    """Of Flow-GRPO."""

    stochastic_steps: int = 2
    """How many steps are drawn, side by side, elsewhere in each update; 0 draws all but the last (the full
    Flow-GRPO), which costs as many more network calls to learn from."""
    early: float = 0.5
    """Part of the steps, from the first, among which the drawn ones are."""
    sde: Literal["flow_sde", "cps"] = "flow_sde"
    """How steps are drawn, see `sample/sde.py`."""
    noise_level: float = 0.7
    """Of the drawn steps; 0.8 suits cps."""
    trust: Literal["clip", "divergence"] = "clip"
    """What keeps a step near the law it was drawn from: a clip of the ratio, or Flow-DPPO's mask."""
    clip_range: float = 1e-4
    """Of the ratio, which is per number of the latent."""
    max_divergence: float = 1e-5
    """Of the law of a step from the one it was drawn from, per number; for `divergence`."""
    kl_weight: float = 0.04
    """Of the divergence of a step's law from the reference's. More keeps more of the spread; see the page."""

    def __post_init__(self) -> None:
        check_noise(self.sde, self.noise_level)
        if self.noise_level == 0:
            raise ConfigError(
                "algorithm.noise_level must be above 0: steps without noise have no probability."
            )
        if self.trust not in ("clip", "divergence"):
            raise ConfigError(f"algorithm.trust must be 'clip' or 'divergence'; got {self.trust!r}.")
        if self.stochastic_steps < 0 or not 0 < self.early <= 1:
            raise ConfigError(
                "algorithm.stochastic_steps must be at least 0 and early above 0, at most 1; "
                f"got {self.stochastic_steps} and {self.early}."
            )
        for name in ("clip_range", "max_divergence"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"algorithm.{name} must be above 0; got {getattr(self, name)}.")
        if not self.kl_weight >= 0:
            raise ConfigError(f"algorithm.kl_weight must be at least 0; got {self.kl_weight}.")


class GRPO:
    """Flow-GRPO, full or fast."""

    Settings: ClassVar = GRPOSettings
    name: ClassVar = "grpo"
    needs: ClassVar[Literal["velocity"]] = "velocity"
    behaviour: ClassVar[Literal["new"]] = "new"
    compares: ClassVar = True
    differentiable: ClassVar = False

    def __init__(self, settings: GRPOSettings) -> None:
        self.settings = settings
        self.noise = Noise(kind=settings.sde, level=settings.noise_level)

    def stochastic(self, num_steps: int, rng: np.random.Generator) -> frozenset[int]:
        """A window among the early steps, or all but the last."""
        if not self.settings.stochastic_steps:
            return frozenset(range(max(1, num_steps - 1)))
        width = min(self.settings.stochastic_steps, num_steps)
        last = max(width, int(num_steps * self.settings.early))
        start = int(rng.integers(last - width + 1))
        return frozenset(range(start, start + width))

    def loss(self, actors: Actors, batch: Experience) -> Loss:
        """What some whole groups teach.

        Raises:
            ConfigError: no step was drawn.
        """
        if not batch.path:
            raise ConfigError(
                "The algorithm 'grpo' learns from drawn steps, and these pictures have none. Where sde "
                "= 'cps' the last step draws nothing: take more rollout.num_steps or less algorithm.early."
            )
        losses, metrics = zip(*(self._step(actors, batch, step) for step in batch.path), strict=True)
        return Loss(per_picture=torch.stack(losses).mean(0), metrics=averaged(list(metrics)))

    def _step(self, actors: Actors, batch: Experience, step: Transition) -> tuple[Tensor, dict[str, float]]:
        """What one drawn step teaches."""
        s = self.settings
        # 1. How likely is what was drawn now, against when it was drawn?
        t_B = torch.full_like(batch.advantage, step.t)
        v = actors.new(step.x_t, t_B, batch.cond).float()
        v_reference = actors.reference(step.x_t, t_B, batch.cond).float()
        mean, std = self._law(step, v)
        ratio_B = (log_prob(step.x_next, mean, std) - step.log_prob).exp()

        # 2. Make the good likelier and the bad less likely, but only near where they were drawn.
        metrics = ratio_metrics(ratio_B, batch.advantage, s.clip_range)
        if s.trust == "clip":
            policy_B = clipped_surrogate(ratio_B, batch.advantage, s.clip_range)
        else:
            divergence_B = _divergence(mean, step.mean, std).detach()
            further_B = (ratio_B.detach() - 1) * batch.advantage > 0
            masked_B = (divergence_B > s.max_divergence) & further_B
            policy_B = -ratio_B * batch.advantage * ~masked_B
            metrics |= {
                "clip_high": (masked_B & (batch.advantage > 0)).float().mean().item(),
                "clip_low": (masked_B & (batch.advantage < 0)).float().mean().item(),
            }

        # 3. Not too far from where it started.
        kl_B = _divergence(mean, self._law(step, v_reference)[0], std)
        metrics |= {
            "kl": (v - v_reference).square().mean().item(),
            "kl_step": kl_B.mean().item(),
        }
        return policy_B + s.kl_weight * kl_B, metrics

    def _law(self, step: Transition, velocity: Tensor) -> tuple[Tensor, float]:
        return step_law(
            step.x_t, velocity, step.t, step.t_next, kind=self.noise.kind, noise_level=self.noise.level
        )

    def old_decay(self, update: int) -> float:
        """The slow copy is not used."""
        return 0.0


def _divergence(mean: Tensor, other: Tensor, std: float) -> Tensor:
    """Kullback-Leibler divergence of two normal laws of the same deviation, mean over the numbers: (B,)."""
    return (mean - other).square().flatten(1).mean(1) / (2 * std**2)
