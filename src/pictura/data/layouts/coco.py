"""COCO captions in, records out.

Source  Chen et al. 2015, Microsoft COCO Captions (arXiv:1504.00325): `annotations/captions_<part>.json` with
        lists `images` (id, file_name), `annotations` (image_id, caption) and `licenses`; the pictures of a
        part are in a folder of its name (`train2017/`), here or below `images/`.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pictura.core.errors import DataError
from pictura.data.layouts.folder import read_text
from pictura.data.records import Record, Source, as_captions
from pictura.data.splits import SPLITS, canonical


def find(path: Path) -> Source | None:
    """The set, if `path` has annotations/captions_*.json; else None.

    Raises:
        DataError: an annotation file is damaged or the pictures are not there.
    """
    files = sorted((path / "annotations").glob("captions_*.json"))
    if not files:
        return None
    rows = [row for file in files for row in _rows(path, file)]

    def records() -> Iterator[Record]:
        yield from rows

    parts = ", ".join(_part(file) for file in files)
    return Source(path, f"COCO captions ({parts})", len(rows), records)


def _rows(root: Path, file: Path) -> list[Record]:
    try:
        content: dict[str, Any] = json.loads(read_text(file))
        images, notes = content["images"], content["annotations"]
        licences = {row["id"]: row.get("name", "") for row in content.get("licenses", [])}
        captions: dict[int, list[str]] = defaultdict(list)
        for note in notes:
            captions[note["image_id"]].append(note["caption"])
        folder = _image_folder(root, _part(file), images)
        return [_record(row, folder, captions[row["id"]], licences, _part(file)) for row in images]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{file}: expected COCO captions with 'images' (id, file_name) and 'annotations' (image_id, "
            f"caption); something else came ({type(error).__name__}: {error})."
        ) from error


def _record(
    row: dict[str, Any], folder: Path, captions: list[str], licences: dict[int, str], part: str
) -> Record:
    split = canonical(re.split(r"[\d_-]", part)[0])
    fields: dict[str, Any] = {"split": split} if split in SPLITS else {}
    if licence := licences.get(row.get("license", -1)):
        fields["licence"] = licence
    return Record(
        id=f"{part}/{row['id']}",
        image=folder / row["file_name"],
        captions=as_captions(captions),
        fields=fields,
    )


def _image_folder(root: Path, part: str, images: list[dict[str, Any]]) -> Path:
    places = [root / part, root / "images" / part, root / "images", root]
    for place in places:
        if not images or any((place / row["file_name"]).is_file() for row in images[:100]):
            return place
    raise DataError(
        f"{root}: no picture of annotations/captions_{part}.json was found. "
        f"Put them into {part}/ or images/{part}/."
    )


def _part(file: Path) -> str:
    return file.stem.removeprefix("captions_")
