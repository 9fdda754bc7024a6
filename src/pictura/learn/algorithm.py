"""What the loop asks of a way to learn.

Letters B pictures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from pictura.learn.actors import Actors
from pictura.learn.policy import Kind
from pictura.learn.recipe import RolloutSettings
from pictura.learn.rollout import Experience


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """What one experience teaches."""

    per_picture: Tensor
    """(B,) to be made small; the loop takes the mean over all pictures of the update."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """For logs and guards, by names of docs/learning.md: means over the pictures, or their maximum where the
    name ends in ``_max``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """How stochastic steps are made."""

    kind: Literal["flow_sde", "cps"] = "flow_sde"
    level: float = 0.7


class Algorithm(Protocol):
    """A way to learn from rewards; `algorithms/nft.py` is the one to read first."""

    @property
    def name(self) -> str:
        """In the registry."""
        ...

    @property
    def needs(self) -> Kind:
        """How the policies paint that it can teach."""
        ...

    @property
    def behaviour(self) -> Literal["new", "old", "reference"]:
        """Whose weights paint."""
        ...

    @property
    def compares(self) -> bool:
        """Whether it learns from how rewards differ inside a group."""
        ...

    @property
    def differentiable(self) -> bool:
        """Whether it needs the gradient of the reward."""
        ...

    @property
    def noise(self) -> Noise:
        """Of the stochastic steps."""
        ...

    def stochastic(self, num_steps: int, rng: np.random.Generator) -> frozenset[int]:
        """The solver steps, from 0, that are stochastic in this update, for all pictures; none is an ODE."""
        ...

    def loss(self, actors: Actors, batch: Experience) -> Loss:
        """What some whole groups teach."""
        ...

    def old_decay(self, update: int) -> float:
        """How slowly the slow copy follows after update number `update`: 0 at once, towards 1 never."""
        ...


@runtime_checkable
class Particular(Protocol):
    """An algorithm that cannot learn from all rollouts."""

    def check(self, rollout: RolloutSettings) -> None:
        """Refuse those that it cannot learn from.

        Raises:
            ConfigError: it is one of them.
        """
        ...
