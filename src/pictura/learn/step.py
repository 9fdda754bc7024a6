"""One optimiser step on some groups of a rollout, over all processes; guards may keep it from being taken.

Letters B pictures of this process and step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pictura.learn.actors import Actors
from pictura.learn.algorithm import Algorithm
from pictura.learn.guards import Seen
from pictura.learn.measures import Means
from pictura.learn.rollout import Experience
from pictura.train.distributed import Process, largest, summed

Allowed = Callable[[Seen], bool]
"""Shows numbers to the guards; false where they keep a step from being taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stepper:
    """What a step is made with."""

    actors: Actors
    algorithm: Algorithm
    optimizer: torch.optim.Optimizer
    max_grad_norm: float
    process: Process

    def step(
        self, batches: Sequence[Experience], num_valid: int, allowed: Allowed, *, fresh: bool
    ) -> dict[str, float]:
        """Learn from some batches at once.

        Args:
            batches: whole groups, one backward pass each; as many in every process.
            num_valid: valid pictures of the step over all processes; the loss is their mean.
            allowed: asked before the step is taken.
            fresh: whether the policy is still the one that painted.

        Returns:
            Numbers for the log.
        """
        self.optimizer.zero_grad(set_to_none=True)
        means = Means()
        for number, batch in enumerate(batches):
            loss = self.algorithm.loss(self.actors, batch)
            total = torch.where(batch.valid, loss.per_picture, 0.0).sum() / max(1, num_valid)
            total.backward()
            mean = float(total.detach()) * max(1, num_valid) / len(batch.seeds)
            means.add({"loss": mean, **loss.metrics}, len(batch.seeds))
            if fresh and number == 0 and "ratio_error_max" in loss.metrics:
                (error,) = largest([loss.metrics["ratio_error_max"]], self.process)
                if not allowed({"first_ratio_error": error}):
                    return {"first_ratio_error": error, "stepped": 0.0}
        metrics = means.over(self.process)
        norm = self._share_gradients()
        metrics["grad_norm"] = float(norm)
        metrics["stepped"] = float(allowed({"grad_norm": metrics["grad_norm"] + 0 * metrics["loss"]}))
        if metrics["stepped"]:
            self.optimizer.step()
        return metrics

    def _share_gradients(self) -> Tensor:
        """Sum the gradients of all processes, clip them, and return their norm before that."""
        values = list(self.actors.values.values())
        gradients = [torch.zeros_like(v) if v.grad is None else v.grad for v in values]
        if self.process.num_processes > 1:
            flat = summed(torch.cat([g.flatten() for g in gradients]), self.process)
            gradients = [
                g.view_as(v) for g, v in zip(flat.split([v.numel() for v in values]), values, strict=True)
            ]
        for value, gradient in zip(values, gradients, strict=True):
            value.grad = gradient
        return nn.utils.clip_grad_norm_(values, self.max_grad_norm)
