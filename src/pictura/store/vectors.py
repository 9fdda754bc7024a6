"""Vectors kept by key in one file, so that what was computed once is not computed again. Written whole.

Letters N vectors, D their length.
Units   float32 outside; the file holds fp16, and what is added is rounded so at once: a vector is the same
        when it was just added and when it was read back.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from pictura.store.atomic import atomic_file

Floats = NDArray[np.float32]
KEY_BYTES = 16


class Vectors:
    """The vectors of one file. A file that is missing, damaged or of another kind counts as empty."""

    def __init__(self, path: Path, dim: int) -> None:
        """Read what is there.

        Args:
            path: of the file; it is written by `save` alone.
            dim: D.
        """
        self.path, self.dim = path, dim
        self._rows = _read(path, dim)
        self._changed = False

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: bytes) -> bool:
        return key in self._rows

    def add(self, keys: Iterable[bytes], vectors: Floats) -> None:
        """Remember vectors (N, D) under N keys of 16 bytes."""
        for key, row in zip(keys, vectors.astype(np.float16), strict=True):
            assert len(key) == KEY_BYTES
            self._rows[key] = row
            self._changed = True

    def get(self, keys: Sequence[bytes]) -> Floats:
        """The vectors (N, D) of N keys, all of which are there."""
        rows = [self._rows[key] for key in keys]
        return np.array(rows, dtype=np.float32).reshape(len(keys), self.dim)

    def keep(self, keys: Collection[bytes]) -> None:
        """Forget every vector but those of `keys`."""
        kept = {key: self._rows[key] for key in dict.fromkeys(keys)}
        self._changed |= len(kept) < len(self._rows)
        self._rows = kept

    def save(self) -> None:
        """Write the file, if anything changed since it was read or written.

        Raises:
            StorageError: the disk is full, or the place cannot be written.
        """
        if not self._changed:
            return
        keys = np.frombuffer(b"".join(self._rows), dtype=np.uint8).reshape(-1, KEY_BYTES)
        rows = np.array(list(self._rows.values()), dtype=np.float16).reshape(-1, self.dim)
        with atomic_file(self.path) as temporary:
            save_file({"keys": keys, "vectors": rows}, temporary)
        self._changed = False


def _read(path: Path, dim: int) -> dict[bytes, NDArray[np.float16]]:
    try:
        table = load_file(path)
        keys, rows = table["keys"], table["vectors"]
    except (OSError, SafetensorError, KeyError):
        return {}
    fits = keys.shape == (len(rows), KEY_BYTES) and rows.shape == (len(keys), dim)
    if not fits or (keys.dtype, rows.dtype) != (np.dtype(np.uint8), np.dtype(np.float16)):
        return {}
    return {key.tobytes(): row for key, row in zip(keys, rows, strict=True)}
