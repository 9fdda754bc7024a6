"""Means over prompts and where they probably lie: the percentile bootstrap that draws whole prompts.

Source  Efron & Tibshirani 1993, chapter 13, as `evaluate.metrics.bootstrap`, which nothing that learns may
        import. Differs: one stratum.
Letters N values, P prompts, B draws.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

DRAWS = 2000
SEED = 1986


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A mean and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """As people read it."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


NOTHING = Interval(value=0.5, low=0.0, high=1.0)
"""Of a share that nothing is known of."""


def over_prompts(values: ArrayLike, prompts: Sequence[Hashable]) -> Interval:
    """The mean of N values and its interval; prompts are drawn, each with all its values.

    Args:
        values: (N,) numbers.
        prompts: N labels.

    Returns:
        The interval; of fewer than two prompts that of a share that nothing is known of.
    """
    rows = np.asarray(values, dtype=np.float64)
    places = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
    if len(places) < 2:
        return NOTHING
    where = np.array([places[prompt] for prompt in prompts])
    sums_P = np.bincount(where, weights=rows)
    counts_P = np.bincount(where).astype(np.float64)
    rng = np.random.default_rng(SEED)
    drawn_BP = rng.multinomial(len(places), np.full(len(places), 1 / len(places)), size=DRAWS)
    means_B = (drawn_BP @ sums_P) / (drawn_BP @ counts_P)
    low, high = np.quantile(means_B, [0.025, 0.975])
    return Interval(value=float(rows.mean()), low=float(low), high=float(high))
