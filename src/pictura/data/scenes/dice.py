"""Random choices for one scene: a NumPy generator behind three verbs."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Dice:
    """A stream of choices that depends on (seed, position, index) and on nothing else."""

    __slots__ = ("_random",)

    def __init__(self, seed: int, position: int, index: int) -> None:
        """Start the stream of scene `index` of batch `position`; all three below 2**32."""
        key = np.array([seed, position << 32 | index], dtype=np.uint64)
        self._random = np.random.Generator(np.random.Philox(key=key)).random

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random() < probability

    def between(self, low: float, high: float) -> float:
        """A number from low to high, all equally likely."""
        return low + (high - low) * self._random()

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[int(self._random() * len(options))]

    def weighted(self, options: Sequence[T], cumulative: Sequence[float]) -> T:
        """One of the options; `cumulative` are running sums of their weights."""
        aim = self._random() * cumulative[-1]
        return next(o for o, upto in zip(options, cumulative, strict=True) if aim < upto)
