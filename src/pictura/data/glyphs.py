"""A pack of small captioned pictures in, one array out.

A pack is a Parquet file, or a folder of them, with the columns ``image`` (encoded picture), ``id``, ``name``,
``keywords``, ``style`` and ``group``; the pack under ``../shared/data/glyphs`` is one. All pictures are
decoded once, resized with premultiplied alpha and kept in memory.

Letters N pictures, S side.
Units   uint8 colours, premultiplied by alpha.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pictura.core.errors import DataError
from pictura.data.extras import need
from pictura.store.atomic import atomic_file

COLUMNS = ("image", "id", "name", "keywords", "style", "group")
_CACHE_VERSION = 1
_MAX_SIDE = 4096

Progress = Callable[[int, int], None]
"""Called with (pictures decoded, pictures in all)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GlyphSet:
    """Small pictures and what is known of each, in pack order."""

    images: NDArray[np.uint8]
    """(N, 4, S, S) RGBA, premultiplied."""
    ids: tuple[str, ...]
    names: tuple[str, ...]
    keywords: tuple[tuple[str, ...], ...]
    styles: tuple[str, ...]
    groups: tuple[str, ...]

    def __post_init__(self) -> None:
        lengths = {len(c) for c in (self.ids, self.names, self.keywords, self.styles, self.groups)}
        if lengths != {len(self.images)} or self.images.shape[1:2] != (4,):
            raise DataError(
                f"A GlyphSet needs images (N, 4, S, S) and N ids, names, keywords, styles and groups; "
                f"got images {self.images.shape} and columns of length {sorted(lengths)}."
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def size(self) -> int:
        """S, the side of every picture in pixels."""
        return int(self.images.shape[-1])

    @classmethod
    def load(
        cls, path: Path, *, size: int, cache: Path | None = None, progress: Progress | None = None
    ) -> "GlyphSet":
        """Read a pack.

        Args:
            path: a Parquet file, or a folder of Parquet files.
            size: side in pixels to which each picture is resized (the whole picture, kept square).
            cache: a folder in which the resized pack is kept for the next time; it is made if missing. A copy
                is used only while the pack's file names and contents are the same.
            progress: called now and then with (done, total).

        Returns:
            The pack, in file order then row order.

        Raises:
            DataError: the pack is missing, has no such columns, or more than 1 % of it cannot be decoded.
            MissingExtraError: pyarrow is not installed.
        """
        if size < 1:
            raise DataError(f"The size of a glyph must be at least 1 pixel; got {size}.")
        files = _pack_files(path)
        kept = None if cache is None else cache / f"glyphs-{size}-v{_CACHE_VERSION}-{fingerprint(path)}.npz"
        if kept is not None and (found := _read_cache(kept)) is not None:
            return found
        loaded = _decode(files, size, progress)
        if kept is not None:
            _write_cache(kept, loaded)
        return loaded

    def select(self, which: Sequence[int] | NDArray[Any]) -> "GlyphSet":
        """The pictures of a boolean mask (N,) or of a list of indices, in that order."""
        index = np.asarray(which)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
        rows = index.tolist()
        return replace(
            self,
            images=self.images[index],
            ids=tuple(self.ids[i] for i in rows),
            names=tuple(self.names[i] for i in rows),
            keywords=tuple(self.keywords[i] for i in rows),
            styles=tuple(self.styles[i] for i in rows),
            groups=tuple(self.groups[i] for i in rows),
        )


def _pack_files(path: Path) -> list[Path]:
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or not all(f.is_file() for f in files):
        raise DataError(f"{path}: expected a Parquet file or a folder of them; there is none.")
    return files


def fingerprint(path: Path) -> str:
    """A pack's contents in 16 characters: a copy of it, however late, has the same."""
    contents = []
    for part in _pack_files(path):
        with part.open("rb") as file:
            contents.append((part.name, hashlib.file_digest(file, "sha256").hexdigest()))
    return hashlib.sha256(json.dumps(contents).encode()).hexdigest()[:16]


def _decode(files: list[Path], size: int, progress: Progress | None) -> GlyphSet:
    parquet = need("pyarrow.parquet", "Reading a glyph pack")
    try:
        handles = [parquet.ParquetFile(f) for f in files]
    except need("pyarrow", "Reading a glyph pack").ArrowException as error:
        raise DataError(f"{files[0].parent}: a file cannot be read as Parquet ({error}).") from error
    for file, handle in zip(files, handles, strict=True):
        if missing := [c for c in COLUMNS if c not in handle.schema_arrow.names]:
            raise DataError(
                f"{file}: a glyph pack has the columns {', '.join(COLUMNS)}; {missing[0]!r} is missing."
            )
    total = sum(h.metadata.num_rows for h in handles)
    images = np.empty((total, 4, size, size), dtype=np.uint8)
    rows: list[dict[str, Any]] = []
    bad: list[str] = []
    for handle in handles:
        for part in handle.iter_batches(batch_size=256, columns=list(COLUMNS)):
            for row in part.to_pylist():
                try:
                    images[len(rows)] = _picture(row.pop("image"), size)
                except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
                    bad.append(row["id"])
                    continue
                rows.append(row)
            if progress is not None:
                progress(len(rows) + len(bad), total)
    if len(bad) > 0.01 * total:
        raise DataError(
            f"{files[0].parent}: {len(bad)} of {total} pictures cannot be decoded, first {bad[0]!r}."
        )
    return GlyphSet(
        images=images[: len(rows)],
        ids=tuple(r["id"] for r in rows),
        names=tuple(r["name"] or "" for r in rows),
        keywords=tuple(tuple(r["keywords"] or ()) for r in rows),
        styles=tuple(r["style"] or "" for r in rows),
        groups=tuple(r["group"] or "" for r in rows),
    )


def _picture(data: bytes, size: int) -> NDArray[np.uint8]:
    """Decode and resize: (4, size, size) uint8, premultiplied."""
    with Image.open(io.BytesIO(data)) as opened:
        if max(opened.size) > _MAX_SIDE:
            raise ValueError("too large for a glyph")
        small = opened.convert("RGBA").convert("RGBa")
    if small.size != (size, size):
        whole = small.width % size == 0 and small.height % size == 0  # a box keeps pixel art crisp
        small = small.resize((size, size), Image.Resampling.BOX if whole else Image.Resampling.LANCZOS)
    pixels = np.asarray(small).transpose(2, 0, 1)
    return np.minimum(pixels, pixels[3:])  # Lanczos overshoots: colour must stay below alpha


def _write_cache(path: Path, glyphs: GlyphSet) -> None:
    columns = [glyphs.ids, glyphs.names, glyphs.keywords, glyphs.styles, glyphs.groups]
    text = np.frombuffer(json.dumps(columns).encode(), dtype=np.uint8)
    with atomic_file(path) as part:  # several processes may write at once
        np.savez(part, images=glyphs.images, columns=text)


def _read_cache(path: Path) -> GlyphSet | None:
    """The kept copy; None if there is none or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            images = file["images"]
            ids, names, keywords, styles, groups = json.loads(file["columns"].tobytes())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return GlyphSet(
        images=images,
        ids=tuple(ids),
        names=tuple(names),
        keywords=tuple(tuple(k) for k in keywords),
        styles=tuple(styles),
        groups=tuple(groups),
    )
