"""Bytes of unknown origin in, a safe picture out: format, size and truncation are checked before use.

Units   `MAX_BYTES` bytes of file, `MAX_PIXELS` width times height, `MAX_SIDE` pixels.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pictura.core.errors import DataError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""What is decoded; of an animation, the first frame."""
SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"))
"""File names that are taken for images, lower case."""
MAX_BYTES = 64 * 2**20
MAX_PIXELS = 64_000_000
"""8000 x 8000: below it, a decoded picture stays under 256 MB."""
MAX_SIDE = 32_768

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError)
_BROKEN_DATA = (struct.error, zlib.error, MemoryError, Image.DecompressionBombError)


def read_file(path: Path) -> bytes:
    """Read an image file of at most `MAX_BYTES`.

    Raises:
        DataError: it is missing, no file, unreadable or too large.
    """
    try:
        if path.stat().st_size <= MAX_BYTES:
            return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: the image cannot be read ({error.strerror}).") from error
    raise DataError(f"{path}: the image file is {_megabytes(path.stat().st_size)}; {_BYTES_LIMIT}")


def decode(
    data: bytes, where: str, *, formats: Sequence[str] = FORMATS, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Decode one picture, turned upright by its EXIF orientation.

    Args:
        data: the encoded file.
        where: names the picture in messages (a path, or a file and row).
        formats: that are read, of `FORMATS`.
        max_pixels: width times height, at most.

    Returns:
        RGB, or RGBA if any transparency is stored; its `format` says what it was.

    Raises:
        DataError: the format is not read, a limit is passed, or the data are damaged.
    """
    if len(data) > MAX_BYTES:
        raise DataError(f"{where}: the image is {_megabytes(len(data))}; {_BYTES_LIMIT}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged tags of TIFF and EXIF warn; the pixels decide
        picture = _open(data, where, formats)
        _check_size(picture, where, max_pixels)
        try:
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            out = _eight_bit(upright)
        except (*_BROKEN, *_BROKEN_DATA) as error:
            raise DataError(
                f"{where}: the {picture.format} image is truncated or damaged ({error})."
            ) from error
    out.format = picture.format
    return out


def _open(data: bytes, where: str, formats: Sequence[str]) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=tuple(formats))
    except Image.DecompressionBombError as error:
        raise DataError(f"{where}: the image claims too many pixels; {_pixels_limit(MAX_PIXELS)}") from error
    except (*_BROKEN, *_BROKEN_DATA) as error:
        kinds = " or ".join([", ".join(formats[:-1]), formats[-1]]).replace("WEBP", "WebP")
        got = "an empty file came" if not data else f"{len(data)} bytes of something else came"
        raise DataError(f"{where}: expected a {kinds} image, {got}.") from error


def _check_size(picture: Image.Image, where: str, max_pixels: int) -> None:
    width, height = picture.size
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise DataError(f"{where}: the image claims {width}x{height} pixels; {_pixels_limit(max_pixels)}")


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Any mode that the formats store, to RGB or RGBA of 8 bits."""
    if picture.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion clips instead of scaling
        grey = np.asarray(picture).astype(np.int64)
        picture = Image.fromarray(np.clip(grey >> 8, 0, 255).astype(np.uint8))
    elif picture.mode == "F":
        raise ValueError("floating-point pixels have no defined white")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _pixels_limit(most: int) -> str:
    return f"at most {most // 10**6} million, {MAX_SIDE} a side, are allowed. Scale it down or leave it out."


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB"


_BYTES_LIMIT = f"at most {_megabytes(MAX_BYTES)} are allowed. Scale it down or leave it out."
