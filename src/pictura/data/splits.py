"""Which split a picture belongs to: decided by a hash, so that adding pictures moves none that was there.

Units   shares are fractions of the set for train, validation and test, and sum to 1.
"""

import hashlib
from collections.abc import Callable, Iterable
from functools import cache
from itertools import accumulate

from pictura.core.errors import ConfigError, DataError
from pictura.data.records import Record, Source

SPLITS = ("train", "validation", "test")
SHARES = (0.8, 0.1, 0.1)
_LENT = (0.9, 0.1, 0.0)

_NAMES = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "testing": "test",
}


def canonical(name: str) -> str:
    """The common name of a split: "val", "valid" and "dev" are "validation", and so on."""
    lower = name.strip().lower()
    return _NAMES.get(lower, lower)


def place(text: str, seed: int) -> float:
    """A number in [0, 1) that depends on `text` and `seed` alone."""
    digest = hashlib.blake2b(f"{seed}:{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def split_of(record_id: str, *, seed: int = 0, shares: tuple[float, float, float] = SHARES) -> str:
    """Random split: the same id and seed always give the same answer, whatever else is in the set.

    Raises:
        ConfigError: the shares are negative or do not sum to 1.
    """
    where = place(record_id, seed)
    ends = list(accumulate(_checked(shares)))
    return next((name for name, end in zip(SPLITS, ends, strict=True) if where < end), _last(shares))


def class_disjoint(
    classes: Iterable[str], *, seed: int = 0, shares: tuple[float, float, float] = SHARES
) -> dict[str, str]:
    """Give whole classes to the splits, so that no class is seen in two.

    Args:
        classes: class names; repeats do not matter.
        seed: another seed gives other classes.
        shares: fractions of the classes; a split with a share gets at least one class if there are enough.

    Returns:
        class name to split.

    Raises:
        ConfigError: the shares are wrong, or there are fewer classes than splits with a share.
    """
    names = sorted(set(classes), key=lambda name: (place(name, seed), name))
    wanted = [name for name, share in zip(SPLITS, _checked(shares), strict=True) if share > 0]
    if len(names) < len(wanted):
        raise ConfigError(
            f"A class-disjoint split into {', '.join(wanted)} needs at least {len(wanted)} classes; "
            f"got {len(names)}. Use a random split instead."
        )
    ends = [round(end * len(names)) for end in accumulate(shares) if end > 0]
    out: dict[str, str] = {}
    start = 0
    for index, split in enumerate(wanted):
        left_for_others = len(names) - (len(wanted) - index - 1)
        end = min(max(ends[index], start + 1), left_for_others)
        out.update(dict.fromkeys(names[start:end], split))
        start = end
    return out


def split_of_record(record: Record, *, seed: int = 0) -> str:
    """The split that the set itself names, else a random one by the id."""
    return _named(record) or split_of(record.id, seed=seed)


def _named(record: Record) -> str:
    """The split that the set itself names; empty if it names none."""
    return canonical(str(record.fields.get("split") or ""))


def _lent(record: Record, names_validation: Callable[[], bool], seed: int) -> str:
    """The split of a record, that of a tenth of the named train split being validation if none is named."""
    tenth = _named(record) == "train" and split_of(record.id, seed=seed, shares=_LENT) == "validation"
    return "validation" if tenth and not names_validation() else split_of_record(record, seed=seed)


def chosen(source: Source, split: str, *, by: str | None = None, seed: int = 0) -> Callable[[Record], bool]:
    """A test for the records of one split.

    A set that names its splits, but no validation split, lends a tenth of its train split to it, by the ids.

    Args:
        source: the set.
        split: "train", "validation", "test" or a name of the set's own.
        by: a field such as "class", whose values go whole to one split, whatever the set's own splits.
        seed: of random splits.

    Raises:
        DataError: no record has the field `by`.
    """
    name = canonical(split)

    @cache
    def names_validation() -> bool:
        return any(_named(record) == "validation" for record in source)

    if by is None:
        return lambda record: _lent(record, names_validation, seed) == name
    values = {str(record.fields.get(by, "")) for record in source}
    if values <= {""}:
        raise DataError(f"{source.path}: no picture has a field {by!r} to split by.")
    of_class = class_disjoint(values, seed=seed)
    return lambda record: of_class[str(record.fields.get(by, ""))] == name


def _checked(shares: tuple[float, float, float]) -> tuple[float, float, float]:
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise ConfigError(f"Split shares must be at least 0 and sum to 1; got {shares}.")
    return shares


def _last(shares: tuple[float, float, float]) -> str:
    return [name for name, share in zip(SPLITS, shares, strict=True) if share > 0][-1]
