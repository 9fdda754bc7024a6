"""Stored pictures as clients want them: another format, on white, silent about themselves, signed."""

import io
from collections.abc import Sequence
from typing import Any, Literal

from PIL import Image as Pixels
from sqlalchemy import select

from pictura.api.studio import Studio
from pictura.api.telling.signing import Parent
from pictura.core.errors import ConfigError
from pictura.store.files import UPLOADS
from pictura.store.metadata import on_white, save_picture, source_type
from pictura.store.tables import Image, JobPicture

Format = Literal["png", "jpeg", "webp"]
Background = Literal["transparent", "opaque", "auto"]
MEDIA = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
_FORMATS = tuple(MEDIA)


def delivered(
    studio: Studio,
    image: Image,
    *,
    format: Format | None = None,  # noqa: A002
    background: Background = "auto",
    compression: int | None = None,
) -> tuple[bytes, str]:
    """A picture's file as it leaves the studio: with metadata and signed, if its administrator says so.

    Args:
        studio: that holds it.
        image: its row.
        format: None is the stored one.
        background: opaque lays it on white; the others leave it as it was painted.
        compression: quality of a JPEG or WebP, 0 to 100; None is the best (WebP: lossless).

    Returns:
        The bytes and their media type.
    """
    data, wanted = _encoded_as(studio, image, format, background, compression)
    if studio.signer is None:
        return data, MEDIA[wanted]
    parent = _parent(studio, image)
    return studio.signer.signed(data, MEDIA[wanted], source_type(image.details), parent), MEDIA[wanted]


def sheet_delivered(studio: Studio, data: bytes, images: Sequence[Image]) -> bytes:
    """A PNG that shows some pictures, as it leaves the studio."""
    if studio.signer is None or not images:
        return data
    return studio.signer.signed(data, MEDIA["png"], source_type(images[0].details))


def _encoded_as(
    studio: Studio,
    image: Image,
    format: Format | None,  # noqa: A002
    background: Background,
    compression: int | None,
) -> tuple[bytes, Format]:
    metadata = studio.policy.get().metadata
    data, stored = studio.files.read(image.path), _stored(image.path)
    wanted = format or stored
    if wanted == stored and background != "opaque" and compression is None and metadata:
        return data, wanted
    with Pixels.open(io.BytesIO(data), formats=[stored.upper()]) as opened:
        opened.load()
        pixels = on_white(opened) if background == "opaque" or wanted == "jpeg" else opened.copy()
    pixels.info.clear()
    return _encoded(pixels, wanted, compression, image.details if metadata else None), wanted


def _parent(studio: Studio, image: Image) -> Parent | None:
    """The picture that another was painted from, while it is kept."""
    query = select(JobPicture.path).where(JobPicture.job_id == image.job_id, JobPicture.name == "image")
    with studio.database.read() as session:
        path = session.scalar(query)
    if path is None or not studio.files.exists(path):
        return None
    ours = image.details.get("origin", {}).get("source_image_ids")
    name = ours[0] if ours and not path.startswith(UPLOADS) else "a picture that was sent"
    return Parent(data=studio.files.read(path), media=MEDIA[_stored(path)], name=name)


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
    if details is not None:
        told = {name: value for name, value in details.items() if name != "notices"}
        save_picture(pixels, file, told, format=format, quality=compression)
    elif format == "png":
        pixels.save(file, "PNG")
    elif format == "webp":
        quality: dict[str, Any] = {"lossless": True} if compression is None else {"quality": compression}
        pixels.save(file, "WEBP", **quality)
    else:
        pixels.save(file, "JPEG", quality=95 if compression is None else max(1, compression))
    return file.getvalue()


def _stored(path: str) -> Format:
    suffix = path.rsplit(".", 1)[1]
    found: dict[str, Format] = {"jpg": "jpeg", "png": "png", "webp": "webp"}
    return found[suffix]
