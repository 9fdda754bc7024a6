"""Pictures whose edges meet: at every step the network sees them from another corner.

A network that knows where the edges of a picture are paints towards them. Rolled by random numbers before
each call and back after it, there is no place that always lies at an edge, and what lies left and right of
one is painted together. Pixels are decoded and scaled with the other side's beside them.

Letters B pictures, C channels, h w latent size, H W picture size, K latent pixels around it.
Units   pixels of the latent.
"""

from collections.abc import Sequence

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from pictura.core.images import resize
from pictura.core.types import Array
from pictura.sample.randomness import stream

_USE = 200
"""Which of a picture's random numbers."""
_AROUND = 4
"""K: as far as a decoder looks, or almost."""


class Rolls:
    """How far each picture is rolled at each step."""

    def __init__(self, seed: int, numbers: Sequence[int], grid: tuple[int, int], num_steps: int) -> None:
        """Draw them: those of a picture depend on its seed, its number and the step alone.

        Args:
            seed: of the pictures.
            numbers: of the pictures.
            grid: (h, w).
            num_steps: steps.
        """
        drawn = [stream(seed, i, use=_USE).integers(0, grid, size=(num_steps, 2)) for i in numbers]
        self._by_step = np.stack(drawn, axis=1).tolist()

    def there(self, x: Array, step: int) -> Array:
        """(B, C, h, w) as the network sees it at a step."""
        return self._roll(x, step, 1)

    def back(self, x: Array, step: int) -> Array:
        """The inverse of `there`."""
        return self._roll(x, step, -1)

    def _roll(self, x: Array, step: int, sign: int) -> Array:
        xp = array_namespace(x)
        rows = [
            xp.roll(x[b, ...], (sign * down, sign * right), axis=(1, 2))
            for b, (down, right) in enumerate(self._by_step[step])
        ]
        return xp.stack(rows)


def around(x_0: Array) -> Array:
    """(B, C, h, w) with K more pixels on every side, which are those of the other side."""
    xp = array_namespace(x_0)
    rows, columns = (min(_AROUND, side) for side in x_0.shape[2:])
    x_0 = xp.concat([x_0[:, :, -rows:, :], x_0, x_0[:, :, :rows, :]], axis=2)
    return xp.concat([x_0[..., -columns:], x_0, x_0[..., :columns]], axis=3)


def inside(images: Array, grid: tuple[int, int], factor: int) -> Array:
    """The pixels (B, C, H, W) of a picture of `grid` (h, w) out of those that `around` was decoded to."""
    (top, height), (left, width) = ((min(_AROUND, side) * factor, side * factor) for side in grid)
    return images[:, :, top : top + height, left : left + width]


def resize_wrapped(images: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """As `core.images.resize`, of pictures whose edges meet."""
    width, height = size
    nine = np.tile(images, (1, 1, 3, 3))
    return resize(nine, (3 * width, 3 * height))[:, :, height : 2 * height, width : 2 * width]
