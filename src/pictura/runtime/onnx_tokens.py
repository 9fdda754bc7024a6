"""A painter by tokens on ONNX Runtime: numpy arrays in and out, no torch, one network call a token.

As in `onnx_backend.py` the graphs hold no weights. What the network remembers (`sample/token_memory.py`) lies
in arrays that a call reads where they are; the new token is written into its place between the calls.

Pictures are drawn side by side: what costs is to read the weights, so that eight take little longer than one.
A picture's bits must not depend on what is drawn beside it. On every machine that we know a row is computed
alike in calls of few rows and of many. That is tried when a model is opened, and where it does not hold every
call gets the same number of rows, some perhaps of no picture.

Letters B pictures, T text tokens, V codes; M blocks, N heads, K head width of what is remembered.
"""

from functools import cache, partial
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from pictura.core.errors import PromptError
from pictura.encode.tokenizer import pad
from pictura.runtime.onnx_backend import Floats, fastest, open_graph
from pictura.sample.token_masks import KINDS
from pictura.sample.token_memory import MemoryPlan, TokenMemory
from pictura.store.models import AS_LEARNT, ModelInfo
from pictura.store.weights import read_weights

GROUP = 32
"""Rows of one network call, at most."""
PADDED = 8
"""Rows of every call where a row depends on how many there are."""
_TRIED = (*range(1, 13), GROUP)
"""Numbers of rows that are compared: matrix kernels take up to twelve at a time, and the rest differently."""
_zeros = partial(np.zeros, dtype=np.float32)
Ints = NDArray[np.int64]


class OnnxTokens:
    """A loaded model (`core.types.TokenBackend`)."""

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
        self.strength = strength
        config = {name: int(value) for name, value in model.manifest["transformer"].items()}
        self.grid, self.num_codes = (config["rows"], config["cols"]), config["num_codes"]
        self._max_tokens = config["max_tokens"]
        shape = {name: config[name] for name in ("rows", "cols", "conv_kernel", "num_blocks")}
        self._plan = MemoryPlan(num_prefix=self._max_tokens + 1, **shape)
        self._allowed = self._plan.allowed()
        weights = read_weights(model.path, strength=strength)
        width = config["width"] // config["num_heads"]
        past = np.random.default_rng(0).standard_normal(
            (config["num_blocks"], 1, config["num_heads"], self._plan.num_prefix, width), dtype=np.float32
        )

        @cache
        def open_painter(num_threads: int) -> ort.InferenceSession:
            return open_graph(model, "painter", weights, num_threads=num_threads)

        if num_threads is None:
            num_threads, _ = fastest(
                open_painter, self._inputs(np.zeros(4, np.int64), 0, self._begin(past, past, 4))
            )
        self.num_threads, self._painter = num_threads, open_painter(num_threads)
        self._reader, self._decoder, self._encoder = (
            open_graph(model, name, weights, num_threads=num_threads)
            for name in ("reader", "decoder", "encoder")
        )
        self._pads = not self._rows_are_alike(past)
        self.group = PADDED if self._pads else GROUP
        """Pictures of one network call, at most."""

    def start(self, token_ids: Ints, num: int) -> tuple[Floats, TokenMemory]:
        """Read one prompt, (T,) token ids without padding, for `num` pictures, at most `group`.

        Returns:
            (num, V) logits of code 0, and what `step` remembers the pictures by.

        Raises:
            PromptError: the prompt has more tokens than the network has places for.
        """
        assert num <= self.group
        if len(token_ids) > self._max_tokens:
            raise PromptError(
                f"The model reads at most {self._max_tokens} tokens; got {len(token_ids)}. "
                "Shorten the prompt."
            )
        ids, mask = pad([token_ids.tolist()], self._max_tokens)
        causal = np.tri(self._plan.num_prefix, dtype=np.bool_)
        logits, keys, values = self._reader.run(None, {"token_ids": ids, "mask": mask, "causal": causal})
        rows = PADDED if self._pads else num
        return np.repeat(logits, num, axis=0), self._begin(keys, values, rows)

    def step(self, codes: Ints, index: int, cache: TokenMemory) -> Floats:
        """Go on by one token: codes number `index` of each picture, written into `cache`.

        Returns:
            (num, V) logits of code `index` + 1.
        """
        rows = np.zeros(len(cache.keys[0]), dtype=np.int64)
        rows[: len(codes)] = codes
        logits, keys, values = self._painter.run(None, self._inputs(rows, index, cache))
        cache.add(index, keys, values)
        return logits[: len(codes)]

    def decode(self, codes: Ints) -> Floats:
        """Codes (B, h, w) to images (B, 3 or 4, h * factor, w * factor) in [0, 1], premultiplied."""
        rows = [self._decoder.run(None, {"codes": codes[b : b + 1]})[0] for b in range(len(codes))]
        return np.concatenate(rows)

    def encode(self, images: Floats) -> Ints:
        """Images (B, C, H, W) to codes (B, h, w)."""
        rows = [self._encoder.run(None, {"images": images[b : b + 1]})[0] for b in range(len(images))]
        return np.concatenate(rows)

    def _begin(self, keys: Floats, values: Floats, rows: int) -> TokenMemory:
        return TokenMemory(self._plan, keys, values, num=rows, zeros=_zeros)

    def _inputs(self, codes: Ints, index: int, memory: TokenMemory) -> dict[str, NDArray[Any]]:
        memory.turn_to(index)
        given = {"codes": codes, "index": np.array(index)}
        given |= {kind: allowed[index] for kind, allowed in zip(KINDS, self._allowed, strict=True)}
        given |= {f"keys_{i}": keys for i, keys in enumerate(memory.keys)}
        return given | {f"values_{i}": values for i, values in enumerate(memory.values)}

    def _rows_are_alike(self, past: Floats) -> bool:
        """Whether equal rows get equal bits, in calls of one row and of many."""
        found, last = [], max(0, len(self._allowed[0]) - 2)
        for rows in _TRIED:
            given = self._inputs(np.zeros(rows, np.int64), last, self._begin(past, past, rows))
            logits, keys, values = self._painter.run(None, given)
            found.append(np.concatenate([x.reshape(rows, -1) for x in (logits, keys, values)], axis=1))
        return all((one == found[0][0]).all() for one in found)
