"""Euclidean distances between two sets of features, a block of rows at a time: memory stays bounded.

Letters N, M rows of the two sets, D width, R rows of a block.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pictura.evaluate.metrics.inputs import Floats

BLOCK_NUMBERS = 4_000_000
"""Distances that are held at once (32 MB)."""
ROUNDING = 1e-12
"""Squared distances below this share of the squared lengths are rounding: the rows are the same."""


def blocks(a: Floats, b: Floats) -> Iterator[tuple[slice, Floats]]:
    """Squared distances of rows of `a` (N, D) to all of `b` (M, D).

    |x - y|^2 is taken as |x|^2 + |y|^2 - 2 x.y; what that leaves of equal rows by rounding is set to 0.

    Yields:
        (which rows of `a`, their squared distances (R, M)).
    """
    square_N, square_M = (a * a).sum(axis=1), (b * b).sum(axis=1)
    rows = max(1, BLOCK_NUMBERS // len(b))
    for start in range(0, len(a), rows):
        here = slice(start, min(start + rows, len(a)))
        lengths_RM = square_N[here, None] + square_M[None, :]
        squared_RM = lengths_RM - 2 * (a[here] @ b.T)
        squared_RM[squared_RM <= ROUNDING * lengths_RM] = 0
        yield here, squared_RM


def radii(features: Floats, k: int) -> Floats:
    """Squared distance of each row to its k-th nearest other row.

    Args:
        features: (N, D), N > k.
        k: which neighbour, from 1; the row itself does not count.

    Returns:
        (N,) squared distances.
    """
    out_N = np.empty(len(features))
    for here, squared_RN in blocks(features, features):
        out_N[here] = np.partition(squared_RN, k, axis=1)[:, k]  # place 0 is the row itself
    return out_N


def nearest(a: Floats, b: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Distance of each row of `a` (N, D) to the nearest of `b` (M, D), and which one that is.

    Returns:
        (N,) distances, (N,) rows of `b`.
    """
    distance_N, row_N = np.empty(len(a)), np.empty(len(a), dtype=np.int64)
    for here, squared_RM in blocks(a, b):
        row_N[here] = squared_RM.argmin(axis=1)
        distance_N[here] = np.sqrt(squared_RM.min(axis=1))
    return distance_N, row_N
