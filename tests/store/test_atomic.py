"""Files and folders appear whole or not at all."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pictura.core.errors import StorageError
from pictura.store.atomic import atomic_file, atomic_folder


@contextmanager
def full_disk(allowed_bytes: int) -> Iterator[None]:
    """No file may grow beyond `allowed_bytes`: the system refuses as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (allowed_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".txt"
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as temporary:
        temporary.write_text(f"half {1 // 0}")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_ends_in_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    refused = pytest.raises(
        StorageError, match=rf"^Cannot write {path}: .*\. Nothing was changed; free space"
    )
    with refused, full_disk(1000), atomic_file(path) as temporary:
        temporary.write_bytes(bytes(5000))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(StorageError, match=r"Cannot write .*file/a\.txt: ")
    with refused, atomic_file(tmp_path / "file" / "a.txt"):
        pass


def test_other_errors_of_the_block_keep_their_words(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "a"):
        (tmp_path / "missing").read_text()


def test_what_cannot_be_read_is_not_said_to_be_unwritable(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(IsADirectoryError), atomic_file(tmp_path / "a.txt") as temporary:
        temporary.write_text((tmp_path / "source").read_text())
    with (
        pytest.raises(StorageError, match=r"Cannot write .*model: file name"),
        atomic_folder(tmp_path / "model") as temporary,
    ):
        (temporary / ("x" * 300)).touch()
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_folder_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for content in ("first", "second"):
        with atomic_folder(path) as temporary:
            (temporary / content).mkdir()
            (temporary / content / "x").write_text(content)
    assert [item.relative_to(path).as_posix() for item in sorted(path.rglob("*"))] == ["second", "second/x"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_never_takes_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("mine")
    with (
        pytest.raises(StorageError, match=r"Cannot write .*model: file exists"),
        atomic_folder(tmp_path / "model"),
    ):
        pass
    assert (tmp_path / "model").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with atomic_folder(path) as temporary:
        (temporary / "x").write_text("old")
    with pytest.raises(StorageError), full_disk(1000), atomic_folder(path) as temporary:
        (temporary / "x").write_bytes(bytes(5000))
    assert (path / "x").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
