"""Are painted pictures copies of training pictures? Distances to the nearest, against those of test pictures.

If a model paints new pictures of the same world, its distances to the training set are those of the test set:
`percentile` % of them lie below that percentile of the test set's, no more. A share far above says memorised;
a share of 0 may also mean that the pictures are like nothing (fog is far from everything).

Source  Meehan et al. 2020, A Non-Parametric Test to Detect Data-Copying (arXiv:2004.05675), for the test set
        as a yardstick. Differs: a share below a percentile instead of a rank statistic, and the very pairs.
Letters N generated, M test pictures, D width of the features.
Units   distances in units of the features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pictura.core.errors import ConfigError
from pictura.evaluate.metrics.distances import nearest
from pictura.evaluate.metrics.inputs import Floats, at_least_one, features_in, same_width

COPY = 1e-3
"""A distance below this share of the test set's median is a copy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A generated picture and the training picture nearest to it."""

    generated: int
    train: int
    distance: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Memorisation:
    """How near generated pictures are to training pictures."""

    share: float
    """Of generated pictures at least as near to training as `threshold`, in [0, 1]."""
    expected: float
    """What `share` is for pictures as new as the test set."""
    threshold: float
    """The percentile of the test set's distances."""
    copies: int
    """Generated pictures that are a training picture, but for rounding."""
    generated_distances: Floats
    """(N,)"""
    test_distances: Floats
    """(M,)"""
    pairs: tuple[Pair, ...]
    """The closest, nearest first: show them to people."""


def memorisation(
    generated: ArrayLike,
    train: ArrayLike,
    test: ArrayLike,
    *,
    percentile: float = 5.0,
    num_pairs: int = 10,
) -> Memorisation:
    """Compare distances generated-to-train with test-to-train in one feature space.

    Args:
        generated: (N, D) features of painted pictures.
        train: features of the training pictures, all of them or a random part.
        test: (M, D) features of pictures of the same kind that were never trained on, M >= 20.
        percentile: of the test set's distances, above 0 and below 100.
        num_pairs: how many closest pairs to return.

    Raises:
        DataError: too few rows, other shapes, different D, NaN or infinity.
        ConfigError: the percentile or the number of pairs is out of range.
    """
    at_least_one(num_pairs=num_pairs)
    if not 0 < percentile < 100:
        raise ConfigError(f"percentile must lie between 0 and 100; got {percentile}.")
    new_ND = features_in(generated, "generated", least=1)
    train_KD = features_in(train, "train", least=1)
    test_MD = features_in(test, "test", least=20)
    same_width(new_ND, train_KD, "generated", "train")
    same_width(test_MD, train_KD, "test", "train")
    distance_N, row_N = nearest(new_ND, train_KD)
    test_M, _ = nearest(test_MD, train_KD)
    threshold = float(np.percentile(test_M, percentile))
    closest = np.argsort(distance_N, kind="stable")[:num_pairs]
    return Memorisation(
        share=float((distance_N <= threshold).mean()),
        expected=percentile / 100,
        threshold=threshold,
        copies=int((distance_N <= COPY * np.median(test_M)).sum()),
        generated_distances=distance_N,
        test_distances=test_M,
        pairs=tuple(
            Pair(generated=int(i), train=int(row_N[i]), distance=float(distance_N[i])) for i in closest
        ),
    )
