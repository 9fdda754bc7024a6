"""Canvases: a picture in; out, what is kept of it and where, what is to be painted anew, and both joined.

    zoomed    the picture smaller, in the middle of a canvas as large as it was
    panned    half as large again, towards one side
    squared   as wide as tall, the picture in the middle
    masked    the picture itself, with a mask

New places are filled with the colours of the nearest edge, so that a painter that begins with the canvas
sees backgrounds go on. Every pixel that is kept comes out bit for bit as it went into the canvas.

Letters H W size in pixels.
Units   boxes are (left, top, right, bottom) in pixels.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from pictura.core.errors import ConfigError, SizeError
from pictura.sample.sizes import MAX_RATIO, MAX_SIDE, MIN_SIDE

Direction = Literal["left", "right", "up", "down"]
Box = tuple[int, int, int, int]
DIRECTIONS: tuple[Direction, ...] = ("left", "right", "up", "down")
MOST_ZOOM = 2.0
GROWS = 0.5
"""By which share of its side a panned picture grows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Canvas:
    """A picture with places that are to be painted anew."""

    image: Image.Image
    """RGB, or RGBA with straight alpha."""
    mask: Image.Image
    """L, as large: 255 where it is to be painted, 0 where it is kept, nothing else."""
    window: Box
    """What is painted at once; it holds all that is new."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the whole."""
        return self.image.size

    @property
    def seen(self) -> tuple[Image.Image, Image.Image]:
        """Picture and mask within the window, for the painter."""
        return self.image.crop(self.window), self.mask.crop(self.window)

    def finished(self, painted: Image.Image) -> Image.Image:
        """The whole picture.

        Args:
            painted: what came of `seen`, as large as the window.

        Raises:
            SizeError: it is of another size.
        """
        left, top, right, bottom = self.window
        if painted.size != (right - left, bottom - top):
            raise SizeError(
                f"A canvas takes what was painted of its window, {_by((right - left, bottom - top))}; "
                f"got {_by(painted.size)}."
            )
        mode = "RGBA" if "RGBA" in (self.image.mode, painted.mode) else "RGB"
        new = Image.new("L", self.size, 0)
        new.paste(self.mask.crop(self.window), (left, top))
        whole = self.image.convert(mode)
        over = whole.copy()
        over.paste(painted.convert(mode), (left, top))
        is_new = np.asarray(new)[:, :, None] > 0
        return Image.fromarray(np.where(is_new, np.asarray(over), np.asarray(whole)))


def zoomed(image: Image.Image, factor: float) -> Canvas:
    """What one would see of a picture from further away.

    Args:
        image: RGB or RGBA.
        factor: how many times as far, above 1 and at most 2.

    Raises:
        ConfigError: the factor is out of range.
        SizeError: the picture would become too small.
    """
    if not 1 < factor <= MOST_ZOOM:
        raise ConfigError(f"A zoom's factor must be above 1 and at most {MOST_ZOOM:g}; got {factor:g}.")
    width, height = (max(1, round(side / factor)) for side in image.size)
    if min(width, height) < MIN_SIDE:
        raise SizeError(
            f"A picture of {_by(image.size)} cannot be zoomed {factor:g} times: what is left of it would be "
            f"under {MIN_SIDE} pixels a side. Take a larger one."
        )
    small = _plain(image).resize((width, height), Image.Resampling.LANCZOS)
    place = (image.width - width) // 2, (image.height - height) // 2
    return _placed(small, image.size, place)


def panned(image: Image.Image, direction: Direction) -> Canvas:
    """A picture that goes on towards one side. One that would pass the longest side is made smaller before.

    Args:
        image: RGB or RGBA.
        direction: where it goes on.

    Raises:
        ConfigError: there is no such direction.
        SizeError: it would become longer than 2:1.
    """
    if direction not in DIRECTIONS:
        raise ConfigError(f"A picture is panned {', '.join(DIRECTIONS)}; got {direction!r}.")
    across = direction in ("left", "right")
    image = _fitting(image, image.size[0 if across else 1] * (1 + GROWS))
    width, height = image.size
    more = round((width if across else height) * GROWS)
    size = (width + more, height) if across else (width, height + more)
    if max(size) > MAX_RATIO * min(size):
        raise SizeError(
            f"A picture of {_by(image.size)} cannot go on to {_by(size)}: at most {MAX_RATIO}:1 can be "
            "painted. Pan it another way, or make it square."
        )
    x, y = (more if direction == "left" else 0), (more if direction == "up" else 0)
    return _placed(image, size, (x, y), window=_end(size, direction, more))


def squared(image: Image.Image) -> Canvas:
    """As wide as tall. One that is made so keeps its longer side.

    Raises:
        SizeError: it is square.
    """
    width, height = image.size
    if width == height:
        raise SizeError(f"The picture is square already, {_by(image.size)}. Zoom out, or pan.")
    image = _fitting(image, max(image.size))
    side = max(image.size)
    return _placed(image, (side, side), ((side - image.width) // 2, (side - image.height) // 2))


def masked(image: Image.Image, mask: Image.Image) -> Canvas:
    """The picture, with what is to be painted anew.

    Args:
        image: RGB or RGBA.
        mask: as large; light where it is new.

    Raises:
        SizeError: the mask has another size.
        ConfigError: nothing of it is light.
    """
    if mask.size != image.size:
        raise SizeError(f"The mask must be as large as its picture, {_by(image.size)}; got {_by(mask.size)}.")
    hard = mask.convert("L").point(lambda value: 255 * (value >= 128))
    if hard.getbbox() is None:
        raise ConfigError(
            "The mask is dark all over, so that nothing would be new. Paint white what shall be."
        )
    return Canvas(image=_plain(image), mask=hard, window=(0, 0, *image.size))


def _placed(
    image: Image.Image, size: tuple[int, int], place: tuple[int, int], *, window: Box | None = None
) -> Canvas:
    """A picture on a larger canvas, its edges drawn out to all sides."""
    image = _plain(image)
    (x, y), (width, height) = place, size
    pads = ((y, height - y - image.height), (x, width - x - image.width), (0, 0))
    mask = Image.new("L", size, 255)
    mask.paste(0, (x, y, x + image.width, y + image.height))
    wide = Image.fromarray(np.pad(np.asarray(image), pads, mode="edge"))
    return Canvas(image=wide, mask=mask, window=window or (0, 0, *size))


def _end(size: tuple[int, int], direction: Direction, more: int) -> Box:
    """The end of a canvas that holds `more` new pixels and as many old ones, as square as may be."""
    width, height = size
    along, across = (width, height) if direction in ("left", "right") else (height, width)
    length = min(along, max(across, 2 * more))
    return {
        "left": (0, 0, length, height),
        "right": (width - length, 0, width, height),
        "up": (0, 0, width, length),
        "down": (0, height - length, width, height),
    }[direction]


def _fitting(image: Image.Image, longest: float) -> Image.Image:
    """The picture, made smaller where a side would have more than the most pixels."""
    if longest <= MAX_SIDE:
        return image
    share = MAX_SIDE / longest
    width, height = (max(1, int(side * share)) for side in image.size)
    return _plain(image).resize((width, height), Image.Resampling.LANCZOS)


def _plain(image: Image.Image) -> Image.Image:
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
