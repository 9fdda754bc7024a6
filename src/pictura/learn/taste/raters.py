"""Whose ratings are learnt from: choices in, one verdict for each rater out, with its reason in words.

The rules are few, fixed and told in the report. Each leaves out all ratings of a rater, or none.

    too fast        of 20 timed answers or more, over half came within 400 ms
    one side        of 20 decided answers or more, three quarters or more for one side, by chance p < .001
    contradiction   turned repeats agree less often than somebody's who agrees with himself on 60 %, p < .05
    against all     three raters or more: a head fitted on the others, each counting the same, tells his
                    choices worse than chance (the whole 95 % interval below one half)
    no taste        of 100 decided answers or more, neither that head nor one fitted on his own other prompts
                    tells his choices better than chance (each interval reaches one half)

Letters N pairs, F features.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pictura.learn.taste.intervals import Interval, over_prompts
from pictura.learn.taste.pairs import Rated, Table
from pictura.reward.bradley_terry import FOLDS, best_precision, fit, held_out
from pictura.reward.ratings import projection

FAST_MS, MIN_TIMED = 400, 20
MIN_SIDED, ONE_SIDE, CHANCE = 20, 0.75, 0.001
AGREES, UNLIKELY = 0.6, 0.05
MIN_OTHERS, MIN_JUDGED = 2, 20
MIN_OWN = 100
DIMS = 8
_HALF = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Rater:
    """One who rated, and whether it counts."""

    name: str
    num: int
    """Choices, the weak ones too."""
    reasons: tuple[str, ...] = ()
    """Why all of them are left out; empty where they count."""
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether it counts."""
        return not self.reasons


def check_raters(table: Table) -> tuple[Rater, ...]:
    """Look at every rater."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(table.rows):
        rows_of[row.rater].append(number)
    found = [_by_manner(name, [table.rows[i] for i in rows]) for name, rows in rows_of.items()]
    good = [rater.name for rater in found if rater.kept]
    differences = _differences(table) if good else None
    for place, rater in enumerate(found):
        if rater.kept and differences is not None:
            others = {name: rows_of[name] for name in good if name != rater.name}
            found[place] = _by_taste(rater, table, differences, rows_of[rater.name], others)
    return tuple(found)


def _by_manner(name: str, rows: Sequence[Rated]) -> Rater:
    """What can be told without looking at any picture."""
    reasons, numbers = list[str](), dict[str, float]()
    timed = [row.ms for row in rows if row.ms is not None]
    if len(timed) >= MIN_TIMED:
        fast = sum(ms < FAST_MS for ms in timed) / len(timed)
        numbers["fast"] = fast
        if fast > _HALF:
            reasons.append(f"too fast: {fast:.0%} of {len(timed)} answers within {FAST_MS} ms")
    sides = [row.side for row in rows if row.side is not None and not row.tie]
    if len(sides) >= MIN_SIDED:
        left = sides.count("left")
        most = max(left, len(sides) - left)
        numbers["left"] = left / len(sides)
        if most / len(sides) >= ONE_SIDE and 2 * at_most(len(sides) - most, len(sides), _HALF) < CHANCE:
            side = "left" if left == most else "right"
            reasons.append(f"one side: {most} of {len(sides)} answers for the {side} one")
    agreed, repeated = _agreement(rows)
    if repeated:
        numbers["agrees"] = agreed / repeated
        if at_most(agreed, repeated, AGREES) < UNLIKELY:
            reasons.append(f"contradiction: {agreed} of {repeated} turned repeats answered the same")
    return Rater(name=name, num=len(rows), reasons=tuple(reasons), numbers=numbers)


def _agreement(rows: Sequence[Rated]) -> tuple[int, int]:
    """Of repeats, ties left out: how many were answered as before, and how many there are."""
    before = {_key(row): row.better for row in rows if row.explicit and not row.repeat and not row.tie}
    again = [row for row in rows if row.repeat and not row.tie and _key(row) in before]
    return sum(before[_key(row)] == row.better for row in again), len(again)


def _key(row: Rated) -> frozenset[str]:
    return frozenset((row.better, row.worse))


def _by_taste(
    rater: Rater, table: Table, differences: Tensor, own: Sequence[int], others: Mapping[str, Sequence[int]]
) -> Rater:
    """What heads say of the choices."""
    decided = [i for i in own if table.rows[i].explicit and not table.rows[i].tie]
    numbers, reasons, shares = dict(rater.numbers), list[str](), list[Interval]()
    if sum(map(len, others.values())) >= MIN_JUDGED and len(decided) >= MIN_JUDGED:
        theirs = _told_by_others(table, differences, decided, others)
        numbers["by_others"] = theirs.value
        shares.append(theirs)
        if len(others) >= MIN_OTHERS and theirs.high < _HALF:
            reasons.append(f"against all: a head of the others tells {theirs} of {len(decided)} right")
    if len(decided) >= MIN_OWN and (own_share := _told_by_own(table, differences, decided)) is not None:
        numbers["by_own"] = own_share.value
        shares.append(own_share)
        if all(share.low <= _HALF for share in shares):
            said = " and ".join(map(str, shares))
            reasons.append(f"no taste: heads tell {said} of {len(decided)} right, which is chance")
    return Rater(name=rater.name, num=rater.num, reasons=tuple(reasons), numbers=numbers)


def _told_by_others(
    table: Table, differences: Tensor, decided: Sequence[int], others: Mapping[str, Sequence[int]]
) -> Interval:
    rows = [i for theirs in others.values() for i in theirs]
    weights = torch.tensor(
        [table.rows[i].weight / len(theirs) for theirs in others.values() for i in theirs],
        dtype=torch.float64,
    )
    weights = weights * len(rows) / weights.sum()
    wins = torch.tensor([_HALF if table.rows[i].tie else 1.0 for i in rows], dtype=torch.float64)
    head = fit(differences[rows], wins, precision=_precision(table, differences, rows), weights=weights)
    right = (head.score(differences[list(decided)])[0] > 0).double()
    return over_prompts(right, [table.rows[i].prompt for i in decided])


def _told_by_own(table: Table, differences: Tensor, decided: Sequence[int]) -> Interval | None:
    rows = list(decided)
    groups = _groups(table, rows)
    if len({group % FOLDS for group in groups}) < FOLDS:
        return None
    wins = torch.ones(len(rows), dtype=torch.float64)
    said = held_out(differences[rows], wins, precision=_precision(table, differences, rows), groups=groups)
    return over_prompts((said > _HALF).double(), [table.rows[i].prompt for i in rows])


def _precision(table: Table, differences: Tensor, rows: Sequence[int]) -> float:
    groups = _groups(table, rows)
    if len({group % FOLDS for group in groups}) < FOLDS:
        return 1.0
    wins = torch.tensor([_HALF if table.rows[i].tie else 1.0 for i in rows], dtype=torch.float64)
    return best_precision(differences[list(rows)], wins, groups)


def _groups(table: Table, rows: Sequence[int]) -> list[int]:
    texts = {text: number for number, text in enumerate(dict.fromkeys(table.rows[i].prompt for i in rows))}
    return [texts[table.rows[i].prompt] for i in rows]


def _differences(table: Table) -> Tensor:
    """(N, F) of the better less the worse ones, in the directions in which all rated pictures differ most."""
    return (table.better - table.worse) @ projection(torch.cat([table.better, table.worse]), DIMS)


def at_most(x: int, n: int, p: float) -> float:
    """The probability of `x` or fewer successes in `n` tries with chance `p` each, 0 < p < 1."""
    log_p, log_q = math.log(p), math.log1p(-p)
    ways = math.lgamma(n + 1)
    terms = (
        ways - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * log_p + (n - k) * log_q for k in range(x + 1)
    )
    return min(1.0, math.fsum(map(math.exp, terms)))
