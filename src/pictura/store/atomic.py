"""Files and folders that are there whole or not at all.

What is written goes into a temporary neighbour first, reaches the disk (fsync), and takes its name
last. A crash leaves the old content; a full disk leaves the old content and one clear sentence. What a
killed process could not clear away is hidden, and the next save into the same folder removes it: its
name tells the machine and the process that wrote it. (A folder that is killed in the instant between its
two renames has only the hidden name of the old one; the next save beside it gives it its own back.)
"""

import contextlib
import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from pictura.core.errors import StorageError

_CANNOT_WRITE = {"EACCES", "EDQUOT", "EEXIST", "EFBIG", "EIO", "EISDIR", "ENAMETOOLONG", "ENOSPC", "ENOTDIR"}
_CANNOT_WRITE |= {"EPERM", "EROFS"}
_ONLY_WRITING = {"EDQUOT", "EFBIG", "ENOSPC", "EROFS"}
"""What reading never ends in; the others may be of a file that the block reads."""
_TEMPORARY = re.compile(
    r"\.(?P<stem>.*)\.pictura-(?P<kind>new|old)-(?P<host>[0-9a-f]{6})-(?P<pid>\d+)-[0-9a-f]{8}(?P<suffix>\..*)?",
    re.DOTALL,
)
_in_use: set[str] = set()
"""Temporary names that this process is writing under now."""


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
        _make_folder(path.parent)
        remove_leftovers(path.parent)
        with _neighbour(path, "new") as temporary:
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
        _make_folder(path.parent)
        if path.exists() and not path.is_dir():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        remove_leftovers(path.parent)
        with _neighbour(path, "new") as temporary, _neighbour(path, "old") as old:
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


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """An empty hidden folder inside `parent`, on the same disk, that is gone when the block ends."""
    remove_leftovers(parent)
    with _neighbour(parent / "scratch", "new") as folder:
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what saves of processes that are no more left in `folder`; what cannot be removed stays."""
    try:
        found = list(folder.iterdir())
    except OSError:  # a folder may be written into, but not listed
        return
    for path in found:
        match = path.name.startswith(".") and _TEMPORARY.fullmatch(path.name)
        if (
            not match
            or path.name in _in_use
            or match["host"] != _host()
            or _runs_elsewhere(int(match["pid"]))
        ):
            continue
        with contextlib.suppress(OSError):
            original = path.with_name(match["stem"] + (match["suffix"] or ""))
            if match["kind"] == "old" and not original.exists():
                path.rename(original)
            elif path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


@contextlib.contextmanager
def _neighbour(path: Path, kind: str) -> Iterator[Path]:
    """A free hidden name beside `path`."""
    # The suffix stays last: writers of images choose their format by it.
    owner = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
    name = f".{path.stem}.pictura-{kind}-{owner}{path.suffix}"
    _in_use.add(name)
    try:
        yield path.with_name(name)
    finally:
        _in_use.discard(name)


def _host() -> str:
    """Of this machine: on a shared disk, the process of that number may run on another one."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _runs_elsewhere(pid: int) -> bool:
    """Whether another process than this one has that number, or may have it."""
    if pid == os.getpid():  # what is not in use here was left by one that had the number before
        return False
    if os.name == "nt":
        return True  # asking would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it where they are missing; their names reach the disk too."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    with contextlib.suppress(PermissionError):  # the folder above may be one that we cannot list
        _sync(folder.parent)


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
    if path.parent not in place.parents:
        return True
    match = _TEMPORARY.fullmatch(place.parts[len(path.parent.parts)])
    return match is None or match["stem"] != path.stem


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
