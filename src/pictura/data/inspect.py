"""A captioned image set in, what it holds out: counts, sizes, captions, splits, licences, a contact sheet."""

import re
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pictura.data.layouts.parquet import pack_note
from pictura.data.records import Progress, Record, Source
from pictura.data.resize import is_transparent
from pictura.data.splits import split_of_record

NUM_ON_SHEET = 24
_COLUMNS, _TILE, _TEXT_HEIGHT, _MARGIN = 6, 128, 44, 8
_BACKGROUND, _INK = (204, 204, 204), (0, 0, 0)
_SMALL_WORDS = frozenset(
    ["a", "an", "and", "are", "as", "at", "by", "for", "from", "has", "in", "is", "it", "its",
     "of", "on", "or", "that", "the", "this", "to", "with"]
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """A distribution in five numbers."""

    lowest: float
    median: float
    mean: float
    p95: float
    """95 of 100 are at most this."""
    highest: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What a captioned image set holds. Every count is over the pictures that can be used."""

    path: str
    layout: str
    num_pictures: int
    bad: tuple[str, ...]
    """One sentence for each picture that cannot be used."""
    formats: dict[str, int]
    width_px: Spread
    height_px: Spread
    num_transparent: int
    num_duplicate_pictures: int
    """Pictures whose pixels equal those of an earlier one."""
    num_captions: int
    num_distinct_captions: int
    captions_per_picture: Spread
    words_per_caption: Spread
    common_words: dict[str, int]
    repeated_captions: dict[str, int]
    """Captions that several pictures share, most shared first, at most ten."""
    splits: dict[str, int]
    splits_are: str
    """"named by the set", or how they are made."""
    licences: dict[str, int]
    packed: dict[str, Any]
    """How the pack was made, if it is one of ours."""


@dataclass(slots=True)
class _Tally:
    """What is counted along the way."""

    widths: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    formats: Counter[str] = field(default_factory=Counter)
    pixels: Counter[bytes] = field(default_factory=Counter)
    captions: Counter[str] = field(default_factory=Counter)
    captions_per_picture: list[int] = field(default_factory=list)
    splits: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    num_transparent: int = 0
    num_own_splits: int = 0

    def add(self, record: Record, picture: Image.Image) -> None:
        self.widths.append(picture.width)
        self.heights.append(picture.height)
        self.formats[picture.format or "unknown"] += 1
        size_and_mode = f"{picture.size}{picture.mode}".encode()
        self.pixels[blake2b(size_and_mode + picture.tobytes(), digest_size=16).digest()] += 1
        self.captions.update(record.captions)
        self.captions_per_picture.append(len(record.captions))
        self.splits[split_of_record(record)] += 1
        self.num_own_splits += bool(record.fields.get("split"))
        self.licences[str(record.fields.get("licence") or record.fields.get("license") or "not stated")] += 1
        self.num_transparent += is_transparent(picture)


def inspect(
    source: Source, *, limit: int | None = None, progress: Progress | None = None
) -> tuple[Inspection, Image.Image]:
    """Read the whole set once. Bad pictures are listed and never stop the pass.

    Args:
        source: the set.
        limit: look at so many at most.
        progress: told (done, total).

    Returns:
        The findings, and a contact sheet of up to 24 pictures spread evenly over the set.
    """
    tally = _Tally()
    total = len(source) if limit is None else min(limit, len(source))
    step = max(1, -(-total // NUM_ON_SHEET))
    shown: list[tuple[Image.Image, str]] = []
    for index, (record, picture) in enumerate(source.pictures(limit=limit, progress=progress, stop=False)):
        tally.add(record, picture)
        if index % step == 0:
            shown.append((as_tile(picture), record.captions[0]))
    return _findings(source, tally), contact_sheet(shown)


def _findings(source: Source, tally: _Tally) -> Inspection:
    captions = tally.captions
    lengths = [len(caption.split()) for caption in captions.elements()]
    note = pack_note(source.path) if source.path.suffix == ".parquet" else {}
    return Inspection(
        path=str(source.path),
        layout=source.layout,
        num_pictures=len(tally.widths),
        bad=tuple(source.bad),
        formats=dict(tally.formats.most_common()),
        width_px=spread(tally.widths),
        height_px=spread(tally.heights),
        num_transparent=tally.num_transparent,
        num_duplicate_pictures=len(tally.widths) - len(tally.pixels),
        num_captions=sum(captions.values()),
        num_distinct_captions=len(captions),
        captions_per_picture=spread(tally.captions_per_picture),
        words_per_caption=spread(lengths),
        common_words=_common_words(captions),
        repeated_captions={text: n for text, n in captions.most_common(10) if n > 1},
        splits=dict(tally.splits.most_common()),
        splits_are=_origin_of_splits(tally),
        licences=dict(tally.licences.most_common()),
        packed=note,
    )


def _common_words(captions: Counter[str]) -> dict[str, int]:
    words: Counter[str] = Counter()
    for caption, count in captions.items():
        for word in re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", caption.lower()):
            if word not in _SMALL_WORDS:
                words[word] += count
    return dict(words.most_common(20))


def _origin_of_splits(tally: _Tally) -> str:
    by_id = "random 80/10/10 by id, seed 0"
    if tally.num_own_splits == 0:
        return by_id
    return "named by the set" if tally.num_own_splits == len(tally.widths) else f"partly {by_id}"


def spread(values: Sequence[int]) -> Spread:
    """Five numbers of a distribution; zeros if there is nothing."""
    row = np.array(values or [0], dtype=np.float64)
    return Spread(
        lowest=float(row.min()),
        median=float(np.median(row)),
        mean=round(float(row.mean()), 2),
        p95=float(np.percentile(row, 95, method="inverted_cdf")),
        highest=float(row.max()),
    )


def as_tile(picture: Image.Image) -> Image.Image:
    """At most 128 pixels a side, on light grey; small pictures are enlarged by whole factors."""
    factor = max(1, _TILE // max(picture.size))
    if factor > 1:
        picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    picture = picture.convert("RGBA")
    picture.thumbnail((_TILE, _TILE))
    tile = Image.new("RGBA", (_TILE, _TILE), _BACKGROUND)
    tile.alpha_composite(picture, ((_TILE - picture.width) // 2, (_TILE - picture.height) // 2))
    return tile.convert("RGB")


def contact_sheet(shown: Sequence[tuple[Image.Image, str]]) -> Image.Image:
    """Lay tiles of 128 x 128 pixels out in rows of six, each above its caption."""
    columns = min(_COLUMNS, max(1, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    cell_width, cell_height = _TILE + _MARGIN, _TILE + _TEXT_HEIGHT + _MARGIN
    sheet = Image.new("RGB", (columns * cell_width + _MARGIN, rows * cell_height + _MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=11)
    for index, (tile, caption) in enumerate(shown):
        left = _MARGIN + index % columns * cell_width
        top = _MARGIN + index // columns * cell_height
        sheet.paste(tile, (left, top))
        plain = "".join(c for c in unicodedata.normalize("NFKD", caption) if not unicodedata.combining(c))
        lines = textwrap.wrap(plain, width=22, max_lines=3, placeholder=" …")
        draw.multiline_text((left, top + _TILE + 2), "\n".join(lines), fill=_INK, font=font, spacing=2)
    return sheet
