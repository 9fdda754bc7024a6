"""The top of a picture, read as the tokens that a painter by tokens goes on from.

Source  Ramesh et al. 2021, DALL-E (arXiv:2102.12092), section 3: the tokens of the first rows are given.
Letters h w token grid, C channels, H W picture size.
"""

from PIL import Image

from pictura.core import images
from pictura.core.errors import ConfigError, SizeError
from pictura.core.types import TokenBackend
from pictura.store.models import ModelInfo


def top_codes(model: ModelInfo, backend: TokenBackend, picture: Image.Image, rows: int) -> list[int]:
    """The tokens of a picture's top rows.

    Args:
        model: that paints.
        backend: its networks.
        picture: of the very size that the model paints.
        rows: of pixels; what lies below them is not looked at.

    Returns:
        w codes for each `factor` rows, from left to right and down.

    Raises:
        SizeError: the picture has another size.
        ConfigError: no token ends at that row, or nothing would be left to paint.
    """
    (h, w), factor = backend.grid, model.factor
    size = f"{w * factor}x{h * factor}"
    if picture.size != (w * factor, h * factor):
        raise SizeError(
            f"The model {model.name!r} completes pictures of {size} pixels; "
            f"got {picture.width}x{picture.height}. Scale it to {size}, or paint it with --size {size}."
        )
    if rows % factor or not 0 < rows < h * factor:
        raise ConfigError(
            f"rows must be a multiple of {factor}, the side of a token in pixels, from {factor} to "
            f"{(h - 1) * factor}; got {rows}."
        )
    top = picture.crop((0, 0, picture.width, rows))
    pixels_CHW = images.uint8_of(top, channels=model.manifest["dvae"]["image_channels"])
    codes_1hw = backend.encode(images.from_uint8(pixels_CHW[None]))
    return [int(code) for code in codes_1hw.flatten()]
