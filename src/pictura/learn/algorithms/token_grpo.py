"""Token GRPO: each token was drawn from a known law, and the tokens of good pictures are made likelier.

Source  Shao et al. 2024, GRPO (arXiv:2402.03300), equation 3: advantages of the picture within its group, a
        clipped ratio for each token, the mean over tokens; Wang et al. 2025, SimpleAR (arXiv:2504.11455) for
        pictures. Differs: the divergence from the reference is exact, over all codes, where they estimate it
        from the one that was drawn (k3), for we hold all logits anyhow.
        Ratios are those of tokens, so that one that has moved far is stopped without stopping the others.
        Zheng et al. 2025, GSPO (arXiv:2507.18071), take one for the sequence, since those of single tokens
        grow noisy as a rollout is learnt from again and again. We take a step or a few: at ratio 1 the
        gradients of both are the same, for all pictures have as many tokens.
Letters B pictures, L tokens of a picture, V codes that a token can be.
Units   log-probabilities, entropy and divergence in nats of a token.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.learn.actors import Actors
from pictura.learn.algorithm import Loss, Noise
from pictura.learn.rollout import Experience
from pictura.learn.surrogate import clipped_surrogate, ratio_metrics


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenGRPOSettings:
    """Of token GRPO."""

    clip_range: float = 0.2
    """Of the ratio of a token's probabilities, now and when it was drawn."""
    kl_weight: float = 0.01
    """Of the divergence of a token's law from the reference's."""
    entropy_weight: float = 0.0
    """Of the entropy of a token's law, which is to stay large: a little keeps pictures different."""

    def __post_init__(self) -> None:
        if not self.clip_range > 0:
            raise ConfigError(f"algorithm.clip_range must be above 0; got {self.clip_range}.")
        if not (self.kl_weight >= 0 and self.entropy_weight >= 0):
            raise ConfigError(
                "algorithm.kl_weight and entropy_weight must be at least 0; "
                f"got {self.kl_weight} and {self.entropy_weight}."
            )


class TokenGRPO:
    """GRPO on the tokens of pictures."""

    Settings: ClassVar = TokenGRPOSettings
    name: ClassVar = "token-grpo"
    needs: ClassVar[Literal["tokens"]] = "tokens"
    behaviour: ClassVar[Literal["new"]] = "new"
    compares: ClassVar = True
    differentiable: ClassVar = False
    noise: ClassVar = Noise()

    def __init__(self, settings: TokenGRPOSettings) -> None:
        self.settings = settings

    def stochastic(self, num_steps: int, rng: np.random.Generator) -> frozenset[int]:
        """None: tokens have no solver steps."""
        return frozenset()

    def loss(self, actors: Actors, batch: Experience) -> Loss:
        """What some whole groups teach."""
        s = self.settings
        assert batch.log_prob is not None  # `check_pair` has seen to it
        # 1. How likely is each token now, against when it was drawn?
        law_BLV = actors.new(batch.x_0, batch.cond).float().log_softmax(-1)
        reference_BLV = actors.reference(batch.x_0, batch.cond).float().log_softmax(-1)
        ratio_BL = (chosen(law_BLV, batch.x_0) - batch.log_prob).exp()

        # 2. Make the good likelier and the bad less likely, but only near where they were drawn.
        advantage_B1 = batch.advantage[:, None]
        policy_BL = clipped_surrogate(ratio_BL, advantage_B1, s.clip_range)

        # 3. Not too far from where it started, and not too sure.
        kl_BL, entropy_BL = divergence(law_BLV, reference_BLV), entropy(law_BLV)
        loss_BL = policy_BL + s.kl_weight * kl_BL - s.entropy_weight * entropy_BL
        metrics = ratio_metrics(ratio_BL, advantage_B1, s.clip_range)
        metrics |= {"kl": kl_BL.mean().item(), "entropy": entropy_BL.mean().item()}
        return Loss(per_picture=loss_BL.mean(1), metrics=metrics)

    def old_decay(self, update: int) -> float:
        """The slow copy is not used."""
        return 0.0


def chosen(law: Tensor, codes: Tensor) -> Tensor:
    """Of log-probabilities (B, L, V) those of `codes` (B, L): (B, L)."""
    return law.gather(-1, codes[..., None])[..., 0]


def divergence(law: Tensor, other: Tensor) -> Tensor:
    """Kullback-Leibler divergence of a law from another, both as log-probabilities (…, V): (…)."""
    return (law.exp() * (law - other)).sum(-1)


def entropy(law: Tensor) -> Tensor:
    """Of laws as log-probabilities (…, V): (…)."""
    return -(law.exp() * law).sum(-1)
