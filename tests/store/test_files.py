"""Pictures by their content, on the disk before anybody may name them."""

import hashlib
import io
import os
from pathlib import Path

import pytest
from PIL import Image

from pictura.core.errors import ConfigError, DataError, MissingExtraError, StorageError
from pictura.store import files as module
from pictura.store.files import THUMB_SIZE_PX, Files
from tests.jobs.queue_kit import memory_files, picture


@pytest.fixture(params=["folder", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    return Files(tmp_path / "deep" / "pictures") if request.param == "folder" else memory_files()


def encoded(format_: str, size: tuple[int, int] = (1000, 500), mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, "red").save(file, format_)
    return file.getvalue()


def test_a_picture_lies_under_the_hash_of_its_bytes(files: Files) -> None:
    stored = files.put_picture(picture())
    assert stored.sha256 == hashlib.sha256(picture()).hexdigest()
    assert stored.path == f"{stored.sha256[:2]}/{stored.sha256}.png"
    assert (stored.width, stored.height, stored.num_bytes) == (8, 6, len(picture()))
    assert files.read(stored.path) == picture()
    assert files.put_picture(picture()) == stored
    assert set(files.paths()) == {(stored.path, stored.sha256), (stored.thumb_path, stored.sha256)}
    assert 0 <= files.age_s(stored.path) < 60


@pytest.mark.parametrize(("format_", "suffix"), [("PNG", "png"), ("WEBP", "webp"), ("JPEG", "jpg")])
def test_a_thumbnail_is_a_small_webp(files: Files, format_: str, suffix: str) -> None:
    stored = files.put_picture(encoded(format_))
    assert stored.path.endswith(f".{suffix}")
    with Image.open(io.BytesIO(files.read(stored.thumb_path))) as thumb:
        assert (thumb.format, thumb.mode, thumb.size) == ("WEBP", "RGB", (THUMB_SIZE_PX, THUMB_SIZE_PX // 2))


def test_a_thumbnail_keeps_alpha(files: Files) -> None:
    stored = files.put_picture(picture())
    with Image.open(io.BytesIO(files.read(stored.thumb_path))) as thumb:
        assert (thumb.mode, thumb.size) == ("RGBA", (8, 6))


@pytest.mark.parametrize("data", [b"", b"no picture", encoded("GIF"), encoded("PNG")[:-40]])
def test_what_is_no_whole_picture_is_refused(files: Files, data: bytes) -> None:
    with pytest.raises(DataError, match=r"Expected a PNG, WebP or JPEG picture; it cannot be decoded \("):
        files.put_picture(data)
    assert list(files.paths()) == []


def test_what_is_removed_is_gone_and_may_be_removed_again(files: Files) -> None:
    stored = files.put_picture(picture())
    files.remove(stored.path)
    files.remove(stored.path)
    assert not files.exists(stored.path)
    assert files.age_s(stored.path) == 0
    with pytest.raises(StorageError, match=rf"Cannot read {stored.path} at .*"):
        files.read(stored.path)


@pytest.mark.parametrize(
    "path",
    ["../secret", "/etc/passwd", f"ab/{'0' * 63}/.png", f"ab/../{'0' * 64}.png", f"ab/{'0' * 64}.png\n"],
)
def test_only_paths_of_pictures_are_followed(files: Files, path: str) -> None:
    for use in (files.read, files.exists, files.remove, files.age_s):
        with pytest.raises(StorageError, match=r"^'.*' is no path of a picture; expected AB/SHA256.png"):
            use(path)


def test_file_and_folders_are_on_the_disk_before_a_picture_counts_as_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = list[Path]()
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").readlink()))
    root = tmp_path / "pictures"
    stored = Files(root).put_picture(picture())
    for path in (root / stored.path, root / stored.thumb_path):
        file = next(i for i, place in enumerate(synced) if place.match(f".{path.stem}.*{path.suffix}"))
        assert synced[file].parent == path.parent
        assert synced.index(path.parent) > file  # its name, after its content
        for folder in (path.parent.parent, root, tmp_path)[: 3 if "thumbs" in path.parts else 2]:
            assert folder in synced  # the names of new folders
    assert sorted(path.name for path in root.rglob(".*")) == []


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    files = Files(tmp_path)
    with pytest.raises(StorageError, match=r"Cannot write .*: no space left on device\."):
        files.put_picture(picture())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_place_that_nothing_reaches_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"cannot be kept at ftq://host/x: Protocol not known: ftq"):
        Files("ftq://host/x")

    def missing(url: str, **_: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(module, "url_to_fs", missing)
    with pytest.raises(
        MissingExtraError, match=r"cannot be kept at s3://bucket: Install s3fs to access S3\."
    ):
        Files("s3://bucket")


def test_without_a_url_they_are_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path))
    monkeypatch.delenv("PICTURA_FILES", raising=False)
    assert Files().url == str(tmp_path / "studio" / "pictures")
    monkeypatch.setenv("PICTURA_FILES", "memory://mine")
    assert Files().url == "memory://mine"
