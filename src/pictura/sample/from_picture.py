"""Painting that begins with a picture: part of the way back to noise, and from there by the prompt.

Source  Meng et al. 2022, SDEdit (arXiv:2108.01073): noise a picture up to some time, denoise from there.
        Lugmayr et al. 2022, RePaint (arXiv:2201.09865), without its resampling: what is kept under a mask is
        put back, at the noise of the moment, after every step.
Letters B pictures, C channels, h w latent size, H W picture size.
Units   t in [0, 1], 1 = noise; a mask is 1 where the picture is painted anew, 0 where it is kept.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from pictura.core import images
from pictura.core.errors import ConfigError, SizeError
from pictura.core.types import Array

Floats = NDArray[np.float32]
LEAST, MOST = 0.02, 1.0
_FEATHER = 1.5
"""Standard deviation, in painted pixels, of the soft edge between what is kept and what is new."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """A picture to begin with."""

    image: Image.Image
    """RGB or RGBA with straight alpha."""
    noise_level: float
    """The time at which painting begins: 0.02 changes next to nothing, 1 all."""
    mask: Image.Image | None = None
    """Light where it shall be painted anew; None is everywhere."""

    def __post_init__(self) -> None:
        if not LEAST <= self.noise_level <= MOST:
            raise ConfigError(
                f"noise_level must be from {LEAST} (hardly changed) to {MOST:g} (all new); "
                f"got {self.noise_level}."
            )
        if self.mask is not None and self.mask.size != self.image.size:
            size, other = ("x".join(map(str, one.size)) for one in (self.image, self.mask))
            raise SizeError(f"The mask must be as large as its picture, {size}; got {other}.")

    def told(self) -> dict[str, Any]:
        """What the metadata of a picture say of it: enough to know it again, not to paint it again."""
        told = {"noise_level": self.noise_level, "from_picture": _hash(self.image)}
        return told | ({"mask": _hash(self.mask)} if self.mask else {})


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """A picture as the network begins with it."""

    x_0: Array
    """(1, C, h, w) its latent."""
    noise: Array
    """(B, C, h, w) of each picture that shall be painted."""
    keep: Array | None
    """(1, 1, h, w) 1 where the latent is kept."""

    def at(self, t: float) -> Array:
        """(B, C, h, w) the picture's latent at the noise of time `t`."""
        return (1 - t) * self.x_0 + t * self.noise

    def kept(self, x_t: Array, t: float) -> Array:
        """`x_t` at time `t`, with what is kept put back."""
        return x_t if self.keep is None else x_t + self.keep * (self.at(t) - x_t)


def begin(given: Given, x_0: Array, noise: Array) -> Start:
    """The start of a picture's way, from its latent (1, C, h, w) and noise (B, C, h, w)."""
    keep = None
    if given.mask is not None:
        h, w = x_0.shape[2:]
        keep = array_namespace(x_0).asarray(1 - _mask_of(given, (w, h)), device=device(x_0))
    return Start(x_0=x_0, noise=noise, keep=keep)


def pixels(given: Given, size: tuple[int, int], channels: int) -> Floats:
    """The picture as the network paints it: (1, C, H, W) in [0, 1].

    Args:
        given: the picture.
        size: (W, H).
        channels: 3 or 4.
    """
    image = given.image.convert("RGBA").resize(size, Image.Resampling.LANCZOS)
    array = images.from_pil([image])
    return array if channels == 4 else np.asarray(images.on_background(array, 1.0), dtype=np.float32)


def _mask_of(given: Given, size: tuple[int, int]) -> Floats:
    """(1, 1, h, w) 1 where all is painted anew."""
    assert given.mask is not None
    small = given.mask.convert("L").resize(size, Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)[None, None] / np.float32(255)


def times_from(times: Sequence[float], noise_level: float) -> list[float]:
    """The part of a falling grid of times that begins at `noise_level`."""
    return [noise_level, *(t for t in times if t < noise_level)]


def put_back(painted: Floats, given: Given, original: Floats) -> Floats:
    """The pictures (B, C, H, W) with every kept pixel as it was, and a soft edge inside what is new.

    Args:
        painted: what came out of the networks.
        given: the picture with its mask.
        original: (1, C, H, W) that it began with.
    """
    if given.mask is None:
        return painted
    size = (painted.shape[3], painted.shape[2])
    hard = given.mask.convert("L").resize(size, Image.Resampling.NEAREST).point(lambda v: 255 * (v >= 128))
    inner = hard.filter(ImageFilter.MinFilter(3))
    soft = np.asarray(inner.filter(ImageFilter.GaussianBlur(_FEATHER)), dtype=np.float32)[None, None] / 255
    new = soft * (np.asarray(hard, dtype=np.float32)[None, None] / 255)
    return (original + new * (painted - original)).astype(np.float32)


def _hash(image: Image.Image) -> str:
    told = f"{image.mode} {image.width}x{image.height}\n".encode()
    return hashlib.sha256(told + image.tobytes()).hexdigest()


def given_in(choices: Mapping[str, Any]) -> Given | None:
    """The picture that somebody wants to begin with, if there is one.

    Raises:
        ConfigError: a mask or a noise level without a picture, or a level out of range.
        SizeError: a mask of another size.
    """
    image, level, mask = (choices.get(name) for name in ("image", "noise_level", "mask"))
    if image is None:
        if level is not None or mask is not None:
            raise ConfigError("noise_level and mask belong to a picture to begin with: give image too.")
        return None
    return Given(image=image, noise_level=0.7 if level is None else float(level), mask=mask)
