"""Two heads from one set of choices: one to learn from, and one that never meets it and judges.

The prompts are parted by their hash. All choices about a prompt are on one side, so neither head saw a
picture, nor a prompt, of the other's.

Letters N pairs, R raw features.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from pictura.core.errors import DataError
from pictura.learn.taste.intervals import NOTHING, Interval, over_prompts
from pictura.learn.taste.pairs import Table
from pictura.reward.ratings import Learnt, Pair, taste_from

HELD_OUT = 0.4
"""Share of the prompts whose choices are not learnt from."""
MIN_PAIRS = 40
"""Choices, weak ones by their weight, below which nothing is learnt."""
_PER_DIRECTION, _LEAST, _MOST = 25, 4, 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Heads:
    """What people prefer, twice."""

    taste: Learnt
    """Fitted on one side: what is learnt from."""
    jury: Learnt
    """Fitted on the other side alone."""
    accuracy: Interval
    """Share of the other side's choices between two pictures that `taste` tells right, ties left out."""
    jury_accuracy: Interval
    """The same of `jury` on the first side."""
    num_learnt: int
    num_held_out: int


def fit_heads(table: Table) -> Heads:
    """Fit both.

    Raises:
        DataError: there are too few choices, or too few prompts on a side.
    """
    weight = float(table.weights.sum()) if len(table) else 0.0
    if weight < MIN_PAIRS:
        raise DataError(
            f"Learning from ratings needs at least {MIN_PAIRS} choices between two pictures (others count "
            f"by their weight); {weight:.0f} are left. Rate more, or ask users to let them be learnt from."
        )
    kept = [place_of(prompt) < HELD_OUT for prompt in table.prompts]
    sides = [table.take([i for i, held in enumerate(kept) if held is side]) for side in (False, True)]
    taste, jury = (_fitted(side) for side in sides)
    accuracy, jury_accuracy = told_right(taste, sides[1]), told_right(jury, sides[0])
    own = {"accuracy": accuracy.value, "accuracy_95": (accuracy.high - accuracy.low) / 2}
    return Heads(
        taste=replace(taste, metrics={**taste.metrics, **own}),
        jury=jury,
        accuracy=accuracy,
        jury_accuracy=jury_accuracy,
        num_learnt=len(sides[0]),
        num_held_out=len(sides[1]),
    )


def told_right(head: Learnt, table: Table) -> Interval:
    """How many choices of others a head tells right; weak ones only where there are no others."""
    decided = [i for i, row in enumerate(table.rows) if not row.tie]
    chosen = [i for i in decided if table.rows[i].explicit] or decided
    if not chosen:
        return NOTHING
    some = table.take(chosen)
    return over_prompts(prefers(head, some.better, some.worse), some.prompts)


def prefers(head: Learnt, first: Tensor, second: Tensor) -> Tensor:
    """(N,) 1 where the head's mean score of the first raw features is higher, 0.5 where they are equal."""
    gain = head.taste.score(first)[0] - head.taste.score(second)[0]
    return (gain.sign() + 1) / 2


def place_of(prompt: str) -> float:
    """Where a prompt falls between 0 and 1, whatever its spaces and capitals."""
    words = " ".join(prompt.lower().split())
    digest = hashlib.sha256(f"taste {words}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def num_directions(num_pairs: int) -> int:
    """Directions of CLIP's vectors that a head looks at: one for each 25 choices, from 4 to 32."""
    return min(max(num_pairs // _PER_DIRECTION, _LEAST), _MOST)


def _fitted(side: Table) -> Learnt:
    return taste_from(
        side.better,
        side.worse,
        _pairs(side),
        dims=num_directions(len(side)),
        weights=side.weights if bool((side.weights != 1).any()) else None,
    )


def _pairs(side: Table) -> Sequence[Pair]:
    return [Pair(row.prompt, Path(row.better), Path(row.worse), tie=row.tie) for row in side.rows]
