"""The noise that a picture starts from: a seed and the picture's number in, one latent of noise out.

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


def noise(seed: int, index: int, shape: Sequence[int]) -> NDArray[np.float32]:
    """Standard normal noise of picture `index` of `seed`.

    Args:
        seed: 0 to 2^63 - 1.
        index: the picture's number, from 0.
        shape: of the latent, such as (C, H, W).

    Returns:
        float32 array of that shape.

    Raises:
        ConfigError: the seed or the number is out of range.
    """
    if not 0 <= seed <= MAX_SEED:
        raise ConfigError(f"The seed must be a whole number from 0 to {MAX_SEED}; got {seed}.")
    if index < 0:
        raise ConfigError(f"The number of a picture must be at least 0; got {index}.")
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, index])))
    return generator.standard_normal(tuple(shape), dtype=np.float32)
