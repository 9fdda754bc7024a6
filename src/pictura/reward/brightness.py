"""How light a picture is: a reward that any learner must be able to raise, to see that learning works.

Units   mean of all values, 0 (black) to 1 (white); a picture of nothing is the background, 0.8.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pictura.core.types import Prompt
from pictura.reward.types import Scores


@dataclass(frozen=True, kw_only=True, slots=True)
class BrightnessSettings:
    """It has none."""

    def build(self, device: str) -> "Brightness":
        """The reward."""
        return Brightness()


class Brightness:
    """The mean of all values of a picture."""

    name = "brightness"
    differentiable = True
    value_range = (0.0, 1.0)

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        """Score B pictures, see `Reward`."""
        total = images.mean(dim=(1, 2, 3))
        return Scores(total=total, valid=torch.ones_like(total, dtype=torch.bool))
