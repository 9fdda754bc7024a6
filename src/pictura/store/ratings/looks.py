"""How a picture looks, by arithmetic: eleven numbers that people's taste may hang on, without a network.

The same that `reward.features` measures with gradients, here in numpy for the API; a test holds them equal.

Letters H, W height and width.
Units   pictures in [0, 1] on light grey.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pixels

from pictura.core import images as core_images

NUM_LOOKS = 11
SIZE = 64
"""Side in pixels to which pictures are brought first."""
_GRID = 8
_TINY = 1e-4
Plane = NDArray[np.float64]


def looks_of_file(data: bytes) -> list[float]:
    """The looks of a picture file."""
    with Pixels.open(io.BytesIO(data)) as opened:
        image = core_images.from_pil([opened])
    small = core_images.resize(image, (SIZE, SIZE))
    return looks(np.asarray(core_images.on_background(small)[0], dtype=np.float64))


def looks(image: Plane) -> list[float]:
    """Eleven numbers of a picture (3, H, W): brightness, contrast, saturation, colourfulness, coverage,
    sharpness, edges, texture, seams, temperature, tint.
    """
    red, green, blue = image
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    contrast = _spread(grey)
    across, down = np.abs(np.diff(grey, axis=1)), np.abs(np.diff(grey, axis=0))
    steps = (across.mean() + down.mean()) / 2
    squares = (np.square(across).mean() + np.square(down).mean()) / 2
    bends = [np.abs(np.diff(grey, n=2, axis=axis)).mean() for axis in (1, 0)]
    covered = (np.abs(image - core_images.LIGHT_GREY).max(axis=0) - 0.08) / 0.02
    found = (
        grey.mean(),
        contrast,
        (image.max(axis=0) - image.min(axis=0)).mean(),
        _spread(red - green) + _spread((red + green) / 2 - blue),
        (1 / (1 + np.exp(-np.clip(covered, -60, 60)))).mean(),
        steps / (contrast + _TINY),
        squares / (steps + _TINY),
        (bends[0] + bends[1]) / 2,
        (_seams(across) + _seams(down.T)) / (steps + _TINY),
        (red - blue).mean(),
        (green - (red + blue) / 2).mean(),
    )
    return [float(value) for value in found]


def _spread(plane: Plane) -> float:
    return float(np.sqrt(plane.var() + _TINY**2))


def _seams(steps: Plane) -> float:
    """Mean difference across borders of cells of 8 pixels, less that within them, along the last axis."""
    border = np.arange(steps.shape[1]) % _GRID == _GRID - 1
    return float(steps[:, border].mean() - steps[:, ~border].mean())
