"""A painter by imagination on ONNX Runtime: numpy arrays in and out, no torch.

As in `onnx_backend.py` the graphs hold no weights, and networks run one row at a time, so that a picture's
bits cannot depend on what is painted beside it.

Letters B pictures, C channels, H W size, D numbers of a vector, T text tokens, E width of the text features.
"""

from functools import cache, cached_property
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from pictura.core.types import Conditioning
from pictura.runtime.onnx_backend import fastest, open_graph
from pictura.sample.probing import untrained_parts
from pictura.store.clips import reading_weights
from pictura.store.models import AS_LEARNT, ModelInfo
from pictura.store.weights import read_weights

Floats = NDArray[np.float32]
SPACE = ("mean", "components", "variances")
"""What weights say of the vectors of pictures, see `core.types.ImaginationBackend`."""
_TOKENS = 12  # of a prompt that is read to find the fastest number of threads


class OnnxUnclip:
    """A loaded model (`core.types.ImaginationBackend`)."""

    device = "cpu"

    def __init__(
        self, model: ModelInfo, *, num_threads: int | None = None, strength: float = AS_LEARNT
    ) -> None:
        """Load the graphs of `model`.

        Args:
            model: whose files were verified.
            num_threads: threads of one network call; None measures which number is fastest.
            strength: of the low-rank changes that the folder may hold, in percent.

        Raises:
            ModelError: a graph or the weights cannot be loaded, or the CLIP that it listens to is not here.
        """
        self._model, self.strength = model, strength
        weights = read_weights(model.path, strength=strength) | reading_weights(model)
        mean, components, variances = (weights[f"prior.space.{name}"] for name in SPACE)
        self.space = mean, components, variances

        @cache
        def open_decoder(num_threads: int) -> ort.InferenceSession:
            return open_graph(model, "decoder", weights, num_threads=num_threads)

        if num_threads is None:
            num_threads, _ = fastest(open_decoder, _example(model))
        self.num_threads, self._decoder = num_threads, open_decoder(num_threads)
        self._sessions = {
            name: open_graph(model, name, weights, num_threads=num_threads)
            for name in ("text_encoder", "prior", "upsampler")
            if name in model.graphs
        }

    def asarray(self, array: Floats) -> Floats:
        """Numpy is where this backend computes."""
        return array

    def numpy(self, array: Floats) -> Floats:
        """Numpy is where this backend computes."""
        return array

    def encode_text(self, token_ids: NDArray[np.int64]) -> Conditioning:
        """Read one prompt: (T,) token ids without padding, to features (1, T, E) and a unit vector (1, D)."""
        tokens, sentence = self._sessions["text_encoder"].run(None, {"token_ids": token_ids[None]})
        mask = np.ones((1, len(token_ids)), dtype=np.bool_)
        return Conditioning(tokens=tokens, mask=mask, sentence=sentence)

    def prior(self, z_t: Floats, t: Floats, text: Conditioning, keep: bool) -> Floats:
        """Noisy vectors (B, D) at times (B,) to clean ones, all scaled; `text` is of one prompt."""
        told = {"tokens": text.tokens, "mask": text.mask, "sentence": text.sentence, "keep": np.array([keep])}
        return _by_row(self._sessions["prior"], {"z_t": z_t, "t": t}, told)

    def decoder(
        self, x_t: Floats, t: Floats, z: Floats, text: Conditioning, keep: tuple[bool, bool]
    ) -> Floats:
        """Noisy pictures (B, C, H, W) at times (B,) to clean ones, in [-1, 1]; see `ImaginationBackend`."""
        told = {"tokens": text.tokens, "mask": text.mask}
        told |= {"keep_embedding": np.array(keep[:1]), "keep_text": np.array(keep[1:])}
        return _by_row(self._decoder, {"x_t": x_t, "t": t, "embedding": z}, told)

    def upsampler(self, x_t: Floats, t: Floats, low: Floats) -> Floats:
        """Noisy pictures (B, C, H, W) at times (B,) to clean ones, whose small forms are `low`."""
        return _by_row(self._sessions["upsampler"], {"x_t": x_t, "t": t, "low": low}, {})

    def decode(self, x_0: Floats) -> Floats:
        """Pictures in [-1, 1] to [0, 1], clipped."""
        return np.clip(x_0 / 2 + 0.5, 0, 1)

    @cached_property
    def untrained(self) -> tuple[str, ...]:
        """Names of the networks that learnt nothing."""
        return untrained_parts(self._model, self, self.space)


def _by_row(session: ort.InferenceSession, rows: dict[str, Floats], told: dict[str, NDArray[Any]]) -> Floats:
    """Call a network with one row after another; what is `told` is the same for all."""
    num = len(next(iter(rows.values())))
    each = ({name: array[b : b + 1] for name, array in rows.items()} for b in range(num))
    return np.concatenate([session.run(None, {**row, **told})[0] for row in each])


def _example(model: ModelInfo) -> dict[str, NDArray[Any]]:
    """What the decoder reads, of the real shapes."""
    (h, w), config = model.grids[0], model.manifest["decoder"]
    return {
        "x_t": np.zeros((1, config["image_channels"], h, w), dtype=np.float32),
        "t": np.ones(1, dtype=np.float32),
        "embedding": np.zeros((1, config["embed_dim"]), dtype=np.float32),
        "tokens": np.zeros((1, _TOKENS, config["text_width"]), dtype=np.float32),
        "mask": np.ones((1, _TOKENS), dtype=np.bool_),
        "keep_embedding": np.ones(1, dtype=np.bool_),
        "keep_text": np.ones(1, dtype=np.bool_),
    }
