"""Pictures that clients send: few formats, few pixels, decoded once, and kept small beside their job."""

import base64
import binascii
import io
import json
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, ImageOps

from pictura.core.errors import BudgetError, DataError, SizeError
from pictura.data.guard import decode
from pictura.sample.sizes import MAX_SIDE, check_size
from pictura.store.metadata import KEY

FORMATS = ("PNG", "JPEG", "WEBP")
KEPT_PX = 512
"""The longer side of what a worker gets; no model here paints more."""
_CLOSE = 0.02
"""How much two shapes may differ and still be the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A picture to begin with, ready for a job."""

    image: bytes
    """A PNG file."""
    mask: bytes | None
    """The same: light where it shall be painted anew."""
    size: tuple[int, int]
    """(width, height) that pictures come out in."""
    prompt: str | None
    """What it says that it shows, if Pictura painted it."""

    def pictures(self) -> dict[str, bytes]:
        """As a job's request brings them."""
        return {"image": self.image} | ({"mask": self.mask} if self.mask else {})


def read(data: bytes, name: str, max_pixels: int) -> Image.Image:
    """Decode what came.

    Args:
        data: of a client.
        name: of the field that it came in.
        max_pixels: width times height, at most.

    Raises:
        DataError: it is no PNG, JPEG or WebP, too large, or damaged.
    """
    return decode(data, name, formats=FORMATS, max_pixels=max_pixels)


def from_base64(text: str, name: str, max_pixels: int) -> Image.Image:
    """Decode a picture in base64, with or without ``data:…,`` before it.

    Raises:
        DataError: it is none, or none that is read.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"{name}: expected a picture in base64; it cannot be decoded ({error}).") from error
    return read(data, name, max_pixels)


def prepared(
    image: Image.Image,
    mask: Image.Image | None,
    size: tuple[int, int] | None,
    prompt: str | None = None,
) -> Upload:
    """Make pictures ready for a job.

    Args:
        image: to begin with.
        mask: light where it shall be painted anew, as large as the picture.
        size: of the pictures that come out; None is that of the picture, fitted into what can be painted.
        prompt: that the picture was painted by, if it says so.

    Raises:
        SizeError: sizes or shapes do not go together, or cannot be painted.
    """
    if mask is not None and mask.size != image.size:
        raise SizeError(f"mask must be as large as image, {_by(image.size)}; got {_by(mask.size)}.")
    wanted = size or _fitted(image.size, MAX_SIDE)
    check_size(wanted)
    if abs(wanted[0] * image.height / (wanted[1] * image.width) - 1) > _CLOSE:
        raise SizeError(
            f"The picture is {_by(image.size)}, which has another shape than the size {_by(wanted)}. "
            "Crop it, or ask for size auto."
        )
    kept = _fitted(image.size, KEPT_PX)
    small = image.convert("RGBA" if image.has_transparency_data else "RGB").resize(
        kept, Image.Resampling.LANCZOS
    )
    small_mask = None if mask is None else mask.convert("L").resize(kept, Image.Resampling.BOX)
    return Upload(
        image=as_png(small),
        mask=None if small_mask is None else as_png(small_mask),
        size=wanted,
        prompt=prompt,
    )


def mask_of_alpha(mask: Image.Image) -> Image.Image:
    """OpenAI's masks: what is transparent is painted anew.

    Raises:
        DataError: nothing of it is transparent.
    """
    if "A" not in mask.getbands():
        raise DataError("mask: expected a PNG with transparent places, which are painted anew; it has none.")
    return ImageOps.invert(mask.getchannel("A"))


def said_in(data: bytes) -> tuple[str, dict[str, Any]]:
    """What a picture says of itself: AUTOMATIC1111's lines, and what Pictura wrote; empty if nothing.

    Args:
        data: of a picture that `read` has decoded.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            lines, text = image.info.get("parameters"), image.info.get(KEY)
            text = text or image.getexif().get(ExifTags.Base.ImageDescription)
        said = json.loads(text or "{}")
    except (OSError, ValueError, TypeError, SyntaxError):
        return "", {}
    return str(lines or ""), said if isinstance(said, dict) else {}


def check_number(num: int, most: int, what: str) -> None:
    """Refuse too many pictures.

    Raises:
        BudgetError: there are more.
    """
    if num > most:
        raise BudgetError(f"{num} {what} came; at most {most} are read.")


def _fitted(size: tuple[int, int], most: int) -> tuple[int, int]:
    """A size of the same shape whose longer side is `most` at most."""
    scale = min(1.0, most / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def as_png(image: Image.Image) -> bytes:
    """A picture as a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
