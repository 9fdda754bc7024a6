"""The enlarger on ONNX Runtime: small pictures in, large ones out, no torch; and what is enlarged by it.

It is loaded on first use and then kept. Pictures go through it one at a time, so that the bits of one cannot
depend on what lies beside it.

Letters B pictures, C channels, h w size of the small ones, W H size of the large ones.
Units   float32 in [0, 1], alpha premultiplied.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pictura.core import images
from pictura.core.errors import ConfigError, ModelError
from pictura.runtime.onnx_backend import open_graph
from pictura.sample.tiling import resize_wrapped
from pictura.store.models import read_model, resolve
from pictura.store.weights import read_weights

Floats = NDArray[np.float32]
NAME = "enlarger"
"""Of the part."""
LANCZOS, LEARNT = "lanczos", "learnt"
WAYS = (LEARNT, LANCZOS)
"""How pictures may be enlarged."""
LEAST = 2
"""Pictures that become larger by less are scaled by Lanczos: there is little to add."""
_AROUND = 6
"""Pixels of the small picture that are laid around it: what its edges go on with, or the other side."""


class OnnxEnlarger:
    """A loaded enlarger."""

    def __init__(self, folder: Path | str, *, num_threads: int = 1) -> None:
        """Read and check an enlarger's folder.

        Args:
            folder: as `pictura export` writes it.
            num_threads: threads of one call; more lose on a busy machine, where they wait for each other.

        Raises:
            ModelError: there is none, it is damaged, or it is something else.
        """
        model = read_model(Path(folder))
        if model.family != NAME:
            raise ModelError(
                f"{folder} should hold an enlarger; it holds {model.family!r}. "
                f"Move a model of your own that is named {NAME!r} elsewhere."
            )
        model.verify()
        self.name, self.hash = model.name, model.hash
        self.factor = int(model.manifest["times"])
        """How many times as large pictures become, along one side."""
        self._session = open_graph(model, NAME, read_weights(model.path), num_threads=num_threads)

    def __call__(self, small: Floats, *, wrapped: bool = False) -> Floats:
        """Enlarge pictures (B, 3 or 4, h, w) to (B, 3 or 4, factor h, factor w).

        Args:
            small: the pictures; premultiplied if they have alpha.
            wrapped: whether their edges meet.
        """
        opaque = small.shape[1] == 3
        if opaque:
            small = np.concatenate([small, np.ones_like(small[:, :1])], axis=1)
        h, w = small.shape[2:]
        pads = ((0, 0), (0, 0), (_AROUND, _AROUND + h % 2), (_AROUND, _AROUND + w % 2))
        seen = np.pad(np.asarray(small, dtype=np.float32), pads, mode="wrap" if wrapped else "edge")
        rows = [self._session.run(None, {"small": seen[b : b + 1]})[0] for b in range(len(seen))]
        edge, f = _AROUND * self.factor, self.factor
        large = np.concatenate(rows)[:, :, edge : edge + h * f, edge : edge + w * f]
        alpha = np.clip(large[:, 3:], 0, 1)
        colour = np.minimum(np.maximum(large[:, :3], 0), alpha)
        return np.clip(large[:, :3], 0, 1) if opaque else np.concatenate([colour, alpha], axis=1)


def check_way(way: str | None) -> None:
    """Refuse a way of enlarging that there is not.

    Raises:
        ConfigError: it is none of `WAYS`; None is.
    """
    if way is not None and way not in WAYS:
        raise ConfigError(f"enlarge must be {' or '.join(map(repr, WAYS))}; got {way!r}.")


def scaled(
    small: Floats, size: tuple[int, int], *, way: str = LEARNT, wrapped: bool = False
) -> tuple[Floats, dict[str, str]]:
    """Pictures at the wanted size: by the enlarger where they become `LEAST` times as large, then by Lanczos.

    The enlarger is asked once: what it made is no small picture of those that it learnt from.

    Args:
        small: (B, C, h, w).
        size: (W, H).
        way: one of `WAYS`.
        wrapped: whether their edges meet.

    Returns:
        The pictures (B, C, H, W), and what their metadata say of it: `scaling` (``none``, ``lanczos``,
        ``enlarger``), and `enlarged_by`, name and start of the hash, where an enlarger did it.

    Raises:
        ModelError: the enlarger is damaged.
    """
    h, w = small.shape[2:]
    if size == (w, h):
        return small, {"scaling": "none"}
    resize = resize_wrapped if wrapped else images.resize
    if way == LANCZOS or max(size[0] / w, size[1] / h) < LEAST:
        return resize(small, size), {"scaling": LANCZOS}
    enlarger = open_enlarger()
    told = {"scaling": NAME, "enlarged_by": f"{enlarger.name} {enlarger.hash[:10]}"}
    return resize(enlarger(small, wrapped=wrapped), size), told


def open_enlarger() -> OnnxEnlarger:
    """The enlarger, loaded on its first use.

    Raises:
        ModelNotFoundError: there is none.
        ModelError: it is damaged or something else.
    """
    model = resolve(NAME)
    return _opened(model.path, model.hash)


@cache
def _opened(path: Path, hash_: str) -> OnnxEnlarger:
    return OnnxEnlarger(path)
