"""Kernel distance (KD): squared maximum mean discrepancy of two sets of features; lower is better.

    k(x, y) = (x.y / D + 1)^3
    KD = mean of k over pairs within a + mean over pairs within b - 2 * mean over pairs across

No picture is paired with itself, so KD has no bias: its mean over draws from one distribution is 0, and a
single value may lie below 0. Shown as ``KD-local[hash]``; the name KID belongs to Inception features alone.

The kernel expects values of the order of 1: of far smaller ones it is a line, and KD sees means alone.
Embeddings of unit length are to be multiplied by sqrt(D) first.

Source  Bińkowski et al. 2018, Demystifying MMD GANs (arXiv:1801.01401), section 4 for the kernel; Gretton et
        al. 2012, A Kernel Two-Sample Test, eq. 3 for the estimate.
Letters N, M pictures of the two sets, D width of the features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pictura.core.errors import DataError
from pictura.evaluate.metrics.inputs import Floats, at_least_one, pair_in

_BLOCK_ROWS = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Mean and standard deviation of a value over subsets or splits."""

    mean: float
    std: float
    """Population standard deviation: of the subsets, not of the mean."""


def kernel_distance(reference: ArrayLike, generated: ArrayLike) -> float:
    """Unbiased KD over all pairs.

    Args:
        reference: (N, D), N >= 2.
        generated: (M, D), M >= 2.

    Raises:
        DataError: fewer than 2 rows, other shapes, different D, NaN or infinity.
    """
    return _unbiased(*pair_in(reference, generated))


def kernel_distance_subsets(
    reference: ArrayLike,
    generated: ArrayLike,
    rng: np.random.Generator,
    *,
    num_subsets: int = 100,
    subset_size: int = 1000,
) -> Spread:
    """Unbiased KD on random subsets of both sets: what most papers print as mean and deviation.

    Args:
        reference: (N, D), N >= `subset_size`.
        generated: (M, D), M >= `subset_size`.
        rng: draws the subsets, without repetition within one.
        num_subsets: how many.
        subset_size: rows of each set in a subset, at least 2.

    Raises:
        DataError: as `kernel_distance`, or a set is smaller than a subset.
    """
    at_least_one(num_subsets=num_subsets, subset_size=subset_size - 1)
    a, b = pair_in(reference, generated)
    if min(len(a), len(b)) < subset_size:
        raise DataError(
            f"Subsets of {subset_size} were asked for, but there are {len(a)} reference and {len(b)} "
            "generated pictures. Make subset_size at most the smaller number."
        )
    values = [
        _unbiased(a[rng.permutation(len(a))[:subset_size]], b[rng.permutation(len(b))[:subset_size]])
        for _ in range(num_subsets)
    ]
    return Spread(mean=float(np.mean(values)), std=float(np.std(values)))


def _unbiased(a: Floats, b: Floats) -> float:
    n, m = len(a), len(b)
    within_a = (_kernel_sum(a, a) - _self_sum(a)) / (n * (n - 1))
    within_b = (_kernel_sum(b, b) - _self_sum(b)) / (m * (m - 1))
    return within_a + within_b - 2 * _kernel_sum(a, b) / (n * m)


def _kernel_sum(a: Floats, b: Floats) -> float:
    """Sum of k over all pairs of rows."""
    width = a.shape[1]
    starts = range(0, len(a), _BLOCK_ROWS)
    return float(sum(((a[i : i + _BLOCK_ROWS] @ b.T / width + 1) ** 3).sum() for i in starts))


def _self_sum(a: Floats) -> float:
    """Sum of k over pairs of a row with itself."""
    return float((((a * a).sum(axis=1) / a.shape[1] + 1) ** 3).sum())
