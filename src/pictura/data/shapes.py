"""Pictures that are wider or taller than square, of nearly one number of pixels, for painters of any shape.

Source  Podell et al. 2023, SDXL (arXiv:2307.01952), section 2.3: a batch has one shape, batches have many.
        Differs: scenes are composed in the shape, not cut to it.
Units   shapes are (H, W) in pixels.
"""

from dataclasses import dataclass

import numpy as np

from pictura.core.errors import ConfigError
from pictura.core.types import Batch
from pictura.data.scenes.arrange import Size
from pictura.data.scenes.source import SceneSource

EIGHTHS = ((7, 9), (7, 10), (6, 11), (6, 12))
"""4:3, 3:2, 16:9 and 2:1, each within 5 %, in eighths of the square's side: 63 to 72 parts instead of 64."""
_STREAM = 0x5A9E  # apart from everything else that is drawn for a position


def shapes_near(side: int) -> tuple[Size, ...]:
    """Wide shapes of about side x side pixels, then the same upright.

    Raises:
        ConfigError: the side has no eighths.
    """
    if side % 8:
        raise ConfigError(f"data.aspects needs a data.size that is a multiple of 8; got {side}.")
    wide = [(h * side // 8, w * side // 8) for h, w in EIGHTHS]
    return (*wide, *((w, h) for h, w in wide))


@dataclass(frozen=True, slots=True)
class ShapedScenes:
    """Scenes of which a share of the batches is not square; a BatchSource."""

    square: SceneSource
    share: float
    """Of the batches that are not square; each shape comes equally often."""

    def batch(self, position: int, size: int) -> Batch:
        """Batch number `position`: (size, 4, H, W), all of one shape."""
        random = np.random.default_rng([_STREAM, self.square.seed, position])
        if random.random() >= self.share:
            return self.square.batch(position, size)
        shapes = shapes_near(self.square.size[0])
        return self.square.resized(shapes[random.integers(len(shapes))]).batch(position, size)
