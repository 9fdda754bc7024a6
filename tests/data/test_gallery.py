"""Every picture of a place is found, whether anybody wrote a caption for it or not."""

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pictura.core.errors import DataError
from pictura.data.gallery import open_gallery


def names(source: Any) -> dict[str, tuple[str, ...]]:
    return {record.id: record.captions for record in source}


@pytest.fixture
def folder(tmp_path: Path, draw: Callable[..., bytes]) -> Path:
    """Four pictures, one of them hidden and one in a hidden folder."""
    for name in ("a.png", "b/c.JPEG", "b/.d.png", ".e/f.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(draw())
    return tmp_path / "set"


def test_pictures_without_captions_are_found_and_hidden_ones_are_not(folder: Path) -> None:
    source = open_gallery(folder)
    assert names(source) == {"a.png": (), "b/c.JPEG": ()}
    assert (len(source), source.layout) == (2, "folder of pictures")


def test_captions_are_read_where_they_are(folder: Path) -> None:
    (folder / "b" / "c.txt").write_text("a cat\nan animal\n")
    assert names(open_gallery(folder)) == {"a.png": (), "b/c.JPEG": ("a cat", "an animal")}


def test_pictures_that_the_metadata_leave_out_are_found_too(folder: Path) -> None:
    (folder / "metadata.csv").write_text("file_name,text\n./a.png,a fox\n")
    source = open_gallery(folder)
    assert sorted(names(source).values()) == [(), ("a fox",)]
    assert (len(source), source.layout) == (2, "image folder with metadata.csv, 1 pictures unlisted")


def test_a_pack_is_read_as_for_training(
    parquet_file: Callable[..., Path], draw: Callable[..., bytes]
) -> None:
    file = parquet_file("pack/set.parquet", image=[draw(1), draw(2)], id=["1", "2"], text=["a", "b"])
    (file.parent / "preview.png").write_bytes(draw())
    for place in (file, file.parent):
        assert names(open_gallery(place)) == {"1": ("a",), "2": ("b",)}


def test_an_archive_among_loose_pictures_is_left_alone(folder: Path) -> None:
    with tarfile.open(folder / "backup.tar", "w") as tar:
        tar.add(folder / "a.png", "z.png")
    assert set(names(open_gallery(folder))) == {"a.png", "b/c.JPEG"}
    (folder / "a.png").unlink()
    (folder / "b" / "c.JPEG").unlink()
    assert len(open_gallery(folder)) == 1


def test_a_place_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no-where: there is no such file or folder\. Give a folder"):
        open_gallery(tmp_path / "no-where")
    (tmp_path / "words.txt").write_text("words")
    with pytest.raises(DataError, match=r"the folder holds no picture; looked for \.bmp, .*\.webp here"):
        open_gallery(tmp_path)
    with pytest.raises(DataError, match=r"words\.txt: expected a folder, a \.parquet file"):
        open_gallery(tmp_path / "words.txt")
