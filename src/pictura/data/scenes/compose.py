"""Paint scenes from a glyph tensor: places and colours in, pictures out, on any array library.

Scale, shift, mirror and antialiasing of an object are two small matrices, so a batch is a few batched matrix
products: ``out = rows @ glyph @ columns^T`` with triangle-filter weights; objects are then laid over one
another.

Letters B pictures, N glyphs of the tensor, n objects of one layer, S glyph side, H W canvas.
Units   float32 in [0, 1], premultiplied; places in pixels.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from array_api_compat import device as device_of
from numpy.typing import NDArray

from pictura.core.types import Array
from pictura.data.scenes.arrange import Place
from pictura.data.vocabulary.colours import RGB, recolour

_CHUNK_ON_CPU = 32  # pictures at once: more fall out of the cache (measured, half the speed at 256)
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Part:
    """One object to paint."""

    glyph: int
    """Its row in the glyph tensor."""
    place: Place
    tint: RGB | None = None
    """The colour to give it, or None for its own."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One picture to paint, objects from back to front."""

    parts: tuple[Part, ...]
    background: RGB | None = None
    """None is transparent."""


class Composer:
    """Paints plans with one array library on one device."""

    def __init__(
        self,
        glyphs: NDArray[np.uint8],
        middle: NDArray[np.float32],
        *,
        size: tuple[int, int],
        xp: ModuleType,
        device: object | None = None,
    ) -> None:
        """Put the glyphs where they are needed.

        Args:
            glyphs: (N, 4, S, S) uint8, premultiplied.
            middle: (N,) luminances that take a colour as it is, see `colours.middle_luminance`.
            size: (H, W) of the canvas.
            xp: an array API namespace from array_api_compat.
            device: where `xp` computes; None is its default.
        """
        self._xp, self._device, self._size = xp, device, size
        self._glyphs = self._move(glyphs)
        self._middle = self._move(middle)
        on_cpu = "cpu" in str(device_of(self._glyphs)).lower()
        self._chunk = _CHUNK_ON_CPU if on_cpu else _CHUNK

    def resized(self, size: tuple[int, int]) -> "Composer":
        """The same, on a canvas of another (H, W); glyphs are shared."""
        other = copy.copy(self)
        other._size = size
        return other

    def __call__(self, plans: Sequence[Plan]) -> Array:
        """Paint B plans: (B, 4, H, W) float32 in [0, 1], premultiplied."""
        chunks = [plans[i : i + self._chunk] for i in range(0, len(plans), self._chunk)]
        return self._xp.concat([self._layers(chunk) for chunk in chunks], axis=0)

    def _layers(self, plans: Sequence[Plan]) -> Array:
        """Paint a few plans, layer by layer."""
        xp = self._xp
        order = sorted(range(len(plans)), key=lambda b: -len(plans[b].parts))  # layers are then prefixes
        sorted_plans = [plans[b] for b in order]
        grounds = np.asarray([(*p.background, 1) if p.background else (0, 0, 0, 0) for p in sorted_plans])
        canvas = self._move(grounds.astype(np.float32))[:, :, None, None]
        canvas = xp.broadcast_to(canvas, (len(plans), 4, *self._size))
        for layer in range(len(sorted_plans[0].parts)):
            parts = [p.parts[layer] for p in sorted_plans if len(p.parts) > layer]
            top = self._paint(parts)
            below = canvas[: len(parts), ...]
            canvas = xp.concat([top + below * (1 - top[:, 3:, :, :]), canvas[len(parts) :, ...]], axis=0)
        canvas = xp.clip(canvas, min=0.0, max=1.0)  # rounding
        return xp.take(canvas, self._move(np.argsort(order)), axis=0)

    def _paint(self, parts: Sequence[Part]) -> Array:
        """Paint n objects, each on an empty canvas: (n, 4, H, W)."""
        xp = self._xp
        images = self._coloured(parts)
        n, channels, size, _ = images.shape
        height, width = self._size
        x, y, side = (
            np.asarray([getattr(p.place, name) for p in parts], dtype=np.float32)
            for name in ("x", "y", "side")
        )
        flipped = np.asarray([p.place.flipped for p in parts])
        rows = self._weights(y, side, np.zeros_like(flipped), height, size)
        columns = self._weights(x, side, flipped, width, size)
        wide = xp.reshape(images, (n, channels * size, size)) @ xp.matrix_transpose(columns)
        return rows[:, None, :, :] @ xp.reshape(wide, (n, channels, size, width))

    def _coloured(self, parts: Sequence[Part]) -> Array:
        """The parts' glyphs (n, 4, S, S) as float32, tinted where that is asked."""
        xp = self._xp
        tinted = np.asarray([p.tint is not None for p in parts])
        order = np.argsort(tinted, kind="stable")  # those to tint come last, then all go back to their place
        rows = self._move(np.asarray([parts[i].glyph for i in order]))
        images = xp.astype(xp.take(self._glyphs, rows, axis=0), xp.float32) / 255
        if not tinted.any():
            return images
        plain = len(parts) - int(tinted.sum())
        colours = self._move(np.asarray([parts[i].tint for i in order[plain:]], dtype=np.float32))
        middle = xp.take(self._middle, rows[plain:], axis=0)
        images = xp.concat([images[:plain, ...], recolour(images[plain:, ...], colours, middle)], axis=0)
        return xp.take(images, self._move(np.argsort(order)), axis=0)

    def _weights(
        self,
        start: NDArray[np.float32],
        side: NDArray[np.float32],
        flipped: NDArray[np.bool_],
        length: int,
        size: int,
    ) -> Array:
        """(n, length, size) weights: how much each glyph pixel gives to each canvas pixel along one axis."""
        xp = self._xp
        pixels = (np.arange(length, dtype=np.float32) + 0.5 - start[:, None]) * (size / side)[:, None]
        centres = self._move(np.where(flipped[:, None], size - pixels, pixels).astype(np.float32))
        radius = np.maximum(size / side, 1.0).astype(np.float32)
        margin = int(np.ceil(radius.max())) + 1  # beyond the glyph is empty, yet counts in the mean
        sources = self._move(np.arange(-margin, size + margin, dtype=np.float32) + 0.5)
        distance = xp.abs(centres[:, :, None] - sources[None, None, :]) / self._move(radius)[:, None, None]
        weights = xp.clip(1 - distance, min=0.0)
        total = xp.sum(weights, axis=2, keepdims=True)
        return weights[:, :, margin : margin + size] / xp.clip(total, min=1e-6)

    def _move(self, array: NDArray[np.generic]) -> Array:
        return self._xp.asarray(array, device=self._device)
