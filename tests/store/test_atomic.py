"""Files and folders appear whole or not at all."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pictura.core.errors import StorageError
from pictura.store.atomic import atomic_file, atomic_folder, scratch_folder


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


KILLED = """
import os, signal, sys
from pathlib import Path
from pictura.store.atomic import atomic_file, atomic_folder, scratch_folder

parent = Path(sys.argv[1])
with atomic_folder(parent / "run") as folder, atomic_file(parent / "a.png") as file, scratch_folder(parent):
    (folder / "x").write_text("half")
    file.write_text("half")
    if sys.argv[2] == "between the renames":
        os.rename = lambda *names, rename=os.rename: (rename(*names), os.kill(os.getpid(), signal.SIGKILL))
    else:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def kill(parent: Path, when: str = "in mid-save") -> list[str]:
    """Let a process be killed while it saves into `parent`; return the hidden names that it leaves."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(parent), when], check=False)
    assert done.returncode == -9
    return sorted(path.name for path in parent.iterdir() if path.name.startswith("."))


def test_the_next_save_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    assert [name.split(".pictura-new-")[0] for name in kill(tmp_path)] == [".a", ".run", ".scratch"]
    with atomic_file(tmp_path / "b.txt") as temporary:
        assert sorted(tmp_path.iterdir()) == []
        temporary.write_text("whole")
    for save in (atomic_folder(tmp_path / "run"), scratch_folder(tmp_path)):
        kill(tmp_path)
        with save as folder:
            assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == [folder]


def test_what_is_being_written_is_left_alone(tmp_path: Path) -> None:
    start, kind, host, pid, rest = kill(tmp_path)[0].split("-")
    others = [
        f"{start}-{kind}-{host}-1-{rest}",  # runs, though it is not ours
        f"{start}-{kind}-{host}-{os.getppid()}-{rest}",
        f"{start}-{kind}-000000-{pid}-{rest}",  # of another machine
        f"{start}-{kind}-{host}-{pid}-of-mine.png",  # no name that we give
        ".a-of-mine.png",
    ]
    for name in others:
        (tmp_path / name).touch()
    with atomic_file(tmp_path / "a.png") as first, atomic_file(tmp_path / "a.png") as second:
        second.touch()
        assert {path.name for path in tmp_path.iterdir()} == {*others, second.name}
        first.touch()
    (tmp_path / f"{start}-{kind}-{host}-{os.getpid()}-{rest}").touch()  # by one that had our number before us
    with scratch_folder(tmp_path) as folder:
        assert {path.name for path in tmp_path.iterdir()} == {*others, "a.png", folder.name}


def test_a_folder_killed_between_its_renames_gets_its_name_back(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "run") as folder:
        (folder / "x").write_text("old")
    kill(tmp_path, "between the renames")
    assert not (tmp_path / "run").exists()
    with atomic_file(tmp_path / "b.txt") as temporary:
        temporary.touch()
    assert (tmp_path / "run" / "x").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.txt", "run"]
