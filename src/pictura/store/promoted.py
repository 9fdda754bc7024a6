"""Which learnt version `default` stands for, and which ones came before it.

Versions are ordinary model folders, ``$PICTURA_HOME/models/NAME-N``. One file,
``$PICTURA_HOME/promoted.json``, says which of them `default` stands for; it is replaced whole, last of all,
so that whoever is killed, and whoever reads meanwhile, finds the old state or the new one. Models inside the
package are never touched: without the file, `default` is one of them again.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pictura.core.errors import ModelError, ModelNotFoundError
from pictura.store.atomic import atomic_file, atomic_folder
from pictura.store.places import home

PROMOTED = "promoted.json"
KEEP = 5
"""Versions that are kept; of older ones the folders are removed."""
_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """A model that was promoted."""

    name: str
    """Of its folder."""
    hash: str
    base: str
    """Name of the model that it learnt on."""
    promoted_at: float
    """Seconds since 1970."""
    numbers: Mapping[str, Any]
    """What it was learnt from and how it was tested, as JSON holds it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shelf:
    """All that is kept of promotions."""

    default: str | None = None
    """Name of the version that `default` stands for; None is the base."""
    versions: tuple[Version, ...] = ()
    """The oldest first."""
    history: tuple[str | None, ...] = ()
    """What `default` stood for before, the newest last."""
    last: int = 0
    """The highest number that a version ever had."""
    retired: tuple[str, ...] = field(default=())
    """Folders that are to be removed, or were."""

    def find(self, name: str) -> Version | None:
        """The version of a name."""
        return next((version for version in self.versions if version.name == name), None)


def read_shelf() -> Shelf:
    """What was promoted here; an empty shelf if nothing ever was.

    Raises:
        ModelError: the file is damaged.
    """
    path = home() / PROMOTED
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table.pop("format") != _FORMAT:
            raise ValueError("another format")
        lists: dict[str, Any] = {name: tuple(table.pop(name)) for name in ("history", "retired")}
        versions = tuple(Version(**row) for row in table.pop("versions"))
        return Shelf(**lists, **table, versions=versions)
    except FileNotFoundError:
        return Shelf()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path} should say what 'default' stands for, but cannot be read ({error!r}). "
            "Remove it to have the base back."
        ) from error


def promote(source: Path, version: Version, *, as_default: bool) -> Shelf:
    """Put a copy of a model folder among the user's models, and let `default` stand for it.

    What was promoted before stays; of more than `KEEP` versions the oldest are removed.

    Args:
        source: the model folder, whose files were verified.
        version: what is to be remembered of it; its name is that of the new folder.
        as_default: false keeps `default` what it is.

    Raises:
        ModelError: the file of promotions is damaged.
        StorageError: the disk is full or cannot be written; nothing is promoted then.
    """
    shelf = read_shelf()
    with atomic_folder(home() / "models" / version.name) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
    versions = (*(old for old in shelf.versions if old.name != version.name), version)
    default = version.name if as_default else shelf.default
    kept = _kept(versions, default)
    gone = tuple(old.name for old in versions if old not in kept)
    made = replace(
        shelf,
        versions=kept,
        default=default,
        history=(*shelf.history, shelf.default)[-2 * KEEP :] if as_default else shelf.history,
        last=max(shelf.last, number_of(version.name)),
        retired=(*(name for name in shelf.retired if name != version.name), *gone),
    )
    _write(made)
    return _clear(made)


def roll_back(to: str | None, *, base: str) -> Shelf:
    """Let `default` stand again for what it stood for before.

    Args:
        to: a version that is kept, or the base; None is one step back.
        base: name of the model that `default` stands for where nothing is promoted.

    Raises:
        ModelNotFoundError: there is nothing to go back to, or no such version.
        ModelError: the file of promotions is damaged.
        StorageError: the file cannot be written.
    """
    shelf = read_shelf()
    if to is None:
        if shelf.default is None:
            raise ModelNotFoundError(f"'default' is {base!r} as it came: there is nothing to go back from.")
        before = [name for name in shelf.history if name is None or shelf.find(name)]
        wanted = before[-1] if before else None
        history = tuple(before[:-1])
    else:
        wanted = None if to == base else to
        history = (*shelf.history, shelf.default)
    if wanted is not None and not (shelf.find(wanted) and (home() / "models" / wanted).is_dir()):
        known = ", ".join(repr(name) for name in (base, *(version.name for version in shelf.versions)))
        raise ModelNotFoundError(f"No version named {wanted!r} is kept. 'default' can be one of: {known}.")
    made = replace(shelf, default=wanted, history=history)
    _write(made)
    return made


def next_name(name: str) -> str:
    """The name of the next version: `name` and a number that no version ever had."""
    taken = [number_of(path.name) for path in (home() / "models").glob(f"{name}-*")]
    return f"{name}-{max(read_shelf().last, *taken, 0) + 1}"


def number_of(name: str) -> int:
    """The number that a version's name ends in; 0 if there is none."""
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isdecimal() and len(digits) < 10 else 0


def _kept(versions: tuple[Version, ...], default: str | None) -> tuple[Version, ...]:
    """The newest ones, and the one that is in use."""
    new = versions[-KEEP:]
    in_use = tuple(old for old in versions[:-KEEP] if old.name == default)
    return (*in_use, *new)


def _clear(shelf: Shelf) -> Shelf:
    """Remove the folders of versions that are not kept; what a kill leaves, the next promotion takes."""
    for name in shelf.retired:
        shutil.rmtree(home() / "models" / name, ignore_errors=True)
    left = tuple(name for name in shelf.retired if (home() / "models" / name).exists())
    if left == shelf.retired:
        return shelf
    made = replace(shelf, retired=left)
    _write(made)
    return made


def _write(shelf: Shelf) -> None:
    with atomic_file(home() / PROMOTED) as temporary:
        table = {"format": _FORMAT, **asdict(shelf)}
        temporary.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
