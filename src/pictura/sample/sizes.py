"""Which picture sizes can be painted, and in which shape the network paints each.

Units   sizes are (width, height) in pixels; grids are latent (h, w).
"""

import math
from collections.abc import Sequence

from pictura.core.errors import SizeError

DEFAULT_SIZE = (256, 256)
_SEEN = 0.05
"""What is stretched by less, in one direction, is not told."""
MIN_SIDE, MAX_SIDE, MAX_RATIO = 16, 1024, 2


def check_size(size: tuple[int, int]) -> None:
    """Refuse sizes that cannot be painted.

    Raises:
        SizeError: a side or the ratio is out of range.
    """
    width, height = size
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in size):
        raise SizeError(f"Picture sides must be from {MIN_SIDE} to {MAX_SIDE} pixels; got {width}x{height}.")
    if max(size) > MAX_RATIO * min(size):
        raise SizeError(f"Pictures may be at most {MAX_RATIO}:1 wide or tall; got {width}x{height}.")


def stretched(painted_size: Sequence[int], size: Sequence[int]) -> tuple[str, ...]:
    """A notice where a picture was painted in another shape than its own."""
    width, height = (wanted / painted for wanted, painted in zip(size, painted_size, strict=True))
    if abs(math.log(width / height)) < _SEEN:
        return ()
    painted, wanted = ("{}x{}".format(*one) for one in (painted_size, size))
    return (f"Painted at {painted}, the nearest shape that the model learnt, and stretched to {wanted}.",)


def nearest_grid(grids: Sequence[tuple[int, int]], width: int, height: int, factor: int) -> tuple[int, int]:
    """The (h, w) whose shape is nearest to width x height; among equals, the nearest in size."""

    def distance(grid: tuple[int, int]) -> tuple[float, float]:
        h, w = grid
        shape = abs(math.log(w * height / (h * width)))
        return round(shape, 9), abs(math.log(h * w * factor**2 / (width * height)))

    return min(grids, key=distance)
