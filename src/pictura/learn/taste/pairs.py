"""Choices between two pictures of one prompt, from wherever they are kept; pictures become features.

Only numbers are kept of the pictures that people rated: a run's folder holds no picture of theirs.

Letters N pairs, R raw features.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from safetensors.torch import load_file, save
from torch import Tensor

from pictura.core import images as core_images
from pictura.core.errors import DataError
from pictura.encode.clip.config import SIZE
from pictura.reward.clip import open_clip
from pictura.reward.preference import raw_features
from pictura.store.atomic import atomic_file
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.ratings import pairs

EXPLICIT = "pair"
"""The kind of a choice between two pictures; others are guessed from what people did with a grid."""
CLIP = "clip-plain"
"""Between pictures of one sentence it tells tastes better than clip-guide, which tells things apart."""
_AT_ONCE = 64
_WANTED = ("prompt", "image_0", "image_1", "label_0", "label_1", "png_0", "png_1")
_OTHER: Mapping[str, Literal["left", "right"]] = {"left": "right", "right": "left"}
_ROWS, _FEATURES = "ratings.json", "ratings.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rated:
    """One choice."""

    prompt: str
    better: str
    """Id of the picture."""
    worse: str
    rater: str
    tie: bool = False
    weight: float = 1.0
    kind: str = EXPLICIT
    side: Literal["left", "right"] | None = None
    """Where the better one stood."""
    ms: int | None = None
    """Time to answer."""
    repeat: bool = False
    """A pair that this rater had answered before, with sides turned."""
    model: str = ""
    """Hash of the painter, or its name."""

    @property
    def explicit(self) -> bool:
        """Whether two pictures stood side by side."""
        return self.kind == EXPLICIT


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratings:
    """All choices and their pictures."""

    rows: tuple[Rated, ...]
    read: Callable[[str], bytes]
    """A picture's file by its id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Choices with the raw features of their pictures, see `reward.preference.raw_features`."""

    rows: tuple[Rated, ...]
    better: Tensor
    """(N, R) float64."""
    worse: Tensor
    """(N, R) float64."""

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: Sequence[int]) -> "Table":
        """Some of the choices, by their numbers."""
        where = torch.tensor(list(chosen), dtype=torch.long)
        return Table(
            rows=tuple(self.rows[i] for i in chosen), better=self.better[where], worse=self.worse[where]
        )

    @property
    def prompts(self) -> list[str]:
        """N."""
        return [row.prompt for row in self.rows]

    @property
    def weights(self) -> Tensor:
        """(N,) how much each counts."""
        return torch.tensor([row.weight for row in self.rows], dtype=torch.float64)


def from_database(database: Database, files: Files) -> Ratings:
    """What users of a studio chose who let it learn from them.

    Raises:
        DatabaseError: it is not there or does not answer.
    """
    rows, paths = list[Rated](), dict[str, str]()
    for pair in pairs(database, files):
        paths |= {pair.better: pair.better_path, pair.worse: pair.worse_path}
        rows.append(
            Rated(
                prompt=pair.prompt,
                better=pair.better,
                worse=pair.worse,
                rater=pair.user,
                tie=pair.tie,
                weight=pair.weight,
                kind=pair.kind,
                side=pair.side,
                ms=pair.ms,
                repeat=pair.repeat,
                model=pair.model_hash or pair.model,
            )
        )
    return Ratings(rows=tuple(rows), read=lambda key: files.read(paths[key]))


def from_parquet(path: Path) -> Ratings:
    """What was exported with its pictures: ``GET /api/v1/ratings/export?pictures=true``.

    Columns `prompt`, `image_0`, `image_1`, `label_0`, `label_1`, `png_0` and `png_1` are wanted; `weight`,
    `user`, `kind`, `side` (of image 0), `ms`, `repeat` and `model_hash` may be there. Rows without their
    pictures are left out.

    Raises:
        DataError: the file cannot be read or lacks a column.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"The ratings {path} cannot be read as Parquet: {error}.") from error
    found, pictures = list[Rated](), dict[str, bytes]()
    for row in rows:
        if lacking := [name for name in _WANTED if name not in row]:
            raise DataError(
                f"The ratings {path} lack the columns {', '.join(lacking)}. Export them with pictures=true."
            )
        if row["png_0"] is None or row["png_1"] is None:
            continue
        pictures |= {row["image_0"]: row["png_0"], row["image_1"]: row["png_1"]}
        found.append(_from_row(row))
    return Ratings(rows=tuple(found), read=pictures.__getitem__)


def _from_row(row: Mapping[str, Any]) -> Rated:
    turned = row["label_1"] > row["label_0"]
    side = row.get("side")
    return Rated(
        prompt=row["prompt"],
        better=row["image_1" if turned else "image_0"],
        worse=row["image_0" if turned else "image_1"],
        rater=row.get("user") or "",
        tie=row["label_0"] == row["label_1"],
        weight=float(row.get("weight") or 1.0),
        kind=row.get("kind") or EXPLICIT,
        side=_OTHER[side] if turned and side else side,
        ms=row.get("ms"),
        repeat=bool(row.get("repeat")),
        model=row.get("model_hash") or row.get("model") or "",
    )


def look_at(ratings: Ratings) -> Table:
    """Read every picture once.

    Raises:
        DataError: a picture cannot be read.
        StorageError: a file is gone.
    """
    towers, tokenizer = open_clip(CLIP, "cpu")
    asked = {(row.prompt, key): None for row in ratings.rows for key in (row.better, row.worse)}
    wanted = list(asked)
    parts = []
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        seen = torch.stack([seen_as(ratings.read(key), key) for _, key in some])
        with torch.no_grad():
            parts.append(raw_features(towers, tokenizer, seen, [prompt for prompt, _ in some]))
    place = {pair: number for number, pair in enumerate(wanted)}
    raw = torch.cat(parts) if parts else torch.zeros(0, 1, dtype=torch.float64)
    better, worse = (
        torch.tensor([place[row.prompt, getattr(row, side)] for row in ratings.rows], dtype=torch.long)
        for side in ("better", "worse")
    )
    return Table(rows=ratings.rows, better=raw[better], worse=raw[worse])


def seen_as(data: bytes, name: str) -> Tensor:
    """A picture file as scorers see it: (3, 64, 64) on light grey.

    Raises:
        DataError: it is no picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as opened:
            image = core_images.from_pil([opened])
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"The rated picture {name} cannot be read: {error}.") from error
    small = core_images.on_background(core_images.resize(image, (SIZE, SIZE)))
    return torch.from_numpy(np.ascontiguousarray(small[0]))


def save_table(table: Table, folder: Path) -> None:
    """Keep choices and features in a folder; the rows come last, so that with them all is there.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    with atomic_file(folder / _FEATURES) as temporary:
        temporary.write_bytes(save({"better": table.better.contiguous(), "worse": table.worse.contiguous()}))
    with atomic_file(folder / _ROWS) as temporary:
        temporary.write_text(json.dumps([asdict(row) for row in table.rows]) + "\n", encoding="utf-8")


def load_table(folder: Path) -> Table | None:
    """The inverse of `save_table`; None where nothing was kept.

    Raises:
        DataError: what was kept is damaged.
    """
    if not (folder / _ROWS).is_file():
        return None
    try:
        rows: list[dict[str, Any]] = json.loads((folder / _ROWS).read_text(encoding="utf-8"))
        arrays = load_file(folder / _FEATURES)
        return Table(rows=tuple(Rated(**row) for row in rows), better=arrays["better"], worse=arrays["worse"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{folder} holds damaged ratings ({error}). Remove it and learn anew.") from error


def forget(folder: Path) -> None:
    """Remove what was kept of people's choices; the report stays."""
    for name in (_ROWS, _FEATURES):
        (folder / name).unlink(missing_ok=True)
