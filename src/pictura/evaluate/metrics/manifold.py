"""Precision, recall, density, coverage: is what was painted like the real, and is all of the real painted?

A ball lies around each picture, out to its k-th nearest of the same set. Higher is better throughout.

    precision  share of generated pictures within a ball of any real one (k = 3)
    recall     share of real pictures within a ball of any generated one (k = 3)
    density    how many balls of real pictures hold a generated one, on average, over k (k = 5); may pass 1
    coverage   share of real pictures whose ball holds any generated one (k = 5)

Shown as ``precision-local[hash]`` and so on.

Source  Kynkäänniemi et al. 2019 (arXiv:1904.06991) for precision and recall; Naeem et al. 2020
        (arXiv:2002.09797) for density and coverage. Differs: balls are open in all four, as in the latter's
        code (the k-th neighbour itself lies outside), so that a set compared with itself has density 1.
Letters N real, M generated pictures, D width of the features, R rows of a block.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pictura.evaluate.metrics.distances import blocks, radii
from pictura.evaluate.metrics.inputs import at_least_one, pair_in

_OPEN = 1 - 1e-9
"""Squared radii are shrunk by this, so that rounding does not decide what lies exactly on the rim."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifold:
    """The four numbers."""

    precision: float
    recall: float
    density: float
    coverage: float


def manifold(
    reference: ArrayLike, generated: ArrayLike, *, k_precision: int = 3, k_density: int = 5
) -> Manifold:
    """Compute all four; distances across the sets are computed once, in blocks.

    They depend on N and M (balls shrink as N grows): compare only values of equal numbers.

    Args:
        reference: (N, D) features of real pictures, N > both k.
        generated: (M, D) features of the others, M > both k.
        k_precision: neighbour that sets the balls of precision and recall.
        k_density: neighbour that sets the balls of density and coverage.

    Raises:
        DataError: too few rows, other shapes, different D, NaN or infinity.
        ConfigError: a k is below 1.
    """
    at_least_one(k_precision=k_precision, k_density=k_density)
    real, fake = pair_in(reference, generated, least=max(k_precision, k_density) + 1)
    real_p, fake_p = radii(real, k_precision) * _OPEN, radii(fake, k_precision) * _OPEN
    real_d = radii(real, k_density) * _OPEN
    in_a_real_ball_M = np.zeros(len(fake), dtype=bool)
    num_recalled = num_covered = num_held = 0
    for here, squared_RM in blocks(real, fake):
        in_a_real_ball_M |= (squared_RM < real_p[here, None]).any(axis=0)
        num_recalled += int((squared_RM < fake_p[None, :]).any(axis=1).sum())
        held_RM = squared_RM < real_d[here, None]
        num_held += int(held_RM.sum())
        num_covered += int(held_RM.any(axis=1).sum())
    return Manifold(
        precision=float(in_a_real_ball_M.mean()),
        recall=num_recalled / len(real),
        density=num_held / (k_density * len(fake)),
        coverage=num_covered / len(real),
    )
