"""Fréchet distance (FD) of two sets of features, each taken as a Gaussian; lower is better.

    FD = |m_a - m_b|^2 + Tr(S_a + S_b - 2 (S_a S_b)^(1/2))

Shown to people as ``FD-local[hash of the feature net]``; the name FID belongs to Inception features alone.

Source  Heusel et al. 2017 (arXiv:1706.08500), eq. 6; Chong & Forsyth 2020 (arXiv:1911.07023) for the value at
        infinitely many pictures. Differs: no square root of a matrix product is taken (it is not symmetric,
        and fails where there are fewer pictures than features). With S = R^T R, the eigenvalues of S_a S_b
        are the squared singular values of R_a R_b^T, so the last trace is their sum. And for infinity both
        sets are shrunk together, so that the bias of the reference goes too.
Letters N pictures, D width of the features, K = min(N, D).
Units   squared units of the features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pictura.core.errors import DataError
from pictura.evaluate.metrics.inputs import Floats, at_least_one, features_in, pair_in, same_width


@dataclass(frozen=True, kw_only=True, slots=True)
class Gaussian:
    """Mean and covariance of one set of features."""

    mean: Floats
    """(D,)"""
    root: Floats
    """R (K, D): R^T R is the covariance, with N - 1 in the denominator."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extrapolation:
    """A value read off a fitted line where no picture is missing."""

    value: float
    """May be a little below 0 where the true distance is near 0."""
    error: float
    """Standard error of the fit alone: subsets overlap, so the true one is larger."""


def gaussian(features: ArrayLike, name: str = "given") -> Gaussian:
    """Fit a Gaussian; of a reference, do it once and keep it.

    Args:
        features: (N, D), N >= 2.
        name: what the set is called in messages.

    Raises:
        DataError: fewer than 2 rows, another shape, NaN or infinity.
    """
    return _fit(features_in(features, name))


def distance_of_gaussians(a: Gaussian, b: Gaussian) -> float:
    """Fréchet distance of two Gaussians of one width D.

    Raises:
        DataError: the widths differ.
    """
    same_width(a.root, b.root, "first", "second")
    shift = a.mean - b.mean
    shared = np.linalg.svd(a.root @ b.root.T, compute_uv=False).sum()
    distance = shift @ shift + (a.root**2).sum() + (b.root**2).sum() - 2 * shared
    return max(float(distance), 0.0)


def frechet_distance(reference: ArrayLike, generated: ArrayLike) -> float:
    """FD of two sets of features.

    It is biased upwards by about 1/N: compare only values of equal N, or use `frechet_infinity`. With N below
    about 10 D the bias is as large as what one measures; `advice` says so in words.

    Args:
        reference: (N, D) features of real pictures.
        generated: (M, D) features of the others.

    Returns:
        At least 0; 0 for equal means and covariances.

    Raises:
        DataError: fewer than 2 rows, other shapes, different D, NaN or infinity.
    """
    a, b = pair_in(reference, generated)
    return distance_of_gaussians(_fit(a), _fit(b))


def frechet_infinity(
    reference: ArrayLike,
    generated: ArrayLike,
    rng: np.random.Generator,
    *,
    num_points: int = 10,
    num_repeats: int = 2,
) -> Extrapolation:
    """FD extrapolated to infinitely many pictures, by a line over 1/N.

    FD is computed on random shares from 1/2 to all of both sets; the line through FD over 1/share, read off
    at 0, is the answer.

    Args:
        reference: (N, D), N > 4 D.
        generated: (M, D), M > 4 D.
        rng: draws the subsets.
        num_points: how many shares, at least 3.
        num_repeats: subsets of each share.

    Raises:
        DataError: too few rows (below 4 D the bias is no line over 1/N), or as `frechet_distance`.
    """
    at_least_one(num_points=num_points - 2, num_repeats=num_repeats)
    a, b = pair_in(reference, generated)
    least = 4 * a.shape[1] + 1
    for rows, name in ((a, "reference"), (b, "generated")):
        if len(rows) < least:
            raise DataError(
                f"FD at infinity needs more than 4 pictures per feature, here {least}; "
                f"got {len(rows)} {name} ones. Give more, or use KD, which has no bias."
            )
    over_share = np.repeat(np.linspace(1, 2, num_points), num_repeats)
    distance = np.array([_distance_of_share(a, b, 1 / x, rng) for x in over_share])
    design = np.stack([np.ones_like(over_share), over_share], axis=1)
    line, *_ = np.linalg.lstsq(design, distance)
    residual = distance - design @ line
    variance = residual @ residual / (len(distance) - 2) * np.linalg.inv(design.T @ design)[0, 0]
    return Extrapolation(value=float(line[0]), error=float(np.sqrt(variance)))


def advice(num_pictures: int, width: int) -> str | None:
    """A caution to print beside an FD of so few pictures, or None if there are enough.

    Args:
        num_pictures: N, of the smaller set.
        width: D.
    """
    if num_pictures >= 10 * width:
        return None
    return (
        f"{num_pictures} pictures for {width} features: FD is mostly bias below {10 * width}. "
        "Read it against the floor of the same number of real pictures, or read KD."
    )


def _fit(features: Floats) -> Gaussian:
    mean_D = features.mean(axis=0)
    root_KD = np.linalg.qr(features - mean_D, mode="r") / np.sqrt(len(features) - 1)
    return Gaussian(mean=mean_D, root=root_KD)


def _distance_of_share(a: Floats, b: Floats, share: float, rng: np.random.Generator) -> float:
    some = [x[rng.permutation(len(x))[: round(share * len(x))]] for x in (a, b)]
    return distance_of_gaussians(_fit(some[0]), _fit(some[1]))
