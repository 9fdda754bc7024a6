"""How people rate: how many pairs, how often they agree with themselves, which model wins."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from pictura.store.database import Database
from pictura.store.tables import Image, Pair

_DECIDED = ("left", "right")
_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelStats:
    """How a model's pictures fared."""

    pairs: int
    """That it had a picture in, against itself and others."""
    against: int = 0
    """Those against another model."""
    wins: int = 0
    """Of those against another model."""
    ties: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class RaterStats:
    """How somebody rates."""

    pairs: int
    """Answered with a side or a tie, repeats counted in."""
    ties: int
    skips: int
    repeats: int
    """Pairs that were answered twice, with sides changed."""
    consistency: float | None
    """Share of repeats with the same answer; a tie against a side is half. None without repeats."""
    left_share: float | None
    """How often the left one, of answers with a side; far from a half is a sign of clicking blindly."""
    median_ms: float | None
    by_model: dict[str, ModelStats] = field(default_factory=dict)


def stats_of(database: Database, user_id: str) -> RaterStats:
    """How a user rates."""
    with database.read() as session:
        pairs = session.scalars(select(Pair).where(Pair.user_id == user_id, Pair.choice.is_not(None))).all()
        models = dict[str, str]()
        ids = sorted({one for pair in pairs for one in (pair.left_id, pair.right_id)})
        for start in range(0, len(ids), _AT_ONCE):
            query = select(Image.id, Image.model).where(Image.id.in_(ids[start : start + _AT_ONCE]))
            models |= dict(session.execute(query).all())
    return _stats(pairs, models)


def raters(database: Database) -> Iterator[tuple[str, RaterStats]]:
    """Everybody who answered a pair: id and numbers."""
    with database.read() as session:
        users = session.scalars(select(Pair.user_id).where(Pair.choice.is_not(None)).distinct()).all()
    for user_id in users:
        yield user_id, stats_of(database, user_id)


def _stats(pairs: Sequence[Pair], models: dict[str, str]) -> RaterStats:
    counts = Counter(pair.choice for pair in pairs)
    sided = counts["left"] + counts["right"]
    same = list(_agreements(pairs))
    times = [pair.ms for pair in pairs if pair.ms is not None]
    return RaterStats(
        pairs=sided + counts["tie"],
        ties=counts["tie"],
        skips=counts["skip"],
        repeats=len(same),
        consistency=sum(same) / len(same) if same else None,
        left_share=counts["left"] / sided if sided else None,
        median_ms=statistics.median(times) if times else None,
        by_model=_by_model(pairs, models),
    )


def _agreements(pairs: Sequence[Pair]) -> Iterator[float]:
    first = {pair.id: pair for pair in pairs}
    for pair in pairs:
        before = first.get(pair.repeat_of or "")
        if before is None or "skip" in (pair.choice, before.choice):
            continue
        chosen = [_chosen(one) for one in (pair, before)]
        yield 1.0 if chosen[0] == chosen[1] else 0.5 if None in chosen else 0.0


def _chosen(pair: Pair) -> str | None:
    return {"left": pair.left_id, "right": pair.right_id}.get(pair.choice or "")


def _by_model(pairs: Sequence[Pair], models: dict[str, str]) -> dict[str, ModelStats]:
    counts = defaultdict[str, Counter[str]](Counter)
    for pair in pairs:
        left, right = models.get(pair.left_id), models.get(pair.right_id)
        if pair.choice == "skip" or left is None or right is None:
            continue
        for model in {left, right}:
            counts[model]["pairs"] += 1
            counts[model]["ties"] += pair.choice == "tie"
            counts[model]["against"] += left != right
        if left != right and pair.choice in _DECIDED:
            counts[left if pair.choice == "left" else right]["wins"] += 1
    return {model: ModelStats(**{"pairs": 0, **counts[model]}) for model in sorted(counts)}
