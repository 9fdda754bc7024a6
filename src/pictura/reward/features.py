"""What can be said of a picture by arithmetic: eleven numbers that people's taste may hang on.

Letters B pictures.
Units   pictures in [0, 1] on light grey; differences are between neighbouring pixels.
"""

import torch
from torch import Tensor

from pictura.core.images import LIGHT_GREY

NAMES = (
    "brightness",
    "contrast",
    "saturation",
    "colourfulness",
    "coverage",
    "sharpness",
    "edges",
    "texture",
    "seams",
    "temperature",
    "tint",
)
_GRID = 8
"""Pixels of a latent cell of the usual autoencoder, whose borders may show."""
_TINY = 1e-4


def hand_features(images: Tensor) -> Tensor:
    """Measure pictures.

    Args:
        images: (B, 3, H, W), H and W above 8.

    Returns:
        (B, 11) in the order of `NAMES`; differentiable.
            brightness: mean of the grey picture. contrast: its standard deviation.
            saturation: mean distance of the strongest from the weakest colour.
            colourfulness: spread of red against green and of yellow against blue.
            coverage: share of what differs from the background.
            sharpness: mean difference, as a share of the contrast.
            edges: mean squared difference over the mean one: large where few differences are large.
            texture: mean difference of differences.
            seams: how much larger differences are across the borders of cells of 8 pixels.
            temperature, tint: the two sides of white balance, red less blue and green less both, on the mean.
    """
    red, green, blue = images.unbind(dim=1)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    contrast = _spread(grey)
    across, down = (grey.diff(dim=dim).abs() for dim in (2, 1))
    steps = (across.mean(dim=(1, 2)) + down.mean(dim=(1, 2))) / 2
    squares = (across.square().mean(dim=(1, 2)) + down.square().mean(dim=(1, 2))) / 2
    bends = [grey.diff(n=2, dim=dim).abs().mean(dim=(1, 2)) for dim in (2, 1)]
    return torch.stack(
        [
            grey.mean(dim=(1, 2)),
            contrast,
            (images.amax(dim=1) - images.amin(dim=1)).mean(dim=(1, 2)),
            _spread(red - green) + _spread((red + green) / 2 - blue),
            (((images - LIGHT_GREY).abs().amax(dim=1) - 0.08) / 0.02).sigmoid().mean(dim=(1, 2)),
            steps / (contrast + _TINY),
            squares / (steps + _TINY),
            (bends[0] + bends[1]) / 2,
            (_seams(across, 2) + _seams(down, 1)) / (steps + _TINY),
            (red - blue).mean(dim=(1, 2)),
            (green - (red + blue) / 2).mean(dim=(1, 2)),
        ],
        dim=1,
    )


def _spread(plane: Tensor) -> Tensor:
    """Standard deviation (B,) of (B, H, W), with a gradient where there is none to see."""
    return (plane.var(dim=(1, 2), correction=0) + _TINY**2).sqrt()


def _seams(steps: Tensor, dim: int) -> Tensor:
    """Mean difference (B,) across borders of cells, less that within them."""
    number = torch.arange(steps.shape[dim], device=steps.device)
    border = number % _GRID == _GRID - 1
    at, within = (steps.index_select(dim, number[rows]).mean(dim=(1, 2)) for rows in (border, ~border))
    return at - within
