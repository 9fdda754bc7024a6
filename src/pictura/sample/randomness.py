"""The random numbers of a picture: a seed and the picture's number in, noise or uniform numbers out.

Every picture has a stream of its own, so that picture i of seed s is the same whatever is painted
beside it, in whatever batch, on whatever backend.
"""

import secrets
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pictura.core.errors import ConfigError

MAX_SEED = 2**63 - 1


def draw_seed() -> int:
    """A fresh seed, short enough to be typed again."""
    return secrets.randbelow(2**32)


def noise(seed: int, index: int, shape: Sequence[int], *, use: int = 0) -> NDArray[np.float32]:
    """Standard normal noise of picture `index` of `seed`.

    Args:
        seed: 0 to 2^63 - 1.
        index: the picture's number, from 0.
        shape: of the latent, such as (C, H, W).
        use: number of what it is for, where a picture needs noise for several networks.

    Returns:
        float32 array of that shape.

    Raises:
        ConfigError: the seed or the number is out of range.
    """
    return stream(seed, index, use=use).standard_normal(tuple(shape), dtype=np.float32)


def uniforms(seed: int, index: int, num: int) -> NDArray[np.float64]:
    """Uniform numbers of picture `index` of `seed`, one for each token: (num,) float64 in [0, 1).

    Number k is the same however many are asked for.

    Raises:
        ConfigError: the seed or the number is out of range.
    """
    return stream(seed, index).random(num)


def stream(seed: int, index: int, *, use: int = 0) -> np.random.Generator:
    """The random numbers of picture `index` of `seed`, for one use.

    Raises:
        ConfigError: the seed or the number is out of range.
    """
    if not 0 <= seed <= MAX_SEED:
        raise ConfigError(f"The seed must be a whole number from 0 to {MAX_SEED}; got {seed}.")
    if index < 0:
        raise ConfigError(f"The number of a picture must be at least 0; got {index}.")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, index, use])))
