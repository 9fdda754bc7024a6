"""Parquet files with image bytes and text in, records out.

Source  The layout of the Hugging Face hub (`image` is a struct of `bytes` and `path`, files named
        `train-00000-of-00001.parquet`) and plain binary columns, as in our own packs.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pictura.core.errors import DataError
from pictura.data.extras import need
from pictura.data.records import CAPTION_COLUMNS, Record, Source, as_captions, caption_column
from pictura.data.splits import SPLITS, canonical

IMAGE_COLUMNS = ("image", "img", "picture", "jpg", "png", "webp", "image_bytes", "bytes")
ID_COLUMNS = ("id", "image_id", "key", "__key__")
PACK_KEY = b"pictura.pack"
"""Key of the file metadata under which `pictura data pack` says how the pack was made."""
_ROWS_AT_A_TIME = 64


def find(path: Path) -> Source | None:
    """The set, if Parquet files are in the folder or below it."""
    files = sorted(p for p in path.rglob("*.parquet") if p.is_file())
    return read_parquet(path, files) if files else None


def read_parquet(path: Path, files: list[Path]) -> Source:
    """One Parquet file or several with the same columns.

    Raises:
        DataError: a file is damaged, or has no image or caption column.
        MissingExtraError: pyarrow is not installed.
    """
    tables = [_Table(file, path) for file in files]

    def records() -> Iterator[Record]:
        for table in tables:
            yield from table.records()

    noun = "Parquet file" if len(files) == 1 else f"{len(files)} Parquet files"
    return Source(path, noun, sum(table.num_rows for table in tables), records)


def pack_note(file: Path) -> dict[str, Any]:
    """What `pictura data pack` wrote about the pack; empty for other Parquet files."""
    metadata = need("pyarrow.parquet", "Reading Parquet files").read_schema(file).metadata or {}
    note: dict[str, Any] = json.loads(metadata.get(PACK_KEY, b"{}"))
    return note


class _Table:
    """One Parquet file whose columns are understood."""

    def __init__(self, file: Path, root: Path) -> None:
        self._file = file
        self._name = file.relative_to(root).with_suffix("").as_posix() if file != root else file.stem
        with self._opened() as parquet:
            schema = parquet.schema_arrow
            self.num_rows: int = parquet.metadata.num_rows
        self._image = self._image_column(schema)
        names = [name for name in schema.names if name != self._image]
        numbered = sorted(name for name in names if re.fullmatch(r"caption_?\d+", name.lower()))
        found = caption_column(names)
        self._captions = [found] if found else numbered
        if not self._captions:
            raise DataError(
                f"{file}: expected one of the text columns {', '.join(CAPTION_COLUMNS)}; "
                f"found {', '.join(names) or 'no other column'}. Rename the column that is meant."
            )
        self._id = next((name for name in ID_COLUMNS if name in names), None)
        self._split = _split_in_name(file)

    def _opened(self) -> Any:
        module = need("pyarrow.parquet", "Reading Parquet files")
        try:
            return module.ParquetFile(self._file)
        except (OSError, ValueError) as error:  # pyarrow's own errors are subclasses of these
            raise DataError(f"{self._file}: expected a Parquet file, but it is damaged ({error}).") from error

    def _image_column(self, schema: Any) -> str:
        types = need("pyarrow.types", "Reading Parquet files")

        def holds_bytes(kind: Any) -> bool:
            if types.is_struct(kind):
                return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
            return bool(types.is_binary(kind) or types.is_large_binary(kind))

        binary = [field.name for field in schema if holds_bytes(field.type)]
        named = [name for name in IMAGE_COLUMNS if name in binary]
        if not named and len(binary) != 1:
            raise DataError(
                f"{self._file}: expected a column of image bytes named {', '.join(IMAGE_COLUMNS)}; "
                f"found {', '.join(schema.names)}. Rename the column that is meant."
            )
        return str((named or binary)[0])

    def records(self) -> Iterator[Record]:
        row = 0
        with self._opened() as parquet:
            try:
                for batch in parquet.iter_batches(batch_size=_ROWS_AT_A_TIME):
                    for values in batch.to_pylist():
                        yield self._record(values, row)
                        row += 1
            except (OSError, ValueError) as error:
                raise DataError(f"{self._file}: the rows after {row} are damaged ({error}).") from error

    def _record(self, values: Mapping[str, Any], row: int) -> Record:
        captions = [c for name in self._captions for c in as_captions(values[name])]
        used = {self._image, self._id, *(name for name in self._captions if name != "name")}
        fields = {k: v for k, v in values.items() if k not in used}
        if self._split and not fields.get("split"):
            fields["split"] = self._split
        own_id = values[self._id] if self._id else None
        return Record(
            id=str(own_id) if own_id is not None else f"{self._name}:{row}",
            image=_bytes_of(values[self._image], self._file.parent),
            captions=as_captions(captions),
            fields=fields,
            where=f"{self._file}, row {row}",
        )


def _bytes_of(value: Any, folder: Path) -> bytes | Path:
    if isinstance(value, Mapping):
        data, path = value.get("bytes"), value.get("path")
        return folder / path if data is None and path else data or b""
    return value or b""


def _split_in_name(file: Path) -> str | None:
    first = canonical(re.split(r"[-_.]", file.stem)[0])
    return first if first in SPLITS else None
