"""What comes into a metric: refused with the place and the reason, or passed on as float64.

Letters N pictures, D width of the features.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pictura.core.errors import ConfigError, DataError

Floats = NDArray[np.float64]
"""A float64 array; its shape is in the docstring."""


def features_in(values: ArrayLike, name: str, *, least: int = 2) -> Floats:
    """Take one set of features.

    Args:
        values: (N, D) numbers.
        name: what the set is called in messages ("generated").
        least: how many rows the caller needs.

    Returns:
        (N, D) float64.

    Raises:
        DataError: the shape is another, rows are too few, or a value is NaN or infinite.
    """
    array = np.asarray(values)
    if array.ndim != 2 or array.shape[1] == 0:
        raise DataError(f"The {name} features must have shape (N, D) with D > 0; got {array.shape}.")
    if len(array) < least:
        raise DataError(f"This needs at least {least} {name} pictures; got {len(array)}. Paint more of them.")
    array = array.astype(np.float64)
    finite_N = np.isfinite(array).all(axis=1)
    if not finite_N.all():
        raise DataError(
            f"The {name} features hold NaN or infinity, first in row {int(np.argmin(finite_N))} "
            f"of {len(array)}. Leave that picture out, or repair the network that made them."
        )
    return array


def same_width(a: Floats, b: Floats, name_a: str, name_b: str) -> None:
    """Refuse two sets whose features have different widths.

    Raises:
        DataError: they differ.
    """
    if a.shape[1] != b.shape[1]:
        raise DataError(
            f"The {name_a} features have width {a.shape[1]}, the {name_b} ones {b.shape[1]}. "
            "Compare features of one network only."
        )


def pair_in(reference: ArrayLike, generated: ArrayLike, *, least: int = 2) -> tuple[Floats, Floats]:
    """Take two sets of features of one network, each with at least `least` rows.

    Raises:
        DataError: as `features_in` and `same_width`.
    """
    a = features_in(reference, "reference", least=least)
    b = features_in(generated, "generated", least=least)
    same_width(a, b, "reference", "generated")
    return a, b


def at_least_one(**counts: int) -> None:
    """Refuse a count below 1, by its parameter's name.

    Raises:
        ConfigError: one is.
    """
    for name, count in counts.items():
        if count < 1:
            raise ConfigError(f"{name} must be at least 1; got {count}.")
