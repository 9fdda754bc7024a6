"""A CLIP's folder on ONNX Runtime: pictures and captions in, unit vectors out, no torch.

Letters N pictures or captions, T text tokens.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pictura.core.errors import ModelError, SizeError
from pictura.encode.tokenizer import Tokenizer
from pictura.runtime.onnx_backend import open_graph
from pictura.store.models import read_model
from pictura.store.weights import read_weights

Floats = NDArray[np.float32]
_AT_ONCE = 64


class OnnxClip:
    """A loaded CLIP; gives what `encode.clip.load.ClipModel` gives, to a ten-thousandth."""

    def __init__(self, folder: Path | str, *, num_threads: int = 1) -> None:
        """Read and check a CLIP's folder.

        Args:
            folder: as `pictura export` writes it, with graphs.
            num_threads: threads of one call.

        Raises:
            ModelError: there is none, it is damaged, it is something else, or it has no graphs.
        """
        model = read_model(Path(folder))
        if model.family != "clip" or not model.graphs:
            raise ModelError(
                f"{folder} should hold a CLIP with graphs; it holds {model.family!r} with "
                f"{len(model.graphs)} graphs. Take clip-guide, or use torch."
            )
        model.verify()
        weights = read_weights(model.path)
        self.name, self.hash = model.name, model.hash
        self.dim = int(model.manifest["clip"]["dim"])
        """Of the vectors."""
        self.size = int(model.manifest["size"])
        """Side of the pictures in pixels."""
        self.max_tokens = model.max_tokens
        """Of a caption; the rest of it is not read."""
        self._tokenizer = Tokenizer.load(model.path / "tokenizer.json", max_tokens=model.max_tokens)
        self._images = open_graph(model, "image_encoder", weights, num_threads=num_threads)
        self._text = open_graph(model, "text_encoder", weights, num_threads=num_threads)

    def embed_images(self, images: Floats) -> Floats:
        """See pictures: (N, 3, 64, 64) float32 in [0, 1], RGB on light grey, to (N, dim) of length 1.

        Raises:
            SizeError: pictures of another size.
        """
        if images.shape[1:] != (3, self.size, self.size):
            raise SizeError(
                f"A CLIP reads pictures of shape (N, 3, {self.size}, {self.size}); got {images.shape}."
            )
        starts = range(0, len(images), _AT_ONCE)
        rows = [self._images.run(None, {"images": images[i : i + _AT_ONCE]})[0] for i in starts]
        return np.concatenate([np.zeros((0, self.dim), dtype=np.float32), *rows])

    def embed_text(self, captions: Sequence[str]) -> Floats:
        """Read captions: N of them to (N, dim) of length 1."""
        ids = [np.array([self._tokenizer.encode(caption)], dtype=np.int64) for caption in captions]
        rows = [self._text.run(None, {"token_ids": one})[0] for one in ids]
        return np.concatenate([np.zeros((0, self.dim), dtype=np.float32), *rows])

    def count_tokens(self, caption: str) -> int:
        """How many tokens a caption has before it is cut at `max_tokens`."""
        return self._tokenizer.count(caption)
