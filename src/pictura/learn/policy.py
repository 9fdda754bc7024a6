"""What can learn from rewards: a velocity field whose weights are handed in with each call.

A family joins by naming its policy below, or through the entry-point group `pictura.policies`.

Letters B pictures, C channels, h w latent size, T text tokens, D width.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.core.registry import Registry
from pictura.core.types import Conditioning
from pictura.store.models import AS_LEARNT, ModelInfo
from pictura.train.recipe import STEPPERS

POLICIES = Registry(
    "family that learns from rewards",
    {"flow": "pictura.families.flow.policy:FlowPolicy"},
    group="pictura.policies",
)


class Policy(Protocol):
    """A painter that can be asked under any weights."""

    latent_shape: tuple[int, int, int]
    """(C, h, w)."""
    device: torch.device
    learnable: Mapping[str, Tensor]
    """The weights to start from, by their names in `weights.safetensors`; the text tower's are not here."""

    def read(self, texts: Sequence[str]) -> Conditioning:
        """Understand B prompts: features (B, T, D) and their mask."""
        ...

    def velocity(self, weights: Mapping[str, Tensor], x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Velocity (B, C, h, w) of `x_t` at `t` (B,) under `weights`."""
        ...

    def decode(self, x_0: Tensor) -> Tensor:
        """Latents to pictures (B, 3 or 4, H, W) in [0, 1], premultiplied; gradients pass."""
        ...


def load_policy(model: ModelInfo, device: torch.device, *, strength: float = AS_LEARNT) -> Policy:
    """Load a model to learn with.

    Raises:
        ConfigError: its family has no policy.
        ModelError: the model is damaged.
    """
    if model.family in STEPPERS:
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
