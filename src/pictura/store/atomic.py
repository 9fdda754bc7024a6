"""Files and folders that are there whole or not at all.

What is written goes into a temporary neighbour first, reaches the disk (fsync), and takes its name
last. A crash leaves the old content; a full disk leaves the old content and one clear sentence.
"""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from pictura.core.errors import StorageError

_CANNOT_WRITE = {"EACCES", "EDQUOT", "EEXIST", "EFBIG", "EIO", "EISDIR", "ENAMETOOLONG", "ENOSPC", "ENOTDIR"}
_CANNOT_WRITE |= {"EPERM", "EROFS"}
_ONLY_WRITING = {"EDQUOT", "EFBIG", "ENOSPC", "EROFS"}
"""What reading never ends in; the others may be of a file that the block reads."""


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Write a file so that it appears whole.

    Args:
        path: where the file shall be; its folder is made if missing.

    Yields:
        A path in the same folder to write to. It becomes `path` when the block ends, and is removed
        when the block raises.

    Raises:
        StorageError: the disk is full, or the place cannot be written.
    """
    path = path.absolute()
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _neighbour(path)
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Write a folder so that it appears whole, in the place of an older one of that name.

    Args:
        path: where the folder shall be; the folder above it is made if missing.

    Yields:
        An empty folder beside it to fill. It becomes `path` when the block ends, and is removed when
        the block raises; an older folder at `path` stays until then.

    Raises:
        StorageError: the disk is full, or the place cannot be written.
    """
    path = path.absolute()
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_dir():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        temporary, old = _neighbour(path), _neighbour(path)
        temporary.mkdir()
        try:
            yield temporary
            for item in (*temporary.rglob("*"), temporary):
                _sync(item)
            if path.exists():
                path.rename(old)
            temporary.rename(path)
            _sync(path.parent)
        finally:
            if old.exists() and not path.exists():
                old.rename(path)
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def _neighbour(path: Path) -> Path:
    # The suffix stays last: writers of images choose their format by it.
    return path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")


def _sync(path: Path) -> None:
    """Bring a file or a folder's list of names to the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows has no handle of a folder to sync
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_elsewhere(error: OSError, path: Path) -> bool:
    """Whether the error is of another file than `path`, its temporary neighbours and the folders above."""
    if not isinstance(error.filename, str | bytes):
        return False
    place = Path(os.path.abspath(os.fsdecode(error.filename)))  # noqa: PTH100  (links stay links)
    if place == path or place in path.parents:
        return False
    names = place.parts[len(path.parent.parts) :]
    return path.parent not in place.parents or not names[0].startswith(f".{path.stem}-")


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say in one sentence why a file could not be written."""
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        code = errno.errorcode.get(number)
        if code not in _CANNOT_WRITE or (code not in _ONLY_WRITING and _is_elsewhere(error, path)):
            raise
        raise StorageError(
            f"Cannot write {path}: {os.strerror(number).lower()}. "
            "Nothing was changed; free space or choose another place."
        ) from error
