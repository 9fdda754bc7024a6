"""A path in, a captioned image set out: the layout is found by looking."""

from collections.abc import Callable
from pathlib import Path

from pictura.core.errors import DataError
from pictura.data.layouts import coco, cub, folder, parquet, webdataset
from pictura.data.records import Source

LOOKED_FOR = (
    "metadata.jsonl or metadata.csv, images with a .txt beside each, .parquet files, .tar shards, "
    "CUB-200-2011 (images.txt and classes.txt) or COCO (annotations/captions_*.json)"
)


def open_source(path: Path | str) -> Source:
    """Open a captioned image set, whatever its layout (docs/data.md shows each).

    Args:
        path: a folder, a Parquet file, a tar shard or a metadata file.

    Raises:
        DataError: nothing is there, the layout is unknown, or the set is empty.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(f"{root}: there is no such file or folder. Give the path of a captioned image set.")
    source = _open_folder(root) if root.is_dir() else _open_file(root)
    if len(source) == 0:
        raise DataError(f"{root}: the set is empty ({source.layout}). Put captioned pictures into it.")
    return source


def _open_file(file: Path) -> Source:
    if file.suffix == ".parquet":
        return parquet.read_parquet(file, [file])
    if file.suffix == ".tar":
        return webdataset.read_shards(file, [file])
    if file.suffix in (".jsonl", ".csv"):
        return folder.read_metadata(file.parent, [file])
    raise DataError(
        f"{file}: expected a folder, a .parquet file, a .tar shard or a metadata file (.jsonl, .csv); "
        f"a file ending in {file.suffix!r} came."
    )


def _open_folder(root: Path) -> Source:
    looks: tuple[Callable[[Path], Source | None], ...] = (
        cub.find,
        coco.find,
        folder.find_metadata,
        parquet.find,
        webdataset.find,
        folder.find_text_folder,
    )
    for look in looks:
        source = look(root)
        if source is not None:
            return source
    raise DataError(f"{root}: no captioned pictures were found; looked for {LOOKED_FOR}.")
