"""WebDataset tar shards in, records out; local files only.

Source  The webdataset library: files of one base name are one sample (`000.jpg`, `000.txt`, `000.json`).
        Differs: captions may be in `.txt`, `.caption` or `.captions` (one a line) or in a field of `.json`.
"""

import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pictura.core.errors import DataError
from pictura.data.extras import need
from pictura.data.guard import SUFFIXES
from pictura.data.records import Record, Source, as_captions, caption_column

TEXT_PARTS = ("txt", "text", "caption", "captions")


def find(path: Path) -> Source | None:
    """The set, if tar shards are in the folder or below it."""
    files = sorted(p for p in path.rglob("*.tar") if p.is_file())
    return read_shards(path, files) if files else None


def read_shards(path: Path, files: list[Path]) -> Source:
    """One tar shard or several.

    Raises:
        DataError: a shard is damaged.
        MissingExtraError: webdataset is not installed.
    """
    size = sum(_count(file) for file in files)

    def records() -> Iterator[Record]:
        for file in files:
            yield from _shard(file)

    noun = "WebDataset shard" if len(files) == 1 else f"{len(files)} WebDataset shards"
    return Source(path, noun, size, records)


def _count(file: Path) -> int:
    """Number of samples, from the headers alone."""
    try:
        with tarfile.open(file) as tar:
            return len({_base(member.name) for member in tar if member.isfile()})
    except (OSError, tarfile.TarError) as error:
        raise _damaged(file, error) from error


def _base(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


def _shard(file: Path) -> Iterator[Record]:
    library = need("webdataset.tariterators", "Reading WebDataset shards")
    try:
        with file.open("rb") as stream:  # the library's own opening leaves files open, and runs "pipe:" names
            members = library.tar_file_expander([{"url": str(file), "stream": stream}])
            for sample in library.group_by_keys(members):
                yield _record(sample, file)
    except (OSError, tarfile.TarError, ValueError) as error:
        raise _damaged(file, error) from error


def _record(sample: Mapping[str, Any], file: Path) -> Record:
    key = str(sample["__key__"])
    parts = {
        name.rpartition(".")[2].lower(): data for name, data in sample.items() if not name.startswith("__")
    }
    where = f"{file}, sample {key}"
    fields = _json(parts.get("json", b"{}"), where)
    text = [line for part in TEXT_PARTS for line in _text(parts.get(part, b""), where).splitlines()]
    column = caption_column(fields)
    captions = as_captions(text) or (as_captions(fields.get(column)) if column else ())
    return Record(
        id=f"{file.stem}/{key}",
        image=next((data for part, data in parts.items() if f".{part}" in SUFFIXES), b""),
        captions=captions,
        fields={name: value for name, value in fields.items() if name != column},
        where=where,
    )


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: expected text in UTF-8. Write the shard again in UTF-8.") from error


def _json(data: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise DataError(f"{where}: the .json part is not valid JSON ({error}).") from error
    return value if isinstance(value, dict) else {}


def _damaged(file: Path, error: Exception) -> DataError:
    return DataError(
        f"{file}: expected a whole tar shard, but it is damaged ({error.args[0]}). Fetch it again."
    )
