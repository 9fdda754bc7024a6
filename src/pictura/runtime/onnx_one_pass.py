"""A text tower and a generator on ONNX Runtime: numpy arrays in and out, no torch, one call a picture.

As in `onnx_backend.py` the graphs hold no weights, and the network runs one row at a time.

Letters B batch, N noise numbers, T text tokens, D width.
"""

from functools import cache

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from pictura.core.types import Conditioning, OnePass
from pictura.runtime.onnx_backend import Floats, fastest, open_graph
from pictura.store.models import AS_LEARNT, ModelInfo
from pictura.store.weights import read_weights

_USUAL_TOKENS = 12


class OnnxOnePass:
    """A loaded model (`core.types.OnePassBackend`)."""

    device = "cpu"

    def __init__(
        self, model: ModelInfo, *, num_threads: int | None = None, strength: float = AS_LEARNT
    ) -> None:
        """Load the graphs of `model`.

        Args:
            model: whose files were verified.
            num_threads: threads of the generator; None measures which number is fastest.
            strength: of the low-rank changes that the folder may hold, in percent.

        Raises:
            ModelError: a graph or the weights cannot be loaded.
        """
        self.strength = strength
        weights = read_weights(model.path, strength=strength)
        self._text_encoder = open_graph(model, "text_encoder", weights, num_threads=1)

        @cache
        def open_generator(num_threads: int) -> ort.InferenceSession:
            return open_graph(model, "generator", weights, num_threads=num_threads)

        self._generator = open_generator(num_threads or 1)
        shapes = {one.name: one.shape for one in self._generator.get_inputs()}
        self.noise_size = int(shapes["noise"][1])
        self._asked = set(shapes)
        if num_threads is None:
            cond = self.encode_text(np.ones(_USUAL_TOKENS, dtype=np.int64))
            noise = np.zeros((1, self.noise_size), dtype=np.float32)
            num_threads, self._generator = fastest(open_generator, self._inputs(noise, cond))
        self.num_threads = num_threads

    def encode_text(self, token_ids: NDArray[np.int64]) -> Conditioning:
        """Read one prompt: (T,) token ids without padding, to features (1, T, D) and a sentence (1, D)."""
        tokens, sentence = self._text_encoder.run(None, {"token_ids": token_ids[None]})
        mask = np.ones((1, len(token_ids)), dtype=np.bool_)
        return Conditioning(tokens=tokens, mask=mask, sentence=sentence)

    def paint(self, noise: Floats, cond: Conditioning) -> OnePass:
        """Paint from noise (B, N); `cond` is of one prompt."""
        rows = [self._generator.run(None, self._inputs(noise[b : b + 1], cond)) for b in range(len(noise))]
        return OnePass(*(np.concatenate(column) for column in zip(*rows, strict=True)))

    def _inputs(self, noise: Floats, cond: Conditioning) -> dict[str, NDArray[np.generic]]:
        """What the graph asks for: a family that reads only the sentence has no tokens."""
        given = {"noise": noise, "tokens": cond.tokens, "mask": cond.mask, "sentence": cond.sentence}
        return {name: array for name, array in given.items() if name in self._asked}
