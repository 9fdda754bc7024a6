"""What is learnt: a change of low rank to some matrices, or all weights.

The values that an optimiser changes are a flat table of tensors. Copies (the slow one that paints, the
average that is kept, the reference) are other tables of the same names.

Source  Hu et al. 2021, LoRA (arXiv:2106.09685): W = W_0 + up @ down, up starting at zero. Differs: the
        change is added to the weights once a call, not to activations, which is cheaper where rows are many.
Letters r rank.
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from pictura.core.errors import ConfigError

Values = dict[str, Tensor]


class Learnable(Protocol):
    """Values to train, and the weights that they stand for."""

    values: Values

    def weights(self, values: Mapping[str, Tensor]) -> Values:
        """The weights under `values`; gradients pass."""
        ...


class LowRank:
    """A change of low rank to every matrix of the blocks."""

    def __init__(
        self, base: Mapping[str, Tensor], *, rank: int, seed: int = 0, only: str = ".blocks."
    ) -> None:
        """Start with no change.

        Args:
            base: weights by name.
            rank: r, at least 1; a matrix whose smaller side is less gets that.
            seed: of the random half of the change.
            only: part of the names of the matrices that are changed.

        Raises:
            ConfigError: the rank is below 1, or no matrix has such a name.
        """
        if rank < 1:
            raise ConfigError(f"The rank of what is learnt must be at least 1; got {rank}.")
        self._base = {k: v for k, v in base.items() if v.ndim == 2 and only in k and k.endswith("weight")}
        if not self._base:
            raise ConfigError(f"Nothing to learn: the model has no matrix with {only!r} in its name.")
        random = torch.Generator().manual_seed(seed)
        self.values: Values = {}
        for name, weight in self._base.items():
            rows, columns = weight.shape
            r = min(rank, rows, columns)
            down = torch.randn(r, columns, generator=random) / columns**0.5
            self.values[f"{name}.down"] = down.to(weight)
            self.values[f"{name}.up"] = torch.zeros(rows, r).to(weight)

    def weights(self, values: Mapping[str, Tensor]) -> Values:
        """W_0 + up @ down for each matrix."""
        return {
            name: torch.addmm(weight, values[f"{name}.up"], values[f"{name}.down"])
            for name, weight in self._base.items()
        }


class Full:
    """All weights."""

    def __init__(self, base: Mapping[str, Tensor]) -> None:
        self.values: Values = {name: weight.clone() for name, weight in base.items()}

    def weights(self, values: Mapping[str, Tensor]) -> Values:
        """The values themselves."""
        return dict(values)
