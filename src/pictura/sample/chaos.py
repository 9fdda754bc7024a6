"""Pictures of one prompt that differ more: each is told the prompt with noise of its own.

Source  Sadat et al. 2023, CADS (arXiv:2310.17347): the condition is mixed with noise that fades as the
        picture becomes clear. Differs: at level c the share of noise is c (1 - gamma(t)), so that 0 is off
        and little changes little; the mixture keeps mean and deviation of the features by itself, so nothing
        is rescaled; the noise is drawn once for each picture, so that it does not average out over the steps;
        and guidance differs from picture to picture too.
Letters B pictures, T text tokens, D width.
Units   t in [0, 1], 1 = noise.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from pictura.core.types import Array, Conditioning
from pictura.sample.randomness import noise, stream

MAX_CHAOS = 100
FADES = (0.6, 0.95)
"""Noise is whole above the second time and gone below the first."""
_USE = 100
"""Which of a picture's random numbers: the first for guidance, those after it for each part."""


def heat(t: float, level: int) -> float:
    """The share of noise, in variance, at time `t` and level 0 to 100."""
    low, high = FADES
    return level / MAX_CHAOS * min(1.0, max(0.0, (t - low) / (high - low)))


class Chaos:
    """What the pictures of one request are told in the place of what was asked for."""

    def __init__(
        self, level: int, seed: int, numbers: Sequence[int], asarray: Callable[[NDArray[np.float32]], Array]
    ) -> None:
        """Draw nothing yet.

        Args:
            level: 0 to 100.
            seed: of the pictures.
            numbers: of the pictures.
            asarray: brings an array to where the network computes.
        """
        self.level, self._seed, self._numbers, self._asarray = level, seed, numbers, asarray
        self._drawn: dict[int, list[Array]] = {}

    def scales(self, scale: float) -> Array:
        """(B, 1, 1, 1) guidance scales: what guidance adds, more or less by up to half."""
        dice = np.array([stream(self._seed, i, use=_USE).random() for i in self._numbers])
        scales = 1 + (scale - 1) * (1 + self.level / MAX_CHAOS * (dice - 0.5))
        return self._asarray(scales.astype(np.float32)[:, None, None, None])

    def told(self, part: int, cond: Conditioning, t: float) -> list[Conditioning]:
        """What each picture is told of a part.

        Args:
            part: its number.
            cond: its features (1, T, D).
            t: time.

        Returns:
            B conditionings (1, T, D); `cond` itself for all where noise is gone.
        """
        share = heat(t, self.level)
        if share == 0:
            return [cond] * len(self._numbers)
        xp = array_namespace(cond.tokens)
        mean, deviation = xp.mean(cond.tokens), xp.std(cond.tokens)
        kept = mean + math.sqrt(1 - share) * (cond.tokens - mean)
        return [
            Conditioning(tokens=kept + math.sqrt(share) * deviation * one, mask=cond.mask)
            for one in self._noise(part, cond)
        ]

    def _noise(self, part: int, cond: Conditioning) -> list[Array]:
        if part not in self._drawn:
            shape, use = cond.tokens.shape, _USE + 1 + part
            drawn = (noise(self._seed, i, shape, use=use) for i in self._numbers)
            self._drawn[part] = [self._asarray(one) for one in drawn]
        return self._drawn[part]
