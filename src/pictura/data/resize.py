"""A picture of any shape in, a square one of a given size out, with alpha premultiplied on the way.

An opaque picture is cropped to its middle square; one with transparency is padded with transparency, so that
nothing of a drawing is cut off.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pictura.core.images import uint8_of


def to_square(picture: Image.Image, size: int, *, channels: int = 4) -> NDArray[np.uint8]:
    """Resize with Lanczos.

    Args:
        picture: RGB or RGBA, straight alpha.
        size: side of the result in pixels.
        channels: 4 keeps alpha (premultiplied); 3 lays the picture on white.

    Returns:
        (channels, size, size) uint8.
    """
    width, height = picture.size
    side = max(width, height) if is_transparent(picture) else min(width, height)
    if picture.mode == "RGBA":  # filtered premultiplied, so that colours of transparent pixels do not bleed
        picture = picture.convert("RGBa")
    if (width, height) != (side, side):
        left, top = (width - side) // 2, (height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    square = picture.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return uint8_of(square, channels=channels)


def is_transparent(picture: Image.Image) -> bool:
    """Whether any pixel lets the background through."""
    if picture.mode != "RGBA":
        return False
    lowest, _ = picture.getchannel("A").getextrema()
    return isinstance(lowest, (int, float)) and lowest < 255


def is_smaller(picture: Image.Image, size: int) -> bool:
    """Whether `to_square` has to enlarge the picture."""
    return (max(picture.size) if is_transparent(picture) else min(picture.size)) < size
