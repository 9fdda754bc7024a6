"""Simulated choices as tables of features, for the tests of checks and heads."""

import random
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pictura.learn.taste.pairs import Rated, Table
from pictura.reward.features import NAMES

CLIP_WIDTH = 12
TASTE = -3
"""The feature that people go by, one of the plain ones."""
Chooses = Callable[[float, float, random.Random], str]


def by_taste(left: float, right: float, dice: random.Random) -> str:
    """The one with more of `TASTE`, rather surely."""
    return "left" if dice.random() < 1 / (1 + 2.718 ** (-2.5 * (left - right))) else "right"


def against_it(left: float, right: float, dice: random.Random) -> str:
    return by_taste(right, left, dice)


def by_chance(left: float, right: float, dice: random.Random) -> str:
    return dice.choice(("left", "right"))


def always_left(left: float, right: float, dice: random.Random) -> str:
    return "left"


def answers(
    name: str, chooses: Chooses, num: int, *, seed: int, repeats: int = 0, ms: int | None = 2000
) -> Table:
    """A rater's answers about 60 prompts; the last `repeats` ask again about the first pairs, turned."""
    dice = random.Random(seed)
    random_features = torch.Generator().manual_seed(seed)
    raw = torch.randn(num, 2, 2 * CLIP_WIDTH + len(NAMES), generator=random_features, dtype=torch.float64)
    rows, better, worse = list[Rated](), list[Tensor](), list[Tensor]()
    for number in range(num + repeats):
        pair, turned = number % num, number >= num
        first, second = (1, 0) if turned else (0, 1)
        side = chooses(float(raw[pair, first, TASTE]), float(raw[pair, second, TASTE]), dice)
        won = first if side == "left" else second
        better.append(raw[pair, won])
        worse.append(raw[pair, 1 - won])
        rows.append(
            Rated(
                prompt=f"prompt {pair % 60}",
                better=f"{name} {pair} {won}",
                worse=f"{name} {pair} {1 - won}",
                rater=name,
                side="left" if side == "left" else "right",
                ms=ms,
                repeat=turned,
            )
        )
    return Table(rows=tuple(rows), better=torch.stack(better), worse=torch.stack(worse))


def together(tables: Sequence[Table]) -> Table:
    """All of them as one."""
    return Table(
        rows=tuple(row for table in tables for row in table.rows),
        better=torch.cat([table.better for table in tables]),
        worse=torch.cat([table.worse for table in tables]),
    )
