"""What an evaluation found: frozen values in, one JSON file out, its layout versioned by `SCHEMA`."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pictura.evaluate.metrics.bootstrap import Interval
from pictura.store.atomic import atomic_file

SCHEMA = 1
"""Version of the layout of `results.json`."""
RESULTS = "results.json"

Kind = Literal["model", "folder", "ceiling", "floor"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdicts:
    """How many pictures one judge accepts."""

    judge: str
    hash: str
    overall: Interval
    """Mean of the accuracies of the tasks."""
    tasks: Mapping[str, Interval]
    """Share of the pictures of each task that are accepted."""
    per_seed: tuple[float, ...]
    """Overall, of each seed alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """The verdicts of two judges about the same pictures, counted."""

    first: str
    second: str
    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def num_pictures(self) -> int:
        """All of them."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def share(self) -> float:
        """Of the pictures on which they agree."""
        return (self.both + self.neither) / self.num_pictures

    @property
    def kappa(self) -> float:
        """Cohen's kappa: 0 for the agreement of chance, 1 for always; NaN where chance agrees always."""
        n = self.num_pictures
        yes_1, yes_2 = (self.both + self.only_first) / n, (self.both + self.only_second) / n
        chance = yes_1 * yes_2 + (1 - yes_1) * (1 - yes_2)
        return (self.share - chance) / (1 - chance) if chance < 1 else math.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class Closeness:
    """How near pictures are to their sentences in a space of both."""

    net: str
    hash: str
    score: Interval
    """LocalCLIPScore."""
    r_precision: Interval | None
    """Share of pictures whose own caption is nearest among it and `num_candidates` - 1 others; None where the
    benchmark has fewer captions."""
    num_candidates: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Likeness:
    """How near a set of pictures is to the reference set, in the features of one net."""

    net: str
    hash: str
    width: int
    diversity: Interval | None
    """Mean distance between pictures of one prompt; None with one picture of each."""
    fd: float | None = None
    """FD-local. This and what follows is None without a reference."""
    kd: float | None = None
    kd_std: float | None = None
    precision: float | None = None
    recall: float | None = None
    density: float | None = None
    coverage: float | None = None
    memorisation: Mapping[str, float] | None = None
    """share of pictures as near to the reference as `expected` of the real ones, copies, median distances."""
    nearest: tuple[tuple[int, float], ...] = ()
    """The pictures nearest to the reference: number and distance."""
    caution: str | None = None
    """What to keep in mind reading `fd`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of every table: a set of pictures and all that was found about it."""

    name: str
    kind: Kind
    about: str
    """What the pictures are, in one sentence."""
    hash: str
    """Over the contents of the pictures."""
    num_pictures: int
    size: tuple[int, int]
    """(width, height) of the files."""
    judges: tuple[Verdicts, ...] = ()
    agreement: Agreement | None = None
    clip: Closeness | None = None
    likeness: tuple[Likeness, ...] = ()
    standard: Mapping[str, tuple[float, float]] | None = None
    """FID and the like by a public library, where they were asked for: mean and deviation."""
    model_hash: str | None = None
    painting: Mapping[str, Any] | None = None
    """device, processes, num_painted, seconds, pictures_per_s, settings."""
    scoring: Mapping[str, float] | None = None
    """seconds and pictures_per_s of what was not kept from an earlier time, reading files and computing
    metrics included; judges_pictures_per_s of the verdicts alone."""

    @property
    def headline(self) -> Interval | None:
        """The number that stands for the row: overall by the last judge, else LocalCLIPScore."""
        if self.judges:
            return self.judges[-1].overall
        return self.clip.score if self.clip else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """The order of the compared sets by FD-local in each net, and whether the nets agree on it."""

    orders: Mapping[str, tuple[str, ...]]
    """Net to row names, best first."""
    tau: Mapping[str, float]
    """"NET and NET" to Kendall's tau of their orders: 1 the same, -1 reversed."""
    agree: bool
    of: str
    """Which rows were put in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Everything that one evaluation found."""

    benchmark: Mapping[str, Any]
    """name, hash, num_prompts, total, tasks."""
    images: int
    seeds: int
    rows: tuple[Row, ...]
    rankings: tuple[Ranking, ...] = ()
    reference: Mapping[str, Any] | None = None
    left_out: tuple[str, ...] = ()
    """What was not measured and why, one sentence each."""
    date: str = ""
    version: str = ""
    commit: str | None = None
    """Of the repository in which this ran, with "+" where it was changed."""
    machine: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    schema: int = SCHEMA

    @property
    def compared(self) -> tuple[Row, ...]:
        """The rows that are no floors or ceilings."""
        return tuple(row for row in self.rows if row.kind in ("model", "folder"))

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it; what is not a number is null."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        for row, found in zip(self.rows, plain["rows"], strict=True):
            if row.agreement:
                found["agreement"] |= {"share": row.agreement.share, "kappa": _plain(row.agreement.kappa)}
        return plain

    def save(self, folder: Path) -> Path:
        """Write `results.json` into `folder`.

        Raises:
            StorageError: it cannot be written.
        """
        path = folder / RESULTS
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")
        return path


def words(interval: Interval, digits: int = 3) -> str:
    """An interval as people read it."""
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
