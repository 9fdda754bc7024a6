"""Optimisers, their learning-rate schedule, and the moving averages of the weights.

Source  Loshchilov & Hutter 2019, AdamW; Jordan et al. 2024, Muon (the quintic Newton-Schulz iteration
        and its coefficients), here in fp32 unless a recipe asks for bf16, which most CPUs are slow at. As
        there, processes share out the matrices.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from pictura.train.distributed import Process, summed
from pictura.train.recipe import TrainingSettings

_UNET_LEVEL = re.compile(r"\.unet\.(down|middle|up)\.")
ADVERSARIES = ("discriminators.", "surrogate.")
"""What the names of weights that no finished model needs start with."""


class Muon(torch.optim.Optimizer):
    """Momentum whose matrices are made orthogonal before each step; kernels count as matrices (out, rest)."""

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        *,
        lr: float,
        momentum: float = 0.95,
        dtype: torch.dtype = torch.float32,
        process: Process | None = None,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self._dtype, self._process = dtype, process

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient, which is the same in every process."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            wanted = [self._momentum(weight, group["momentum"]) for weight in weights]
            for weight, step in zip(weights, self._orthogonal(wanted), strict=True):
                rows, columns = step.shape
                weight.add_(step.view_as(weight), alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)

    def _momentum(self, weight: nn.Parameter, momentum: float) -> Tensor:
        """Nesterov's, as a matrix."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - momentum)
        return torch.lerp(weight.grad, state["momentum"], momentum).flatten(1)

    def _orthogonal(self, matrices: Sequence[Tensor]) -> Sequence[Tensor]:
        """Each process makes its share of the matrices orthogonal and gets the others from those who did."""
        if self._process is None or self._process.num_processes == 1:
            return [orthogonal(matrix.to(self._dtype)).to(matrix.dtype) for matrix in matrices]
        largest_first = sorted(range(len(matrices)), key=lambda i: -matrices[i].numel())
        mine = set(largest_first[self._process.rank :: self._process.num_processes])
        flat = torch.cat(
            [
                (orthogonal(matrix.to(self._dtype)).to(matrix.dtype) if i in mine else 0 * matrix).flatten()
                for i, matrix in enumerate(matrices)
            ]
        )
        parts = summed(flat, self._process).split([matrix.numel() for matrix in matrices])
        return [part.view_as(matrix) for part, matrix in zip(parts, matrices, strict=True)]


def orthogonal(matrix: Tensor, num_iterations: int = 5) -> Tensor:
    """The nearest matrix with singular values of about 1 (within 0.7 to 1.2), by Newton-Schulz."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(num_iterations):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def make_optimizers(
    module: nn.Module, settings: TrainingSettings, process: Process | None = None
) -> list[torch.optim.Optimizer]:
    """The optimisers of `module`'s trainable parameters.

    With `muon`, it takes the matrices inside `blocks`, and the kernels and matrices inside the levels of a
    U-Net; embeddings, modulation and the layers at the ends stay with AdamW.
    """
    named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    muon = {n for n, p in named if settings.optimizer == "muon" and _is_block_matrix(n, p)}
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            [p for n, p in named if n not in muon],
            lr=settings.learning_rate,
            betas=(0.9, 0.95),
            weight_decay=settings.weight_decay,
            fused=True,
        )
    ]
    if muon:
        dtype = torch.bfloat16 if settings.bf16 else torch.float32
        matrices = [p for n, p in named if n in muon]
        optimizers.append(Muon(matrices, lr=settings.muon_learning_rate, dtype=dtype, process=process))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]
    return optimizers


def _is_block_matrix(name: str, weight: Tensor) -> bool:
    if _UNET_LEVEL.search(f".{name}"):
        return weight.ndim in (2, 4) and ".time_in." not in name
    return weight.ndim == 2 and ".blocks." in f".{name}" and name.endswith("weight")


def rate_factor(step: int, settings: TrainingSettings, *, spent: float = 0.0) -> float:
    """Share of the full learning rate at a step: warm-up, constant, linear decay to zero.

    Args:
        step: optimiser steps done.
        settings: of the run; `halve_every` halves on top of that.
        spent: share of the time budget that is gone, in [0, 1]; decays as steps do.
    """
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    if settings.halve_every:
        warm *= 0.5 ** (step // settings.halve_every)
    progress = max(step / settings.num_steps, spent)
    if settings.decay_fraction == 0:
        return warm
    return min(warm, max(0.0, (1 - progress) / settings.decay_fraction))


class Average:
    """Exponential moving average of a module's parameters and buffers; adversaries are left out."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {
            name: value.detach().clone()
            for name, value in module.state_dict().items()
            if not name.startswith(ADVERSARIES)
        }

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the module after optimiser step `step`; young averages move faster."""
        decay = min(self.decay, (1 + step) / (10 + step))
        mine, theirs = [], []
        for name, value in module.state_dict().items():
            if name in self.weights and value.is_floating_point():
                mine.append(self.weights[name])
                theirs.append(value.detach())
        torch._foreach_lerp_(mine, theirs, 1 - decay)

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over saved weights."""
        for name, value in self.weights.items():
            value.copy_(weights[name])
