"""Several rewards as one: their weighted sum, with what each of them said.

Letters B pictures.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.core.types import Prompt
from pictura.reward.types import Reward, Scores


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """One reward of a mixture."""

    reward: Reward
    weight: float
    """What its score is multiplied by; 0 only looks on, and less than 0 punishes."""


class Mixture:
    """The weighted sum of several rewards.

    A picture is valid where every reward that counts could tell. The breakdown has the total of each reward
    by its name and their own parts as NAME.PART. Where one drowns another, `learn.advantage.mixture` adds
    what is left after each was standardised within its groups.
    """

    name = "mixture"

    def __init__(self, shares: Sequence[Share]) -> None:
        """Check and take the shares.

        Raises:
            ConfigError: there is none, none counts, a name comes twice, or a weight is no number.
        """
        names = [share.reward.name for share in shares]
        for name, times in Counter(names).items():
            if times > 1:
                raise ConfigError(f"The reward {name!r} stands in the mixture {times} times. Leave one.")
        for share in shares:
            if not math.isfinite(share.weight):
                raise ConfigError(
                    f"The weight of the reward {share.reward.name!r} must be a number; got {share.weight}."
                )
        self._shares = tuple(shares)
        self._counting = tuple(share for share in shares if share.weight)
        if not self._counting:
            raise ConfigError("A reward needs at least one table whose weight is not 0; got none.")
        self.weights = {share.reward.name: share.weight for share in shares}
        self.differentiable = all(share.reward.differentiable for share in self._counting)
        ends = [sorted(s.weight * end for end in s.reward.value_range) for s in self._counting]
        self.value_range = (sum(low for low, _ in ends), sum(high for _, high in ends))

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        """Score B pictures, see `Reward`."""
        total = torch.zeros(len(images), device=images.device)
        valid = torch.ones(len(images), dtype=torch.bool, device=images.device)
        variance, parts = torch.zeros_like(total), {}
        for share in self._shares:
            said, name = share.reward(images, prompts), share.reward.name
            parts[name] = said.total.detach()
            parts.update({f"{name}.{part}": numbers for part, numbers in said.parts.items()})
            if share.weight:
                total = total + share.weight * said.total
                valid = valid & said.valid
                variance = variance + (0.0 if said.std is None else (share.weight * said.std) ** 2)
        known = any(bool(v) for v in variance.tolist())
        return Scores(total=total, valid=valid, parts=parts, std=variance.sqrt() if known else None)
