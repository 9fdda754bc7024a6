"""What can learn from rewards: a painter whose weights are handed in with each call.

There are two kinds: those that follow a velocity, and those that draw one token after another. A family joins
by naming its policy below, or through the entry-point group `pictura.policies`.

Letters B pictures, C channels, h w latent size, L tokens of a picture, V codes that a token can be, T text
        tokens, D width.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.core.registry import Registry
from pictura.core.types import Conditioning
from pictura.store.models import AS_LEARNT, ModelInfo
from pictura.train.recipe import ADVERSARIAL

POLICIES = Registry(
    "family that learns from rewards",
    {
        "flow": "pictura.families.flow.policy:FlowPolicy",
        "dalle": "pictura.families.dalle.policy:DallePolicy",
        "unclip": "pictura.families.unclip.policy:UnclipPolicy",
    },
    group="pictura.policies",
)
Kind = Literal["velocity", "tokens"]
"""How a policy paints."""


class Policy(Protocol):
    """A painter that can be asked under any weights: what both kinds have."""

    device: torch.device
    learnable: Mapping[str, Tensor]
    """The weights to start from, by their names in `weights.safetensors`; the text tower's are not here."""

    def read(self, texts: Sequence[str]) -> Conditioning:
        """Understand B prompts: what the networks want of them, (B, T, D) or (B, T), and the mask (B, T)."""
        ...

    def decode(self, x_0: Tensor) -> Tensor:
        """What was painted to pictures (B, 3 or 4, H, W) in [0, 1], premultiplied."""
        ...


class VelocityPolicy(Policy, Protocol):
    """Follows a velocity: `decode` takes latents (B, C, h, w), and gradients pass."""

    latent_shape: tuple[int, int, int]
    """(C, h, w)."""

    def velocity(self, weights: Mapping[str, Tensor], x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Velocity (B, C, h, w) of `x_t` at `t` (B,) under `weights`."""
        ...


@runtime_checkable
class TokenPolicy(Policy, Protocol):
    """Draws one token after another: `decode` takes codes (B, L)."""

    num_tokens: int
    """L."""

    def logits(self, weights: Mapping[str, Tensor], codes: Tensor, cond: Conditioning) -> Tensor:
        """(B, L, V) of each token under `weights`, told those before it of `codes` (B, L); gradients pass."""
        ...

    def draw(
        self, weights: Mapping[str, Tensor], cond: Conditioning, uniform: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draw pictures under `weights` from the whole law of each token, as `logits` gives it.

        Args:
            weights: as for `logits`.
            cond: of B prompts.
            uniform: (B, L) float64 in [0, 1), a number for each token.

        Returns:
            Codes (B, L) int64, and the log-probability (B, L) float32 of each.
        """
        ...


def kind_of(policy: Policy) -> Kind:
    """How a policy paints."""
    return "tokens" if isinstance(policy, TokenPolicy) else "velocity"


def load_policy(model: ModelInfo, device: torch.device, *, strength: float = AS_LEARNT) -> Policy:
    """Load a model to learn with.

    Raises:
        ConfigError: its family has no policy.
        ModelError: the model is damaged.
    """
    if model.family in ADVERSARIAL:
        raise ConfigError(
            f"The model {model.name!r} is of the family {model.family!r}, which cannot learn from rewards by "
            f"itself: it paints in one step, and its discriminators must go on. Give its recipe for "
            f"'pictura train' a [[critic.rewards]] table, see docs/algorithms/critic.md."
        )
    if model.family not in set(POLICIES):
        known = ", ".join(sorted(POLICIES))
        raise ConfigError(
            f"The model {model.name!r} is of the family {model.family!r}, which cannot learn from rewards. "
            f"Families that can: {known}."
        )
    model.verify()
    return POLICIES.get(model.family).from_model(model, device, strength=strength)
