"""Stored pictures as clients want them: another format, on white, or without what they say of themselves."""

import io
from typing import Any, Literal

from PIL import Image as Pixels

from pictura.core.errors import ConfigError
from pictura.store.files import Files
from pictura.store.metadata import on_white, save_picture
from pictura.store.tables import Image

Format = Literal["png", "jpeg", "webp"]
Background = Literal["transparent", "opaque", "auto"]
MEDIA = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
_FORMATS = tuple(MEDIA)


def delivered(
    files: Files,
    image: Image,
    *,
    format: Format | None = None,  # noqa: A002
    background: Background = "auto",
    compression: int | None = None,
    metadata: bool = True,
) -> tuple[bytes, str]:
    """A picture's file.

    Args:
        files: that hold it.
        image: its row.
        format: None is the stored one.
        background: opaque lays it on white; the others leave it as it was painted.
        compression: quality of a JPEG or WebP, 0 to 100; None is the best (WebP: lossless).
        metadata: whether it says how it was painted.

    Returns:
        The bytes and their media type.
    """
    data, stored = files.read(image.path), _stored(image.path)
    wanted = format or stored
    if wanted == stored and background != "opaque" and compression is None and metadata:
        return data, MEDIA[stored]
    with Pixels.open(io.BytesIO(data), formats=[stored.upper()]) as opened:
        opened.load()
        pixels = on_white(opened) if background == "opaque" or wanted == "jpeg" else opened.copy()
    pixels.info.clear()
    return _encoded(pixels, wanted, compression, image.details if metadata else None), MEDIA[wanted]


def reencoded(data: bytes, format: Format) -> bytes:  # noqa: A002
    """A JPEG of a preview in another format."""
    with Pixels.open(io.BytesIO(data), formats=["JPEG"]) as opened:
        return data if format == "jpeg" else _encoded(opened.convert("RGB"), format, None, None)


def check_background(format: Format, background: Background) -> None:  # noqa: A002
    """Refuse transparent JPEGs.

    Raises:
        ConfigError: that is asked for.
    """
    if background == "transparent" and format == "jpeg":
        raise ConfigError("A JPEG cannot be transparent: ask for output_format png or webp.")


def _encoded(
    pixels: Pixels.Image,
    format: str,  # noqa: A002
    compression: int | None,
    details: dict[str, Any] | None,
) -> bytes:
    file = io.BytesIO()
    if details is not None and compression is None:
        told = {name: value for name, value in details.items() if name != "notices"}
        save_picture(pixels, file, told, format=format)
    elif format == "png":
        pixels.save(file, "PNG")
    elif format == "webp":
        quality: dict[str, Any] = {"lossless": True} if compression is None else {"quality": compression}
        pixels.save(file, "WEBP", **quality)
    else:
        pixels.save(file, "JPEG", quality=95 if compression is None else max(1, compression))
    return file.getvalue()


def _stored(path: str) -> str:
    suffix = path.rsplit(".", 1)[1]
    return "jpeg" if suffix == "jpg" else suffix
