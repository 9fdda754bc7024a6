"""Colour words and recolouring: glyphs and colours in, the same glyphs in those colours out.

Differs from a hue shift: the glyph's luminance is read as light on a thing of one colour, so that outlines
and eyes stay dark, shine stays bright and a black silhouette takes the colour too.

Letters N glyphs, H W size.
Units   colours sRGB in [0, 1]; images premultiplied by alpha.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from pictura.core.types import Array

RGB = tuple[float, float, float]

COLOURS: Mapping[str, RGB] = MappingProxyType(
    {
        "red": (0.86, 0.09, 0.12),
        "orange": (0.98, 0.50, 0.03),
        "yellow": (0.98, 0.84, 0.10),
        "green": (0.13, 0.62, 0.20),
        "blue": (0.10, 0.35, 0.90),
        "purple": (0.50, 0.17, 0.72),
        "pink": (0.98, 0.50, 0.72),
        "brown": (0.46, 0.27, 0.12),
        "black": (0.11, 0.11, 0.12),
        "white": (0.97, 0.97, 0.97),
        "grey": (0.55, 0.55, 0.56),
    }
)
"""The words by which a thing is coloured."""

BACKGROUNDS: Mapping[str, RGB] = MappingProxyType(
    {
        **COLOURS,
        "light orange": (1.00, 0.80, 0.56),
        "light yellow": (1.00, 0.96, 0.68),
        "light green": (0.70, 0.92, 0.68),
        "light blue": (0.68, 0.85, 0.98),
        "light purple": (0.83, 0.73, 0.95),
        "light pink": (1.00, 0.83, 0.89),
        "light brown": (0.78, 0.62, 0.46),
        "light grey": (0.82, 0.82, 0.83),
        "dark red": (0.45, 0.03, 0.06),
        "dark green": (0.04, 0.30, 0.10),
        "dark blue": (0.05, 0.11, 0.42),
        "dark purple": (0.25, 0.07, 0.38),
        "dark brown": (0.24, 0.13, 0.06),
        "dark grey": (0.28, 0.28, 0.29),
    }
)
"""The words by which a background is coloured: the same, and lighter and darker ones."""

SPELLINGS: Mapping[str, str] = MappingProxyType({"gray": "grey", "violet": "purple"})
"""Other words for them, for reading captions."""

_LUMINANCE = (0.299, 0.587, 0.114)
_SHADOW = 0.20  # how much of the colour is left in the darkest part
_SHINE = 0.75  # how far the brightest part goes towards white
_ROOM = 0.25  # least luminance range given to shadow or shine, so that flat glyphs stay flat


def middle_luminance(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The luminance that gets the pure colour: its median over each glyph's body.

    Args:
        images: (N, 4, H, W) uint8, premultiplied.

    Returns:
        (N,) float32 in [0, 1]; 0.5 for an empty glyph.
    """
    out = np.full(len(images), 0.5, dtype=np.float32)
    weights = np.asarray(_LUMINANCE, dtype=np.float32)
    for n, image in enumerate(images):
        solid = image[3] > 127
        if solid.any():
            pixels = image[:, solid].astype(np.float32)
            out[n] = np.median(weights @ (pixels[:3] / pixels[3]))
    return out


def mean_colour(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 4, H, W) uint8 premultiplied to (N, 3) mean colour of what is opaque; black if nothing is."""
    total = images.sum(axis=(2, 3), dtype=np.uint32).astype(np.float32)
    return total[:, :3] / np.maximum(total[:, 3:], 1)


def recolour(images: Array, colours: Array, middle: Array) -> Array:
    """Give each glyph a colour and keep its light and dark.

    Args:
        images: (N, 4, H, W) float32 in [0, 1], premultiplied.
        colours: (N, 3) sRGB in [0, 1].
        middle: (N,) luminance that takes the colour as it is, see `middle_luminance`.

    Returns:
        (N, 4, H, W) float32, premultiplied; alpha unchanged.
    """
    xp = array_namespace(images, colours, middle)
    red, green, blue = _LUMINANCE
    alpha = images[:, 3:, :, :]
    light = red * images[:, :1, :, :] + green * images[:, 1:2, :, :] + blue * images[:, 2:3, :, :]
    light = light / xp.clip(alpha, min=1 / 512)
    pivot = middle[:, None, None, None]
    dark = xp.clip((pivot - light) / xp.clip(pivot, min=_ROOM), min=0.0, max=1.0)
    shine = xp.clip((light - pivot) / xp.clip(1 - pivot, min=_ROOM), min=0.0, max=1.0)
    shine = shine * xp.sqrt(shine) * _SHINE  # slow at first: the colour must win
    colour = colours[:, :, None, None] * (1 - (1 - _SHADOW) * dark)
    return xp.concat([(colour + (1 - colour) * shine) * alpha, alpha], axis=1)
