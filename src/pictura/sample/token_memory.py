"""What blocks remember of a stream that is being written: of the image tokens, those that may be looked at.

A block of the row or the conv mask looks back a fixed number of tokens, one of the column mask at its own
column. So a block reads P + W positions of each picture instead of P + L, which lie one behind the other.

Positions 0 to P - 1 hold the prefix. Image token i stands at position P + slot:

    row, conv   slot i % W, where the token W before it stood
    column      slot i // cols; the other columns wait outside until it is their turn

Works on arrays of numpy and of torch.

Letters B pictures, P prefix positions (text, start-of-image), L = rows * cols image tokens, W slots of a kind
        of mask, M blocks, N heads, K head width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pictura.core.types import Array
from pictura.sample.token_masks import KINDS, image_mask, kind_of_block

_COLUMN = KINDS.index("column")


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPlan:
    """Who remembers what, in a network of this shape."""

    num_prefix: int
    """P."""
    rows: int
    cols: int
    conv_kernel: int
    """Side of the conv window."""
    num_blocks: int
    """M."""

    def kinds(self) -> tuple[int, ...]:
        """Of each block, which of `KINDS` its mask is."""
        return tuple(KINDS.index(kind_of_block(i, self.num_blocks)) for i in range(self.num_blocks))

    def widths(self) -> tuple[int, ...]:
        """W of each of `KINDS`."""
        half = self.conv_kernel // 2
        return self.cols, self.rows, min(max(half * (self.cols + 1), 1), self.rows * self.cols)

    def slots(self, index: Any) -> tuple[Any, ...]:
        """At which slot image token `index` stands, for each of `KINDS`."""
        row, _, conv = self.widths()
        return index % row, index // self.cols, index % conv

    def allowed(self) -> tuple[NDArray[np.bool_], ...]:
        """At which positions each image token looks, itself left out: (L, P + W) for each of `KINDS`."""
        return _allowed(self)


@cache
def _allowed(plan: MemoryPlan) -> tuple[NDArray[np.bool_], ...]:
    found, length = [], plan.rows * plan.cols
    for kind, name in enumerate(KINDS):
        mask_LL = np.tril(image_mask(name, plan.rows, plan.cols, plan.conv_kernel), -1)
        looks, at = mask_LL.nonzero()
        seen = np.zeros((length, plan.num_prefix + plan.widths()[kind]), dtype=np.bool_)
        seen[:, : plan.num_prefix] = True
        seen[looks, plan.num_prefix + plan.slots(at)[kind]] = True
        seen.setflags(write=False)
        found.append(seen)
    return tuple(found)


class TokenMemory:
    """Keys and values of B pictures."""

    def __init__(
        self, plan: MemoryPlan, keys: Array, values: Array, *, num: int, zeros: Callable[[Any], Array]
    ) -> None:
        """Begin with the prefix.

        Args:
            plan: of the network.
            keys: (M, B, N, P, K) of the prefix, or (M, 1, N, P, K) if all pictures share one.
            values: of the same shape.
            num: B.
            zeros: makes an array of a shape.
        """
        self._num_prefix, self._cols, self._slots = plan.num_prefix, plan.cols, plan.slots
        self._kinds = plan.kinds()
        _, _, heads, _, head_width = keys.shape
        shapes = [(num, heads, plan.num_prefix + plan.widths()[kind], head_width) for kind in self._kinds]
        self.keys = [zeros(shape) for shape in shapes]
        """Of each block (B, N, P + W, K)."""
        self.values = [zeros(shape) for shape in shapes]
        for i in range(len(shapes)):
            self.keys[i][:, :, : plan.num_prefix] = keys[i]
            self.values[i][:, :, : plan.num_prefix] = values[i]
        waiting = (2, plan.cols, num, heads, plan.rows, head_width)
        self._waiting = {i: zeros(waiting) for i, kind in enumerate(self._kinds) if kind == _COLUMN}

    def turn_to(self, index: int) -> None:
        """Bring in what image token `index` looks at."""
        for i, waiting in self._waiting.items():
            self.keys[i][:, :, self._num_prefix :] = waiting[0, index % self._cols]
            self.values[i][:, :, self._num_prefix :] = waiting[1, index % self._cols]

    def add(self, index: int, keys: Array, values: Array) -> None:
        """Remember image token `index` by its own keys and values, each (B, N, M, K)."""
        slots = self._slots(index)
        for i, kind in enumerate(self._kinds):
            if kind == _COLUMN:
                waiting = self._waiting[i][:, index % self._cols, :, :, slots[kind]]
                waiting[0], waiting[1] = keys[:, :, i], values[:, :, i]
            else:
                self.keys[i][:, :, self._num_prefix + slots[kind]] = keys[:, :, i]
                self.values[i][:, :, self._num_prefix + slots[kind]] = values[:, :, i]
