"""The stretches of the way from a sentence to pictures by imagination, each a generator of network calls.

    imagine   the prompt              a vector, as a CLIP would see the picture
    paint     a vector                a small picture
    enlarge   the small picture       a large one
    invert    a given small picture   the noise of which `paint` makes it

Source  Ramesh et al. 2022, unCLIP (arXiv:2204.06125), section 2: two vectors are imagined and the one nearer
        to the text is kept; guidance in prior and decoder; section 3.1 for inversion.
Letters B pictures, K candidates, C channels, h w small size, H W large size, D numbers of a vector.
Units   pictures in [-1, 1]; vectors of length 1, times `scale` in the prior; t in [0, 1], 1 = noise.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from pictura.core.errors import ConfigError
from pictura.core.types import Array, Conditioning, ImaginationBackend
from pictura.sample.calls import Call, Calls, Progress, Way
from pictura.sample.diffusion_steps import Path, StepsUp, check_method, steps_down
from pictura.sample.embeddings import keep_better
from pictura.sample.guidance import Guidance
from pictura.sample.randomness import noise, stream
from pictura.sample.schedules import time_grid
from pictura.sample.sizes import nearest_grid
from pictura.store.models import ModelInfo

CANDIDATES = 2
"""K: vectors that are imagined for each picture, of which the best is kept."""
VECTORS = ("prior", "text", "none")
"""What the decoder is told of the picture: the vector that the prior imagines, that of the text, or none."""
_DECODER, _PRIOR, _FRESH, _UPSAMPLER = range(4)
"""Uses of a picture's random numbers."""
Floats = NDArray[np.float32]


class Imagining:
    """One request on its way: which pictures, how, and how far they are."""

    def __init__(
        self,
        model: ModelInfo,
        backend: ImaginationBackend,
        *,
        seed: int,
        numbers: Sequence[int],
        settings: Mapping[str, Any],
        inversions: int = 0,
        imagines: bool = True,
    ) -> None:
        """Plan the way.

        Args:
            model: that paints.
            backend: its networks, which are not called here.
            seed: of all that is random.
            numbers: which of the seed's pictures.
            settings: `request.IMAGINATION` and size.
            inversions: calls of the decoder that inversion will take, beside those of painting.
            imagines: whether the prior will be asked.

        Raises:
            ConfigError: a setting is out of range.
        """
        self.model, self.backend = model, backend
        self.seed, self.numbers, self.settings = seed, numbers, settings
        check_method(settings["decoder_solver"], settings["eta"])
        if settings["vector"] not in VECTORS:
            raise ConfigError(f"vector must be {', '.join(VECTORS)}; got {settings['vector']!r}.")
        self.guidance = Guidance(settings["guidance_scale"], tuple(settings["guidance_interval"]))
        self.prior_guidance = Guidance(settings["prior_guidance"])
        self.times = time_grid(settings["num_steps"], shift=settings["shift"])
        self._prior_times = time_grid(settings["prior_steps"])
        self._upsampler_times = time_grid(settings["upsampler_steps"])
        width, height = settings["size"]
        self.grid = nearest_grid(model.grids, width, height, model.factor)
        """(h, w) of the small pictures."""
        asked = imagines and settings["vector"] == "prior"
        steps = [settings["num_steps"], inversions, settings["prior_steps"] * asked]
        self._done, self._total = 0, sum(steps) + settings["upsampler_steps"] * self.enlarges

    @property
    def enlarges(self) -> bool:
        """Whether there is an upsampler."""
        return bool(self.model.manifest["upsampler"])

    def noise(self) -> Array:
        """(B, C, h, w) of which the small pictures are made."""
        return self._noise((self.model.manifest["decoder"]["image_channels"], *self.grid), use=_DECODER)

    def imagine(self, text: Conditioning) -> Way[Array]:
        """What a CLIP would see in pictures of the text: (B, D) unit vectors."""
        if self.settings["vector"] != "prior":
            return array_namespace(text.sentence).concat([text.sentence] * len(self.numbers))
        table = self.model.manifest["prior"]
        rows = self._noise((CANDIDATES, table["dim"]), use=_PRIOR)
        xp = array_namespace(rows)
        path = steps_down(xp.reshape(rows, (-1, table["dim"])), self._prior_times, schedule=table["schedule"])
        while not path.over:
            calls = [Call("prior", (path.x_t, path.t, text, kept)) for kept in (True, False)]
            path.take((yield from _guided(self.prior_guidance, path.time, *calls)))
            yield self._step()
        length = xp.linalg.vector_norm(path.x_t, axis=1, keepdims=True)
        return keep_better(xp.reshape(path.x_t / xp.clip(length, 1e-12, None), rows.shape), text.sentence)

    def paint(self, x_T: Array, z: Array, text: Conditioning, *, told: bool) -> Way[Array]:
        """Small pictures (B, C, h, w).

        Args:
            x_T: (B, C, h, w) noise.
            z: (B, D) unit vectors.
            text: of the prompt.
            told: whether the decoder is told the text; not where there is none.
        """
        streams = [stream(self.seed, i, use=_FRESH) for i in self.numbers]

        def fresh(_: int) -> Array:
            rows = [one.standard_normal(tuple(x_T.shape[1:]), dtype=np.float32) for one in streams]
            return self.backend.asarray(np.stack(rows))

        path = steps_down(
            x_T,
            self.times,
            schedule=self.model.manifest["decoder"]["schedule"],
            method=self.settings["decoder_solver"],
            eta=self.settings["eta"],
            noises=fresh,
        )
        while not path.over:
            x_0 = yield from self._see(path, z, text, told)
            path.take(x_0)
            yield self._step(x_0)
        return _clip(path.x_t)

    def invert(self, x_0: Array, z: Array, text: Conditioning, *, rounds: int) -> Way[Array]:
        """The noise (B, C, h, w) of which `paint` at eta 0 makes pictures (B, C, h, w), without a text."""
        schedule = self.model.manifest["decoder"]["schedule"]
        path = StepsUp(x_0, self.times, schedule=schedule, rounds=rounds)
        while not path.over:
            path.take((yield from self._see(path, z, text, told=False)))
            yield self._step()
        return path.x_t

    def enlarge(self, low: Array) -> Way[Array]:
        """Small pictures (B, C, h, w) to large ones (B, C, H, W); as they are if there is no upsampler."""
        if not self.enlarges:
            return low
        factor, schedule = self.model.factor, self.model.manifest["upsampler"]["schedule"]
        shape = (low.shape[1], *(side * factor for side in self.grid))
        path = steps_down(self._noise(shape, use=_UPSAMPLER), self._upsampler_times, schedule=schedule)
        while not path.over:
            x_0 = yield Call("upsampler", (path.x_t, path.t, low))
            path.take(_clip(x_0))
            yield self._step(x_0)
        return _clip(path.x_t)

    def _see(self, path: Path, z: Array, text: Conditioning, told: bool) -> Way[Array]:
        """The small picture that the decoder sees where a path stands, guided."""
        keeps = (self.settings["vector"] != "none", told), (False, False)
        x_t, t = path.x_t, path.t
        calls = [Call("decoder", (x_t, t, z, text, keep)) for keep in keeps]
        return _clip((yield from _guided(self.guidance, path.time, *calls)))

    def _noise(self, shape: Sequence[int], *, use: int) -> Array:
        rows = [noise(self.seed, i, shape, use=use) for i in self.numbers]
        return self.backend.asarray(np.stack(rows))

    def _step(self, x_0: Array | None = None) -> Progress:
        """One more step is done; `x_0` is how the pictures look by now."""
        self._done += 1
        num = len(self.numbers)
        preview = None if x_0 is None else Call("decode", (x_0,))
        return Progress(self._done * num, self._total * num, preview)


def _guided(guidance: Guidance, time: float, told: Call, untold: Call) -> Way[Array]:
    """What a network says; where guidance is on, further from what it says when it is told nothing."""
    if not guidance.on(time):
        return (yield told)
    with_prompt, without_prompt = yield Calls((told, untold))
    return guidance.join(with_prompt, without_prompt)


def _clip(x: Array) -> Array:
    return array_namespace(x).clip(x, -1.0, 1.0)
