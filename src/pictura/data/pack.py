"""A captioned image set in, one Parquet file of small square WebP pictures out, without duplicates.

Columns `id`, `image`, `captions` (list), and of `KEPT_FIELDS` those that the set has.
Units   PSNR in dB, of colour on light grey and of alpha; `CAP_DB` where nothing differs.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pictura.core.errors import ConfigError
from pictura.core.images import from_uint8, on_background, pil_of_uint8, uint8_of
from pictura.data.extras import need
from pictura.data.layouts.parquet import PACK_KEY
from pictura.data.records import Progress, Record, Source
from pictura.data.resize import is_smaller, is_transparent, to_square

KEPT_FIELDS = (
    "name", "keywords", "style", "group", "subgroup", "class", "split", "codepoints", "source", "licence",
)  # fmt: skip
"""Fields that a pack takes over from the set; others are left out."""
CAP_DB = 99.0
_ROWS_PER_GROUP = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """How far decoded pictures are from the pixels that went in."""

    colour_mean_db: float
    """PSNR of the picture on light grey (0.8)."""
    colour_worst_db: float
    """Mean over the worst 1 % of the pictures."""
    alpha_mean_db: float
    alpha_worst_db: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PackReport:
    """What `pack` did."""

    layout: str
    size_px: int
    quality: int | str
    """0 to 100, or "lossless"."""
    num_pictures: int
    num_duplicates: int
    """Pictures left out because their pixels equal those of an earlier one, which got their captions."""
    num_enlarged: int
    """Pictures that were smaller than `size_px`."""
    num_kept_lossless: int
    """Pictures stored without loss, because that takes no more bytes."""
    num_bad: int
    loss: Loss


@dataclass(slots=True)
class _Row:
    id: str
    image: bytes
    captions: list[str]
    fields: dict[str, Any] = field(default_factory=dict)


def pack(
    source: Source,
    out: Path,
    *,
    size: int,
    quality: int | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> PackReport:
    """Write the set as a pack. The encoded pictures are held in memory until the end.

    Args:
        source: the set.
        out: the Parquet file; give a temporary name and rename it (`store.atomic.atomic_file`).
        size: side of the pictures in pixels; smaller ones are enlarged, and counted.
        quality: of colour, 1 to 100, alpha 10 below it; None stores every pixel exactly.
        limit: take so many at most.
        progress: told (done, total).

    Raises:
        ConfigError: size or quality are impossible.
        DataError: more than 1 % of the set is bad.
    """
    if not 8 <= size <= 1024 or not (quality is None or 1 <= quality <= 100):
        raise ConfigError(
            f"A pack has a size of 8 to 1024 pixels and a quality of 1 to 100; got {size} and {quality}."
        )
    rows: dict[bytes, _Row] = {}
    losses: list[tuple[float, float]] = []
    num_seen = num_enlarged = num_lossless = 0
    for record, picture in source.pictures(limit=limit, progress=progress):
        num_seen += 1
        num_enlarged += is_smaller(picture, size)
        pixels = to_square(picture, size)
        key = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
        if key in rows:
            known = rows[key].captions
            known.extend(caption for caption in record.captions if caption not in known)
            continue
        data, lossless = encode(pixels, quality)
        num_lossless += lossless
        losses.append((CAP_DB, CAP_DB) if lossless else psnr(pixels, data))
        rows[key] = _row(record, data)
    report = PackReport(
        layout=source.layout,
        size_px=size,
        quality="lossless" if quality is None else quality,
        num_pictures=len(rows),
        num_duplicates=num_seen - len(rows),
        num_enlarged=num_enlarged,
        num_kept_lossless=num_lossless,
        num_bad=source.errors,
        loss=summary(losses),
    )
    _write(list(rows.values()), out, report)
    return report


def encode(pixels: NDArray[np.uint8], quality: int | None) -> tuple[bytes, bool]:
    """One picture as WebP: (4, S, S) premultiplied to bytes, and whether they keep every pixel.

    With a quality, colour and alpha are lossy, unless the exact file is no larger: small flat drawings.
    """
    picture = pil_of_uint8(pixels)
    if not is_transparent(picture):
        picture = picture.convert("RGB")
    exact = _webp(picture, lossless=True, quality=80, method=4)
    if quality is None:
        return exact, True
    lossy = _webp(picture, quality=quality, alpha_quality=max(quality - 10, 1), method=4)
    return (exact, True) if len(exact) <= len(lossy) else (lossy, False)


def _webp(picture: Image.Image, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", **settings)
    return buffer.getvalue()


def psnr(pixels: NDArray[np.uint8], data: bytes) -> tuple[float, float]:
    """PSNR in dB of colour on light grey and of alpha: (4, S, S) premultiplied against its encoded file."""
    with Image.open(io.BytesIO(data)) as picture:
        both = from_uint8(np.stack([pixels, uint8_of(picture)]))
    on_grey = on_background(both)
    return _db(on_grey[0] - on_grey[1]), _db(both[0, 3] - both[1, 3])


def _db(difference: NDArray[np.float32]) -> float:
    error = float(np.mean(np.square(difference, dtype=np.float64)))
    return CAP_DB if error == 0 else min(CAP_DB, -10 * float(np.log10(error)))


def summary(losses: Sequence[tuple[float, float]]) -> Loss:
    """Mean, and mean of the worst 1 % (at least one), of (colour, alpha) in dB."""
    table = np.sort(np.array(losses, dtype=np.float64), axis=0)
    mean, worst = table.mean(axis=0), table[: max(1, len(table) // 100)].mean(axis=0)
    return Loss(
        colour_mean_db=round(float(mean[0]), 1),
        colour_worst_db=round(float(worst[0]), 1),
        alpha_mean_db=round(float(mean[1]), 1),
        alpha_worst_db=round(float(worst[1]), 1),
    )


def _row(record: Record, data: bytes) -> _Row:
    fields = {name: record.fields[name] for name in KEPT_FIELDS if record.fields.get(name) is not None}
    return _Row(id=record.id, image=data, captions=list(record.captions), fields=fields)


def _write(rows: list[_Row], out: Path, report: PackReport) -> None:
    pyarrow = need("pyarrow", "Writing Parquet files")
    parquet = need("pyarrow.parquet", "Writing Parquet files")
    columns: dict[str, Any] = {
        "id": pyarrow.array([row.id for row in rows], pyarrow.string()),
        "image": pyarrow.array([row.image for row in rows], pyarrow.binary()),
        "captions": pyarrow.array([row.captions for row in rows], pyarrow.list_(pyarrow.string())),
    }
    for name in KEPT_FIELDS:
        if any(name in row.fields for row in rows):
            values = [_text(row.fields.get(name), many=name == "keywords") for row in rows]
            kind = pyarrow.list_(pyarrow.string()) if name == "keywords" else pyarrow.string()
            columns[name] = pyarrow.array(values, kind)
    table = pyarrow.table(columns).replace_schema_metadata({PACK_KEY: json.dumps(asdict(report))})
    parquet.write_table(
        table,
        out,
        row_group_size=_ROWS_PER_GROUP,
        compression={name: "none" if name == "image" else "zstd" for name in columns},
        use_dictionary=[name for name in columns if name not in ("id", "image")],
    )


def _text(value: Any, *, many: bool) -> Any:
    """A field as its column stores it: text, or a list of texts."""
    if value is None:
        return None
    if many:
        return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]
    return str(value)
