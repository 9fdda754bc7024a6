"""The same networks under four sets of weights: policy, slow copy, average, reference.

Letters B pictures, C channels, h w latent size.
"""

from collections.abc import Callable, Mapping
from functools import cached_property

import torch
from torch import Tensor

from pictura.core.types import Conditioning
from pictura.learn.policy import Policy
from pictura.learn.weights import Learnable, Values

VelocityOf = Callable[[Tensor, Tensor, Conditioning], Tensor]
"""(x_t (B, C, h, w), t (B,), cond) to velocity (B, C, h, w)."""


class Actors:
    """Velocities of each; only `new` passes gradients."""

    def __init__(
        self, policy: Policy, learnable: Learnable, *, reference: Mapping[str, Tensor] | None = None
    ) -> None:
        """Start with all four alike.

        Args:
            policy: the networks.
            learnable: what is learnt; its `values` are trained.
            reference: values of the reference; None is what `learnable` holds now.
        """
        self.policy, self.learnable = policy, learnable
        self.values = learnable.values
        for value in self.values.values():
            value.requires_grad_(True)
        start = {name: value.detach().clone() for name, value in self.values.items()}
        self.old_values: Values = {name: value.clone() for name, value in start.items()}
        self.ema_values: Values = {name: value.clone() for name, value in start.items()}
        self.reference_values: Values = dict(reference) if reference is not None else start

    def new(self, x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """The policy that learns."""
        return self.policy.velocity(self.learnable.weights(self.values), x_t, t, cond)

    @torch.no_grad()
    def old(self, x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Its slow copy."""
        return self.policy.velocity(self.learnable.weights(self.old_values), x_t, t, cond)

    @torch.no_grad()
    def ema(self, x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Its moving average, which is what ships."""
        return self.policy.velocity(self.learnable.weights(self.ema_values), x_t, t, cond)

    @torch.no_grad()
    def reference(self, x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Where it started."""
        return self.policy.velocity(self._reference_weights, x_t, t, cond)

    @cached_property
    def _reference_weights(self) -> Values:
        with torch.no_grad():
            return self.learnable.weights(self.reference_values)

    @torch.no_grad()
    def follow(self, *, old_decay: float, ema_decay: float) -> None:
        """After an update: copy <- decay * copy + (1 - decay) * new, for the slow copy and the average."""
        for copy, decay in ((self.old_values, old_decay), (self.ema_values, ema_decay)):
            for name, value in self.values.items():
                copy[name].lerp_(value, 1 - decay)
