"""Folders of image files in, records out: captions in `metadata.jsonl` or `.csv`, or in a `.txt` beside each.

Source  The metadata files are those of the Hugging Face `imagefolder` convention: one row per image,
        `file_name` relative to the metadata file. Differs: other names of the two columns are understood, and
        the caption may be a list. Of a `.txt`, every line that is not empty is one caption.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pictura.core.errors import DataError
from pictura.data.guard import SUFFIXES
from pictura.data.records import CAPTION_COLUMNS, Record, Source, as_captions, caption_column
from pictura.data.splits import SPLITS, canonical

FILE_COLUMNS = ("file_name", "filename", "file", "image", "path")
METADATA = ("metadata.jsonl", "metadata.csv")


def find_metadata(folder: Path) -> Source | None:
    """The set, if metadata files are in the folder or in folders directly below it (one per split)."""
    files = [folder / name for name in METADATA if (folder / name).is_file()]
    files = files or sorted(p for name in METADATA for p in folder.glob(f"*/{name}") if p.is_file())
    return read_metadata(folder, files) if files else None


def read_metadata(folder: Path, files: list[Path]) -> Source:
    """A folder whose captions are in metadata files.

    Raises:
        DataError: a metadata file is damaged, or has no file name or caption column.
    """
    rows = [(file, row) for file in files for row in _rows(file)]

    def records() -> Iterator[Record]:
        for file, row in rows:
            yield _metadata_record(folder, file, row)

    names = " and ".join(sorted({file.name for file in files}))
    return Source(folder, f"image folder with {names}", len(rows), records)


def _rows(file: Path) -> list[dict[str, Any]]:
    text = read_text(file)
    rows = _csv_rows(text, file) if file.suffix == ".csv" else _jsonl_rows(text, file)
    columns = {column for row in rows for column in row}
    for wanted, found in (
        (FILE_COLUMNS, _file_column(columns)),
        (CAPTION_COLUMNS, caption_column(columns)),
    ):
        if rows and found is None:
            raise DataError(
                f"{file}: expected one of the columns {', '.join(wanted)}; "
                f"found {', '.join(sorted(columns))}. Rename the column that is meant."
            )
    return rows


def _csv_rows(text: str, file: Path) -> list[dict[str, Any]]:
    try:
        return [{k: v for k, v in row.items() if k} for row in csv.DictReader(io.StringIO(text))]
    except csv.Error as error:
        raise DataError(f"{file}: expected rows of comma-separated values ({error}).") from error


def _jsonl_rows(text: str, file: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{file}, line {number}: expected a JSON object, got {line[:60]!r}.") from error
        if not isinstance(row, dict):
            raise DataError(f"{file}, line {number}: expected a JSON object, got {line[:60]!r}.")
        rows.append(row)
    return rows


def _file_column(columns: set[str]) -> str | None:
    return next((name for name in FILE_COLUMNS if name in columns), None)


def _metadata_record(folder: Path, file: Path, row: dict[str, Any]) -> Record:
    file_column = _file_column(set(row)) or FILE_COLUMNS[0]
    column = caption_column(row)
    image = file.parent / str(row.get(file_column) or "")
    fields = {k: v for k, v in row.items() if k not in (file_column, column)}
    return Record(
        id=_id(folder, image),
        image=image,
        captions=as_captions(row[column]) if column else (),
        fields=_with_split(fields, folder, image),
    )


def find_text_folder(folder: Path) -> Source | None:
    """The set, if images here or below, such as `cat.png`, are captioned by the lines of `cat.txt`."""
    images = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not any(p.with_suffix(".txt").is_file() for p in images):
        return None
    return read_text_folder(folder, images)


def read_text_folder(folder: Path, images: list[Path]) -> Source:
    """The pictures `images` of a folder, each captioned by the lines of a `.txt` beside it, or by nothing."""

    def records() -> Iterator[Record]:
        for image in images:
            text = image.with_suffix(".txt")
            lines = read_text(text).splitlines() if text.is_file() else []
            yield Record(
                id=_id(folder, image),
                image=image,
                captions=as_captions(lines),
                fields=_with_split({}, folder, image),
            )

    return Source(folder, "image folder with a .txt beside each image", len(images), records)


def read_text(file: Path) -> str:
    """A text file in UTF-8. Raises DataError if it is missing or of another encoding."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: expected text in UTF-8. Save the file as UTF-8.") from error
    except OSError as error:
        raise DataError(f"{file}: the file cannot be read ({error.strerror}).") from error


def _id(folder: Path, image: Path) -> str:
    return image.relative_to(folder).as_posix() if image.is_relative_to(folder) else image.as_posix()


def _with_split(fields: dict[str, Any], folder: Path, image: Path) -> dict[str, Any]:
    """A first folder named after a split (train/, val/, test/) tells the split, unless a column does."""
    parts = Path(_id(folder, image)).parts
    if "split" not in fields and len(parts) > 1 and canonical(parts[0]) in SPLITS:
        fields["split"] = canonical(parts[0])
    return fields
