"""A picture of any kind in; what a painter by imagination takes it for, out.

Letters C channels, h w small size, D numbers of a vector.
Units   PSNR in decibels, on light grey, colours in [0, 1].
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pictura.core import images
from pictura.core.errors import ConfigError, SizeError
from pictura.data.guard import decode, read_file
from pictura.data.resize import is_transparent, to_square
from pictura.runtime.onnx_clip import OnnxClip
from pictura.store.clips import clip_of
from pictura.store.models import ModelInfo
from pictura.store.pictures import Picture

PictureLike = Path | str | Image.Image | Picture
"""A picture: a file, or one that is open or was painted."""
Floats = NDArray[np.float32]


class Source(NamedTuple):
    """A picture, as a model takes it."""

    name: str
    large: Floats
    """(1, C, H, W) in [0, 1], of the size that the model paints."""
    vector: Floats
    """(1, D) of length 1."""
    small: Floats
    """(1, C, h, w) in [0, 1], of the size that the decoder paints."""
    notices: tuple[str, ...]
    """What had to be done to it."""


class Eyes:
    """The CLIP that a painter by imagination learnt from."""

    def __init__(self, model: ModelInfo) -> None:
        """Find it.

        Args:
            model: that paints.

        Raises:
            ConfigError: the model paints in another way.
            ModelError: its CLIP is not here, or damaged.
        """
        if not model.by_imagination:
            raise ConfigError(
                f"The model {model.name!r} of the family {model.family} paints from sentences alone. Take "
                "one of the family unclip, which sees pictures: `pictura models` lists them."
            )
        clip = clip_of(model.manifest["clip"], f"the model {model.name!r}")
        self._model, self._clip = model, OnnxClip(clip.path)

    def read(self, text: str) -> Floats:
        """The vector (1, D) of a text."""
        return self._clip.embed_text([text])

    def take(self, picture: PictureLike) -> Source:
        """Open a picture, see it, and bring it to the size that the model paints.

        An opaque one is cropped to its middle square, one with transparency padded.

        Raises:
            DataError: the file is no picture.
            SizeError: the picture is smaller than what the decoder paints.
            ConfigError: it is no picture at all.
        """
        name, image = opened(picture)
        least, factor = self._model.grids[0][0], self._model.factor
        side = least * factor
        if min(image.size) < least:
            raise SizeError(
                f"{name} has {image.width}x{image.height} pixels; the model {self._model.name!r} takes "
                f"pictures of at least {least} a side. Take a larger one."
            )
        bytes_CHW = to_square(image, side, channels=self._model.manifest["decoder"]["image_channels"])
        large = images.from_uint8(bytes_CHW[None])
        seen = images.on_background(images.from_uint8(to_square(image, self._clip.size)[None]))
        return Source(
            name=name,
            large=large,
            vector=self._clip.embed_images(np.clip(seen, 0, 1)),
            small=shrunk(large, factor),
            notices=_told(name, image, side),
        )


def opened(picture: PictureLike) -> tuple[str, Image.Image]:
    """The name of a picture, for people, and the picture.

    Raises:
        DataError: the file is no picture.
        ConfigError: it is no picture at all.
    """
    if isinstance(picture, Picture):
        return "the painted picture", picture.image
    if isinstance(picture, Image.Image):
        return "the picture", picture if picture.mode in ("RGB", "RGBA") else picture.convert("RGBA")
    if isinstance(picture, str | Path):
        return Path(picture).name, decode(read_file(Path(picture)), str(picture))
    kind = type(picture).__name__
    raise ConfigError(
        f"A picture is a file's path, an image of PIL or a picture that was painted; got {kind}."
    )


def shrunk(large: Floats, factor: int) -> Floats:
    """(1, C, H, W) averaged down to (1, C, H / factor, W / factor)."""
    n, c, h, w = large.shape
    rows: Floats = large.reshape(n, c, h // factor, factor, w // factor, factor).mean(axis=(3, 5))
    return rows


def psnr(one: Floats, other: Floats) -> float:
    """Peak signal-to-noise ratio of pictures (B, C, H, W) in [0, 1]; infinite where they are the same."""
    error = np.square(images.on_background(one) - images.on_background(other)).mean(dtype=np.float64)
    return math.inf if error == 0 else float(-10 * math.log10(error))


def _told(name: str, image: Image.Image, side: int) -> tuple[str, ...]:
    """What had to be done to a picture of another size."""
    if image.size == (side, side):
        return ()
    done = ""
    if image.width != image.height:
        done = "padded to a square and " if is_transparent(image) else "cropped to its middle square and "
    return (f"{name} has {image.width}x{image.height} pixels; it was {done}scaled to {side}x{side}.",)
