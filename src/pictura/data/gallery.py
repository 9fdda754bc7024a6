"""A place with pictures in, all of them out, with captions or without: for looking, not for learning.

What is a captioned image set for `open_source` is read in the same way. Beside it, pictures without any
caption count, loose in a folder or below it; names that begin with a dot do not.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from pictura.core.errors import DataError
from pictura.data.guard import SUFFIXES
from pictura.data.layouts import coco, cub, folder, parquet, webdataset
from pictura.data.records import Record, Source
from pictura.data.sources import open_source


def open_gallery(path: Path | str) -> Source:
    """Find the pictures of a place.

    Args:
        path: a folder, or a file as `open_source` takes. In a folder, .tar shards are read only where no
            picture lies loose.

    Returns:
        Their records; `captions` may be empty, so `Source.pictures` is not for them.

    Raises:
        DataError: nothing is there, or no picture.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(f"{root}: there is no such file or folder. Give a folder of pictures.")
    source = _in_folder(root) if root.is_dir() else open_source(root)
    if source is None or len(source) == 0:
        raise DataError(
            f"{root}: the folder holds no picture; looked for {', '.join(sorted(SUFFIXES))} here and below, "
            "and for .parquet files and .tar shards. Put pictures into it, or name another one."
        )
    return source


def _in_folder(root: Path) -> Source | None:
    for find in (cub.find, coco.find, parquet.find):
        if source := find(root):
            return source
    listed, loose = folder.find_metadata(root), loose_pictures(root)
    if listed is None:
        return _loose(root, loose) if loose else webdataset.find(root)
    named = {_plain(record.image) for record in listed}
    return _both(listed, _loose(root, [picture for picture in loose if _plain(picture) not in named]))


def loose_pictures(root: Path) -> list[Path]:
    """Picture files of a folder and of those below it, in order, without hidden ones."""
    found = []
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(place, name)
            for name in names
            if os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith(".")  # noqa: PTH122
        ]
    return sorted(path for path in found if path.is_file())


def _loose(root: Path, pictures: list[Path]) -> Source:
    source = folder.read_text_folder(root, pictures)
    source.layout = "folder of pictures"
    return source


def _both(listed: Source, loose: Source) -> Source:
    def records() -> Iterator[Record]:
        yield from listed
        yield from loose

    layout = f"{listed.layout}, {len(loose)} pictures unlisted" if len(loose) else listed.layout
    return Source(listed.path, layout, len(listed) + len(loose), records)


def _plain(image: Path | bytes) -> str:
    assert isinstance(image, Path)
    return os.path.normpath(image)
