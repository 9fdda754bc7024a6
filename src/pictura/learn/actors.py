"""The same networks under four sets of weights: policy, slow copy, average, reference.

Letters B pictures, C channels, h w latent size, L tokens of a picture, V codes that a token can be.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pictura.core.types import Conditioning
from pictura.learn.policy import Policy, kind_of
from pictura.learn.weights import Learnable, Values

VelocityOf = Callable[[Tensor, Tensor, Conditioning], Tensor]
"""(x_t (B, C, h, w), t (B,), cond) to velocity (B, C, h, w)."""


class Hand:
    """The networks under some weights: to be asked, and to paint with."""

    def __init__(
        self, policy: Any, weights: Callable[[], Values], *, learns: bool = False, bf16: bool = False
    ) -> None:
        """Make one.

        Args:
            policy: the networks, of either kind.
            weights: gives those of the moment.
            learns: whether gradients pass to them.
            bf16: multiply in bf16.
        """
        self._policy, self._weights, self._learns, self._bf16 = policy, weights, learns, bf16
        self._asked = "logits" if kind_of(policy) == "tokens" else "velocity"

    def __call__(self, *given: Any) -> Tensor:
        """The velocity (B, C, h, w) of (x_t, t, cond), or the logits (B, L, V) of (codes, cond)."""
        with (
            torch.set_grad_enabled(self._learns and torch.is_grad_enabled()),
            torch.autocast(given[0].device.type, torch.bfloat16, enabled=self._bf16),
        ):
            return getattr(self._policy, self._asked)(self._weights(), *given).float()

    @torch.no_grad()
    def draw(self, cond: Conditioning, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B, L) and their log-probabilities (B, L), of a policy of tokens: see `TokenPolicy.draw`."""
        return self._policy.draw(self._weights(), cond, uniform)


class Actors:
    """Four hands; only `new` passes gradients."""

    new: Hand
    """The policy that learns."""
    old: Hand
    """Its slow copy."""
    ema: Hand
    """Its moving average, which is what ships."""
    reference: Hand
    """Where it started."""

    def __init__(
        self,
        policy: Policy,
        learnable: Learnable,
        *,
        reference: Mapping[str, Tensor] | None = None,
        bf16: bool = False,
    ) -> None:
        """Start with all four alike.

        Args:
            policy: the networks.
            learnable: what is learnt; its `values` are trained.
            reference: values of the reference; None is what `learnable` holds now.
            bf16: multiply in bf16, in painting and in learning alike.
        """
        self.policy, self.learnable = policy, learnable
        self.values = learnable.values
        for value in self.values.values():
            value.requires_grad_(True)
        start = {name: value.detach().clone() for name, value in self.values.items()}
        self.old_values: Values = {name: value.clone() for name, value in start.items()}
        self.ema_values: Values = {name: value.clone() for name, value in start.items()}
        self.reference_values: Values = dict(reference) if reference is not None else start
        self.new = Hand(policy, lambda: learnable.weights(self.values), learns=True, bf16=bf16)
        self.old = Hand(policy, lambda: learnable.weights(self.old_values), bf16=bf16)
        self.ema = Hand(policy, lambda: learnable.weights(self.ema_values), bf16=bf16)
        self.reference = Hand(policy, lambda: self._reference_weights, bf16=bf16)

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
