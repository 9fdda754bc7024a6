"""What a reward is, and what it says.

Letters B pictures.
Units   pictures float32 in [0, 1], (B, 3, H, W), already laid on light grey.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from pictura.core.types import Prompt


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """What a reward says of B pictures."""

    total: Tensor
    """(B,) float32, higher is better."""
    valid: Tensor
    """(B,) bool, false where it could not tell: such a picture is dropped, never counted as 0."""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """What the total is made of, by name, each (B,)."""
    std: Tensor | None = None
    """(B,) how unsure it is; None where it does not know."""


class Reward(Protocol):
    """Scores pictures by what was asked for."""

    @property
    def name(self) -> str:
        """For logs and tables."""
        ...

    @property
    def differentiable(self) -> bool:
        """Whether the total's gradient reaches the pictures."""
        ...

    @property
    def value_range(self) -> tuple[float, float]:
        """Lowest and highest total."""
        ...

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        """Score each picture against its prompt.

        Args:
            images: (B, 3, H, W) float32 in [0, 1], on light grey.
            prompts: B of them, in image order; all pictures of one prompt are in one call, side by side.
        """
        ...
