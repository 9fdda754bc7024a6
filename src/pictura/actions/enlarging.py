"""Pictures made larger: four times by an upsampler that learnt it, in tiles; beyond that by Lanczos.

The upsampler of a painter by imagination enlarges squares of one size. A picture is cut into such squares;
at every step all of them are seen, and what they see is joined, faded into each other, before the next step.
So a picture of any size is enlarged as one.

Source  Ramesh et al. 2022, unCLIP (arXiv:2204.06125), for the upsampler; Bar-Tal et al. 2023, MultiDiffusion
        (arXiv:2302.08113), for tiles joined at every step.
Letters C channels, h w size of the picture, H W of the larger one, n side of a tile.
Units   pictures in [-1, 1] between the networks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import pictura
from pictura.actions.renoising import told
from pictura.core import images
from pictura.core.errors import ConfigError, SizeError
from pictura.pipeline import Painter, Picture
from pictura.sample.calls import Call, Calls, Progress, Way
from pictura.sample.diffusion_steps import steps_down
from pictura.sample.randomness import noise
from pictura.sample.request import Choices
from pictura.sample.schedules import time_grid
from pictura.sample.sizes import MAX_SIDE
from pictura.store.models import ModelInfo

FACTORS = (2, 4)
LANCZOS, LEARNT = "lanczos", "upsampler"
ENLARGER = "enlarger"
"""What pictures say that were painted small and enlarged by it."""
NOTICE = "Enlarged by Lanczos, which adds no detail: no model here has an upsampler that learnt to."
TOO_LARGE = "Enlarged by Lanczos, which adds no detail: the picture is too large for the upsampler."
LONGEST = 1600
"""Pixels of a side, beyond which the upsampler takes more than a quarter of a minute."""
_OVERLAP = 8
"""Pixels of the small picture that neighbouring tiles share."""
_AT_ONCE = 8
"""Tiles that are asked for together, so that others get their turn between."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Enlarged:
    """A picture, `factor` times as large."""

    image: Image.Image
    action: Mapping[str, Any]
    """With ``factor`` and ``by``, `LANCZOS` or `LEARNT`; with ``said`` where the picture says how it was
    painted."""
    together: bool = field(default=True, init=False)

    def making(self, painter: Painter, prompt: str, **choices: Unpack[Choices]) -> Way[list[Picture]]:
        """See `making.Work`; the picture stays who it was, with the seed and model that it says."""
        size = enlarged_size(self.image.size, self.action["factor"])
        said, seed = self.action.get("said") or {}, choices.get("seed") or 0
        by, notices = LANCZOS, _as_told(NOTICE)
        large = self.image.resize(size, Image.Resampling.LANCZOS)
        if self.action["by"] == LEARNT:
            # Once: what an upsampler made is no small picture of those that it learnt from.
            start = _as_painted(self.image, said.get("settings", {}))
            notices = _as_told(TOO_LARGE)
            if max(start.shape[2:]) * painter.model.factor <= LONGEST:
                made = yield from enlarge(painter, start, seed=seed)
                large, by, notices = images.to_pil(images.resize(made, size))[0], LEARNT, _as_told()
        one = _picture(large, said, painter.model, prompt, seed, notices)
        action = {**{name: value for name, value in self.action.items() if name != "said"}, "by": by}
        return [told(one, action, size=list(size), scaling=by)]


def enlarged_size(size: tuple[int, int], factor: int) -> tuple[int, int]:
    """(width, height) of the larger picture.

    Raises:
        ConfigError: the factor is another than 2 or 4.
        SizeError: it would be too large.
    """
    if factor not in FACTORS:
        raise ConfigError(f"A picture is enlarged 2 or 4 times; got {factor}.")
    width, height = size[0] * factor, size[1] * factor
    if max(width, height) > MAX_SIDE:
        raise SizeError(
            f"{factor} times {size[0]}x{size[1]} is {width}x{height}; sides have at most {MAX_SIDE} pixels. "
            "Ask for less, or take a smaller picture."
        )
    return width, height


def enlarge(painter: Painter, small: Floats, *, seed: int) -> Way[Floats]:
    """A picture, as many times as large as the upsampler makes it.

    Args:
        painter: by imagination, with an upsampler.
        small: (1, C, h, w) in [0, 1], premultiplied.
        seed: of its noise.

    Returns:
        (1, C, H, W) in [0, 1].
    """
    table, backend, factor = painter.model.manifest["upsampler"], painter.backend, painter.model.factor
    n, channels = table["size"] // factor, table["image_channels"]
    h, w = small.shape[2:]
    seen = small if channels == 4 else images.on_background(small, 1.0)
    pads = ((0, 0), (0, 0), (0, max(0, n - h)), (0, max(0, n - w)))
    low = np.pad(np.asarray(seen, dtype=np.float32), pads, mode="edge") * 2 - 1
    shape = (channels, low.shape[2] * factor, low.shape[3] * factor)
    places = [(y, x) for y in starts(low.shape[2], n) for x in starts(low.shape[3], n)]
    fade, num_steps = _fade(n * factor, _OVERLAP * factor), painter.model.sampling.upsampler_steps
    path = steps_down(noise(seed, 0, shape)[None], time_grid(num_steps), schedule=table["schedule"])
    while not path.over:
        total, weight = np.zeros((1, *shape), dtype=np.float32), np.zeros(shape[1:], dtype=np.float32)
        for i in range(0, len(places), _AT_ONCE):
            some = places[i : i + _AT_ONCE]
            tiles = [
                tuple(map(backend.asarray, (_cut(path.x_t, y, x, n, factor), path.t, _cut(low, y, x, n, 1))))
                for y, x in some
            ]
            answers = yield Calls(tuple(Call("upsampler", tile) for tile in tiles))
            for (y, x), answer in zip(some, answers, strict=True):
                area = np.s_[y * factor : (y + n) * factor, x * factor : (x + n) * factor]
                total[0, :, *area] += fade * backend.numpy(answer)[0]
                weight[area] += fade
        path.take(np.clip(total / weight, -1, 1))
        yield Progress(path.done, num_steps)
    large = np.clip(path.x_t / 2 + 0.5, 0, 1)[:, :, : h * factor, : w * factor]
    return np.ascontiguousarray(large, dtype=np.float32)


def starts(length: int, n: int) -> list[int]:
    """Where tiles of side `n` begin along a side, so that they overlap and the last one ends with it."""
    step = n - _OVERLAP
    return [*range(0, length - n, step), length - n]


def learner(models: Sequence[ModelInfo]) -> ModelInfo | None:
    """The first model with an upsampler."""
    return next((one for one in models if one.by_imagination and one.manifest["upsampler"]), None)


def _as_told(*notices: str) -> tuple[str, ...]:
    return notices


def _as_painted(image: Image.Image, settings: Mapping[str, Any]) -> Floats:
    """The picture (1, 4, h, w) of the size that it was painted at, before it was made larger."""
    found = images.from_pil([image])
    was_small = settings.get("scaling") in (LANCZOS, ENLARGER) and "painted_size" in settings
    if was_small and "made_by" not in settings:
        width, height = settings["painted_size"]
        found = images.resize(found, (min(width, image.width), min(height, image.height)))
    return found


def _cut(array: Floats, y: int, x: int, n: int, times: int) -> Floats:
    return np.ascontiguousarray(array[:, :, y * times : (y + n) * times, x * times : (x + n) * times])


def _fade(side: int, overlap: int) -> Floats:
    """(side, side) weights of a tile: less towards its edges, never 0."""
    along = np.arange(side) + 0.5
    ramp = np.clip(np.minimum(along, side - along) / overlap, 0.01, 1)
    return (ramp[:, None] * ramp[None]).astype(np.float32)


def _picture(
    large: Image.Image,
    said: Mapping[str, Any],
    model: ModelInfo,
    prompt: str,
    seed: int,
    notices: tuple[str, ...],
) -> Picture:
    """The large picture, with what the small one says of itself; of one that says nothing, what is known."""
    unknown = {"solver": "none", "guidance_scale": 1.0}
    return Picture(
        image=large,
        prompt=said.get("prompt", prompt),
        seed=said.get("seed", seed),
        index=said.get("index", 0),
        settings=dict(said.get("settings", unknown)),
        model=said.get("model", model.name),
        model_hash=said.get("model_hash", model.hash),
        version=said.get("version", pictura.__version__),
        notices=notices,
    )
