"""Whether networks of a painter by imagination learnt anything, by what is known of what they are shown.

Each is shown something known under some noise. One that learnt knows it better than whoever takes the noise
for the thing, or says the same of everything, or, of an upsampler, only enlarges smoothly.

Letters B rows, C channels, H W size, D numbers of a vector.
Units   pictures in [-1, 1]; t in [0, 1], 1 = noise.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pictura.core.types import Array, ImaginationBackend
from pictura.sample.diffusion import shares
from pictura.store.models import ModelInfo

NOISE_TIMES = {"prior": 0.3, "decoder": 0.3, "upsampler": 0.15}
"""Of the noise that each is shown."""
BETTER = 0.5
"""Share of the squared error of the best thoughtless answer; below it something was learnt."""
Floats = NDArray[np.float32]
See = Callable[[Array, Array], Array]


def untrained_parts(
    model: ModelInfo, backend: ImaginationBackend, space: tuple[Floats, Floats, Floats]
) -> tuple[str, ...]:
    """Names of the networks that learnt nothing.

    Args:
        model: whose networks they are.
        backend: that runs them.
        space: mean (D,), components (D, D) and variances (D,) of vectors of pictures.
    """
    tables = model.manifest
    learnt = {
        "prior": _prior_learnt(backend, tables["prior"], space),
        "decoder": _decoder_learnt(backend, tables["decoder"]),
        "upsampler": not tables["upsampler"]
        or _upsampler_learnt(backend, tables["upsampler"], tables["decoder"]["size"]),
    }
    return tuple(name for name, learns in learnt.items() if not learns)


def _prior_learnt(
    backend: ImaginationBackend, table: Mapping[str, Any], space: tuple[Floats, Floats, Floats]
) -> bool:
    """A vector as pictures have them: the mean, and a deviation along every component."""
    mean, components, variances = space
    signs = np.where(np.arange(len(mean)) % 2, 1, -1).astype(np.float32)
    known = table["scale"] * (mean + (signs * np.sqrt(variances)) @ components)
    text = backend.encode_text(np.zeros(1, dtype=np.int64))
    return _learnt(
        backend,
        "prior",
        table["schedule"],
        known[None],
        [table["scale"] * mean],
        lambda z_t, t: backend.prior(z_t, t, text, False),
    )


def _decoder_learnt(backend: ImaginationBackend, table: Mapping[str, Any]) -> bool:
    known = _picture(table["image_channels"], table["size"])
    text = backend.encode_text(np.zeros(1, dtype=np.int64))
    z = backend.asarray(np.zeros((1, table["embed_dim"]), dtype=np.float32))
    flat = known.mean(axis=(2, 3), keepdims=True)
    return _learnt(
        backend,
        "decoder",
        table["schedule"],
        known,
        [flat],
        lambda x_t, t: backend.decoder(x_t, t, z, text, (False, False)),
    )


def _upsampler_learnt(backend: ImaginationBackend, table: Mapping[str, Any], side: int) -> bool:
    channels, factor = table["image_channels"], table["factor"]
    known = _picture(channels, side * factor)
    low = known.reshape(1, channels, side, factor, side, factor).mean(axis=(3, 5))
    wide = np.stack([_enlarged(plane, side * factor) for plane in low[0]])[None]
    small = backend.asarray(low)
    return _learnt(
        backend,
        "upsampler",
        table["schedule"],
        known,
        [wide],
        lambda x_t, t: backend.upsampler(x_t, t, small),
    )


def _learnt(
    backend: ImaginationBackend,
    name: str,
    schedule: str,
    known: Floats,
    thoughtless: Sequence[Floats],
    see: See,
) -> bool:
    """Whether a network sees what is known (1, ...) better than any thoughtless answer."""
    a, s = shares(schedule, NOISE_TIMES[name])
    noise = np.random.default_rng(0).standard_normal(known.shape, dtype=np.float32)
    x_t = (a * known + s * noise).astype(np.float32)
    t = np.full(1, NOISE_TIMES[name], dtype=np.float32)
    seen = backend.numpy(see(backend.asarray(x_t), backend.asarray(t)))
    least = min(_error(answer, known) for answer in (x_t / a, *thoughtless))
    return _error(seen, known) < BETTER * least


def _error(answer: Floats, known: Floats) -> float:
    return float(np.square(answer - known).mean())


def _picture(channels: int, side: int) -> Floats:
    """(1, C, side, side): an orange disc with a blue square on it; around them transparent, or white."""
    y, x = ((np.mgrid[:side, :side] + 0.5) / side).astype(np.float32)
    disc = np.hypot(x - 0.5, y - 0.5) < 0.36
    square = np.maximum(abs(x - 0.55), abs(y - 0.45)) < 0.17
    colours = ((0.95, 0.5, 0.1), (0.1, 0.2, 0.8))
    planes = np.full((3, side, side), 0.0 if channels == 4 else 1.0, dtype=np.float32)
    for inside, colour in zip((disc, square), colours, strict=True):
        planes[:, inside] = np.array(colour, dtype=np.float32)[:, None]
    if channels == 4:
        planes = np.concatenate([planes, (disc | square).astype(np.float32)[None]])
    return planes[None] * 2 - 1


def _enlarged(plane: Floats, side: int) -> Floats:
    """(h, w) to (side, side), bilinear."""
    return np.asarray(Image.fromarray(plane).resize((side, side), Image.Resampling.BILINEAR))
