"""The networks of a model folder on ONNX Runtime: numpy arrays in and out, no torch.

The graphs hold no weights. They are handed over by name, so one file of weights serves torch and ONNX
alike, and learnt changes are added on the way. The network runs one row at a time: as fast as batches
on a CPU, and a picture's bits then cannot depend on what is painted beside it.

Letters B batch, C channels, T text tokens, D width.
"""

import os
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import takewhile
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from pictura.core.errors import ModelError
from pictura.core.types import Conditioning
from pictura.store.models import AS_LEARNT, ModelInfo
from pictura.store.weights import read_weights

Floats = NDArray[np.float32]
_QUIET = 3  # errors only
_WORTH_IT = 0.95  # another thread must save this much, or fewer threads are kept


class OnnxBackend:
    """A loaded model (`core.types.Backend`)."""

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
            ModelError: a graph or the weights cannot be loaded.
        """
        self._model, self.strength = model, strength
        self.latent_channels = int(model.manifest["network"]["latent_channels"])
        weights = read_weights(model.path, strength=strength)
        if num_threads is None:
            self.num_threads, self._network = self._fastest(weights)
        else:
            self.num_threads, self._network = num_threads, self._open("network", weights, num_threads)
        self._text_encoder = self._open("text_encoder", weights, self.num_threads)
        self._decoder = self._open("decoder", weights, self.num_threads)

    def asarray(self, array: Floats) -> Floats:
        """Numpy is where this backend computes."""
        return array

    def numpy(self, array: Floats) -> Floats:
        """Numpy is where this backend computes."""
        return array

    def encode_text(self, token_ids: NDArray[np.int64]) -> Conditioning:
        """Read one prompt: (T,) token ids without padding, to features (1, T, D)."""
        (tokens,) = self._text_encoder.run(None, {"token_ids": token_ids[None]})
        return Conditioning(tokens=tokens, mask=np.ones((1, len(token_ids)), dtype=np.bool_))

    def velocity(self, x_t: Floats, t: Floats, cond: Conditioning) -> Floats:
        """Velocity of latents `x_t` (B, C, H, W) at times `t` (B,); `cond` is of one prompt (1, T, D)."""
        return _rows(self._network, x_t, t, cond)

    def student_velocity(self, x_t: Floats, t: Floats, cond: Conditioning) -> Floats:
        """The same by the model's student."""
        return _rows(self._student, x_t, t, cond)

    def encode(self, images: Floats) -> Floats:
        """Images (B, 3 or 4, H * factor, W * factor) in [0, 1], premultiplied, to latents (B, C, H, W)."""
        rows = [self._encoder.run(None, {"images": images[b : b + 1]})[0] for b in range(len(images))]
        return np.concatenate(rows)

    def decode(self, x_0: Floats) -> Floats:
        """Latents (B, C, H, W) to images (B, 3 or 4, H * factor, W * factor) in [0, 1], premultiplied."""
        rows = [self._decoder.run(None, {"latent": x_0[b : b + 1]})[0] for b in range(len(x_0))]
        return np.concatenate(rows)

    @cached_property
    def _encoder(self) -> ort.InferenceSession:
        """Opened on its first use: most pictures begin with noise alone."""
        weights = read_weights(self._model.path, strength=self.strength)
        return self._open("encoder", weights, self.num_threads)

    @cached_property
    def _student(self) -> ort.InferenceSession:
        """Opened on its first use: most pictures are no drafts."""
        weights = read_weights(self._model.path, strength=self.strength, student=True)
        return self._open("network", weights, self.num_threads)

    def _open(self, graph: str, weights: Mapping[str, Floats], num_threads: int) -> ort.InferenceSession:
        return open_graph(self._model, graph, weights, num_threads=num_threads)

    def _fastest(self, weights: Mapping[str, Floats]) -> tuple[int, ort.InferenceSession]:
        h, w = self._model.grids[0]
        tokens = np.zeros((1, 12, self._model.manifest["network"]["text_width"]), dtype=np.float32)
        inputs = {
            "x_t": np.zeros((1, self.latent_channels, h, w), dtype=np.float32),
            "t": np.ones(1, dtype=np.float32),
            "tokens": tokens,
            "mask": np.ones(tokens.shape[:2], dtype=np.bool_),
        }
        return fastest(lambda num_threads: self._open("network", weights, num_threads), inputs)


def _rows(network: ort.InferenceSession, x_t: Floats, t: Floats, cond: Conditioning) -> Floats:
    """Velocities (B, C, H, W), a row at a time."""
    given = {"tokens": cond.tokens, "mask": cond.mask}
    rows = [
        network.run(None, {"x_t": x_t[b : b + 1], "t": t[b : b + 1], **given})[0] for b in range(len(x_t))
    ]
    return np.concatenate(rows)


def fastest(
    open_session: Callable[[int], ort.InferenceSession], inputs: Mapping[str, NDArray[Any]]
) -> tuple[int, ort.InferenceSession]:
    """Try 1, 2, 4, 8 threads for as long as more are faster. The numbers that come out are the same.

    Args:
        open_session: number of threads to a session.
        inputs: of one call, of the real shapes.
    """
    best_s, best = float("inf"), (0, None)
    for num_threads in takewhile(lambda n: n <= available_cores(), (1, 2, 4, 8)):
        session = open_session(num_threads)
        seconds = _call_seconds(session, inputs)
        if seconds > best_s * _WORTH_IT:
            break
        best_s, best = seconds, (num_threads, session)
    return best


def _call_seconds(session: ort.InferenceSession, inputs: Mapping[str, NDArray[Any]]) -> float:
    """Mean of three calls, after one to warm up. The mean, because on a busy machine threads that wait for
    each other are fast now and then and slow on the whole.
    """
    session.run(None, inputs)
    start = time.perf_counter()
    for _ in range(3):
        session.run(None, inputs)
    return (time.perf_counter() - start) / 3


def open_graph(
    model: ModelInfo, name: str, weights: Mapping[str, Floats], *, num_threads: int
) -> ort.InferenceSession:
    """Load one graph and hand it the weights that it names.

    Args:
        model: whose files were verified.
        name: of the graph.
        weights: name to fp32 array, of the whole model.
        num_threads: threads of one call.

    Raises:
        ModelError: the file is no such graph, or lacks a weight.
    """
    options = ort.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    path = model.path / f"{name}.onnx"
    try:
        names = model.graphs[name]
        # ONNX Runtime reads from these values until the session is made: they must live that long.
        values = [ort.OrtValue.ortvalue_from_numpy(weights[key]) for key in names]
        options.add_external_initializers(list(names), values)
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class of its own for every failure
        raise ModelError(f"{path} cannot be loaded with the weights beside it ({error}).") from error


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
