"""Pictures by their content: bytes in, a path out that is the bytes' SHA-256.

A folder on this machine, or any place that fsspec reaches by URL (S3 and others). What `put_picture`
returned is on the disk, so that a row may name it: in a folder by fsync of the file and of its folders,
elsewhere when the place has confirmed it. Equal pictures are one file. What no row names is cleared away by
`store.gallery.sweep`.
"""

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from PIL import Image, UnidentifiedImageError

from pictura.core.errors import ConfigError, DataError, MissingExtraError, PicturaError, StorageError
from pictura.store.atomic import atomic_file, remove_leftovers
from pictura.store.models import home

THUMB_SIZE_PX = 384
"""The longer side of a thumbnail, at most."""
_PNG = b"\x89PNG"
_SUFFIXES = {"PNG": "png", "WEBP": "webp", "JPEG": "jpg"}
UPLOADS = "uploads/"
"""Begins the paths of pictures that were sent, not painted."""
_PATH = re.compile(rf"(thumbs/|{UPLOADS})?[0-9a-f]{{2}}/(?P<sha256>[0-9a-f]{{64}})\.(png|webp|jpg)")


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPicture:
    """Where a picture lies."""

    sha256: str
    path: str
    """Of the bytes as they came."""
    thumb_path: str
    """Of a small WebP."""
    width: int
    height: int
    num_bytes: int


class Files:
    """A place for pictures, shared by threads and processes."""

    def __init__(self, url: str | Path | None = None) -> None:
        """Name the place; a folder is made on the first write.

        Args:
            url: a folder, or a URL such as ``s3://BUCKET/FOLDER``. None is ``$PICTURA_FILES``, or else
                ``studio/pictures`` in the folder of a user's data.

        Raises:
            ConfigError: no such kind of place is known.
            MissingExtraError: what reaches that kind of place is not installed.
        """
        self.url = str(url or os.environ.get("PICTURA_FILES") or home() / "studio" / "pictures")
        try:
            self._fs, self._root = url_to_fs(self.url, use_listings_cache=False)
        except ImportError as error:
            raise MissingExtraError(f"Pictures cannot be kept at {self.url}: {error}.") from error
        except ValueError as error:
            raise ConfigError(f"Pictures cannot be kept at {self.url}: {error}.") from error
        self._folder = Path(self._root) if "file" in self._fs.protocol else None

    def put_picture(self, data: bytes) -> StoredPicture:
        """Store a picture and its thumbnail; both are on the disk when this returns.

        A file that is there already is written again, so that it is young and no sweep takes it.

        Args:
            data: a PNG, WebP or JPEG file.

        Raises:
            DataError: it is no such picture, or damaged.
            StorageError: the place is full or cannot be written.
        """
        suffix, (width, height), thumb = _look_at(data)
        sha256 = hashlib.sha256(data).hexdigest()
        path, thumb_path = f"{sha256[:2]}/{sha256}.{suffix}", f"thumbs/{sha256[:2]}/{sha256}.webp"
        self._put(thumb_path, thumb)
        self._put(path, data)
        return StoredPicture(
            sha256=sha256,
            path=path,
            thumb_path=thumb_path,
            width=width,
            height=height,
            num_bytes=len(data),
        )

    def put_upload(self, data: bytes) -> str:
        """Store a picture that was sent, without a thumbnail; like `put_picture` otherwise.

        Args:
            data: a PNG file that the studio itself wrote, from what came.

        Returns:
            Its path.

        Raises:
            StorageError: the place is full or cannot be written.
        """
        assert data.startswith(_PNG)
        sha256 = hashlib.sha256(data).hexdigest()
        path = f"{UPLOADS}{sha256[:2]}/{sha256}.png"
        self._put(path, data)
        return path

    def read(self, path: str) -> bytes:
        """The bytes of a file that a row names.

        Raises:
            StorageError: it is not there or cannot be read.
        """
        with self._explained("read", path):
            data: bytes = self._fs.cat_file(self._full(path))
        return data

    def exists(self, path: str) -> bool:
        """Whether a file is there.

        Raises:
            StorageError: the place does not say.
        """
        with self._explained("look for", path):
            return bool(self._fs.exists(self._full(path)))

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is no error.

        Raises:
            StorageError: it cannot be removed.
        """
        with self._explained("remove", path), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._full(path))

    def age_s(self, path: str) -> float:
        """Seconds since a file was last written; 0 if it is not there.

        Raises:
            StorageError: the place does not say.
        """
        with self._explained("look for", path), contextlib.suppress(FileNotFoundError):
            written: datetime = self._fs.modified(self._full(path))
            return (datetime.now(UTC) - written.astimezone(UTC)).total_seconds()
        return 0.0

    def paths(self) -> Iterator[tuple[str, str]]:
        """Every file with the SHA-256 that names it; in a folder, leavings of killed writers go first."""
        if self._folder is not None:
            for folder in sorted(self._folder.glob("**/")):
                remove_leftovers(folder)
        with self._explained("list", "pictures"):
            found = self._fs.find(self._root)
        for full in found:
            path = str(full)[len(self._root) :].lstrip("/")
            if match := _PATH.fullmatch(path):
                yield path, match["sha256"]

    def _put(self, path: str, data: bytes) -> None:
        if self._folder is not None:
            with atomic_file(self._folder / path) as temporary:
                temporary.write_bytes(data)
            return
        with self._explained("write", path):
            self._fs.pipe_file(self._full(path), data)

    @contextlib.contextmanager
    def _explained(self, act: str, path: str) -> Iterator[None]:
        """Say in one sentence why a place does not do as told."""
        try:
            yield
        except PicturaError:
            raise
        except Exception as error:  # every kind of place has errors of its own
            reason = str(getattr(error, "strerror", None) or error).rstrip(".")
            raise StorageError(f"Cannot {act} {path} at {self.url}: {reason}.") from error

    def _full(self, path: str) -> str:
        if not _PATH.fullmatch(path):
            raise StorageError(f"{path!r} is no path of a picture; expected AB/SHA256.png, .webp or .jpg.")
        return f"{self._root}/{path}"


def _look_at(data: bytes) -> tuple[str, tuple[int, int], bytes]:
    """Decode a picture once: the suffix of its format, its size, its thumbnail."""
    thumb = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data), formats=tuple(_SUFFIXES)) as image:
            suffix, size = _SUFFIXES[image.format or ""], image.size
            small: Any = image.convert("RGBA" if image.has_transparency_data else "RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"Expected a PNG, WebP or JPEG picture; it cannot be decoded ({error}).") from error
    small.thumbnail((THUMB_SIZE_PX, THUMB_SIZE_PX))
    small.save(thumb, "WEBP", quality=80)
    return suffix, size, thumb.getvalue()
