"""Every conversion between picture files' bytes and the arrays that layers pass on.

Files and PIL hold straight alpha, uint8, (H, W, C). Arrays hold float32 in [0, 1], (B, C, H, W); with
C = 4 their colours are premultiplied by alpha.
"""

from collections.abc import Sequence

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray
from PIL import Image

from pictura.core.types import Array

LIGHT_GREY = 0.8
"""The background on which everything that scores a picture sees it."""


def from_pil(pictures: Sequence[Image.Image], *, channels: int = 4) -> NDArray[np.float32]:
    """Stack pictures of one size: B PIL images to (B, C, H, W), premultiplied if `channels` is 4."""
    rows = [np.asarray(p.convert("RGBA" if channels == 4 else "RGB"), dtype=np.float32) for p in pictures]
    x = np.stack(rows).transpose(0, 3, 1, 2) / np.float32(255)
    return premultiply(x) if channels == 4 else x


def to_pil(images: NDArray[np.float32]) -> list[Image.Image]:
    """(B, C, H, W), premultiplied if C is 4, to B PIL images with straight alpha (RGB or RGBA)."""
    x = straight(images) if images.shape[1] == 4 else images
    bytes_BHWC = np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return [Image.fromarray(np.ascontiguousarray(row)) for row in bytes_BHWC]


def premultiply(images: Array) -> Array:
    """Straight to premultiplied alpha, (B, 4, H, W)."""
    out = np.array(images, dtype=np.float32)
    out[:, :3] *= out[:, 3:]
    return out


def straight(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Premultiplied to straight alpha, (B, 4, H, W); colour where alpha is 0 becomes black."""
    x = np.clip(images, 0, 1)
    alpha = x[:, 3:]
    colour = np.where(alpha > 1 / 512, x[:, :3] / np.maximum(alpha, 1 / 512), 0)
    return np.concatenate([np.clip(colour, 0, 1), alpha], axis=1).astype(np.float32)


def on_background(images: Array, colour: float | Sequence[float] = LIGHT_GREY) -> Array:
    """Lay premultiplied RGBA (B, 4, H, W) on a colour in [0, 1]: (B, 3, H, W). RGB passes unchanged.

    Works on any array of the array API standard and is differentiable in torch.
    """
    if images.shape[1] == 3:
        return images
    r, g, b = (colour, colour, colour) if isinstance(colour, (int, float)) else colour
    rest = 1 - images[:, 3:4]
    if r == g == b:
        return images[:, :3] + rest * r
    out = images[:, :3] + 0 * rest
    for channel, value in enumerate((r, g, b)):
        out[:, channel : channel + 1] = images[:, channel : channel + 1] + rest * value
    return out


def uint8_of(picture: Image.Image, *, channels: int = 4) -> NDArray[np.uint8]:
    """One picture as kept in memory: (C, H, W) uint8, premultiplied if C is 4, laid on white if C is 3."""
    rgba = picture if picture.mode == "RGBa" else picture.convert("RGBA").convert("RGBa")
    image = np.asarray(rgba).transpose(2, 0, 1)
    colour, alpha = np.minimum(image[:3], image[3:]), image[3:]  # a sharp filter may pass the alpha
    return np.concatenate([colour, alpha]) if channels == 4 else colour + (255 - alpha)


def pil_of_uint8(image: NDArray[np.uint8]) -> Image.Image:
    """The inverse of `uint8_of`: (4, H, W) to RGBA with straight alpha, (3, H, W) to RGB.

    Premultiplying the result again gives the same bytes.
    """
    if image.shape[0] == 3:
        return Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    alpha = image[3:].astype(np.uint16)
    colour = (image[:3].astype(np.uint16) * 255 + alpha // 2) // np.maximum(alpha, 1)
    rows = np.concatenate([np.minimum(colour, 255) * (alpha > 0), alpha]).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(rows.transpose(1, 2, 0)))


def from_uint8(images: Array) -> Array:
    """(B, C, H, W) uint8 to float32 in [0, 1], on any array of the array API standard."""
    xp = array_namespace(images)
    return xp.astype(images, xp.float32) / 255


def resize(images: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Scale (B, C, H, W), premultiplied if C is 4, to `size` (width, height) by Lanczos, cut to [0, 1]."""
    if size == (images.shape[3], images.shape[2]):
        return images
    rows = [[_resize_plane(plane, size) for plane in image] for image in images]
    return np.clip(np.array(rows, dtype=np.float32), 0, 1)


def _resize_plane(plane: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.LANCZOS))
