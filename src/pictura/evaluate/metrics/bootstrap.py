"""How sure is a mean? Values and what they hang on in, an interval out.

Pictures of one prompt are alike: four of them are not four independent facts. So prompts are drawn with
repetition, each with all its pictures, and the mean is taken again; the middle 95 % of such means is the
interval. With fewer than about 20 prompts it is too narrow, and where all values are equal its width is 0:
say the number of prompts beside it.

Source  Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile interval); Field &
        Welsh 2007, Bootstrapping clustered data, for drawing whole clusters.
Letters N values, G clusters of a stratum, B draws.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pictura.core.errors import ConfigError, DataError
from pictura.evaluate.metrics.inputs import Floats, at_least_one

Labels = Sequence[Hashable]
_COUNTS_HELD = 4_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A mean, or a difference of means, and where it probably lies."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stratum:
    """Values of one stratum by cluster, clusters in a fixed order."""

    clusters: tuple[Hashable, ...]
    sums: Floats
    """(G,)"""
    counts: Floats
    """(G,)"""


def mean_interval(
    values: ArrayLike,
    clusters: Labels,
    rng: np.random.Generator,
    *,
    strata: Labels | None = None,
    level: float = 0.95,
    num_draws: int = 2000,
) -> Interval:
    """Bootstrap interval of a mean.

    Args:
        values: (N,) numbers, one per picture.
        clusters: N labels; values of one label are drawn together (the prompt).
        rng: draws the clusters.
        strata: N labels; the result is then the mean of the strata's means, and clusters are drawn within
            each (the six tasks of GlyphBench). None is one stratum.
        level: share of the draws inside.
        num_draws: B.

    Raises:
        DataError: numbers do not fit, a value is not finite, or a stratum has fewer than 2 clusters.
        ConfigError: the level or the number of draws is out of range.
    """
    _check(level, num_draws)
    groups = _strata(values, clusters, strata)
    value = np.mean([s.sums.sum() / s.counts.sum() for s in groups.values()])
    draws_B = np.zeros(num_draws)
    for stratum in groups.values():
        for here, drawn_BG in _draw(len(stratum.clusters), num_draws, rng):
            draws_B[here] += (drawn_BG @ stratum.sums) / (drawn_BG @ stratum.counts)
    return _interval(float(value), draws_B / len(groups), level)


def difference_interval(
    a: ArrayLike,
    b: ArrayLike,
    clusters_a: Labels,
    clusters_b: Labels,
    rng: np.random.Generator,
    *,
    strata_a: Labels | None = None,
    strata_b: Labels | None = None,
    level: float = 0.95,
    num_draws: int = 2000,
) -> Interval:
    """Bootstrap interval of mean(a) - mean(b), two models on the same prompts.

    The same prompts are drawn for both, so that what is hard about a prompt cancels. If 0 lies outside, the
    difference is more than chance.

    Args:
        a: values of one model.
        b: values of the other.
        clusters_a: the prompt of each value of `a`.
        clusters_b: the prompt of each value of `b`; the same prompts, though not the same numbers of each.
        rng: draws the prompts.
        strata_a: as `strata` of `mean_interval`.
        strata_b: likewise, for `b`.
        level: share of the draws inside.
        num_draws: B.

    Raises:
        DataError: as `mean_interval`, or the two do not have the same prompts in the same strata.
        ConfigError: the level or the number of draws is out of range.
    """
    _check(level, num_draws)
    groups_a, groups_b = _strata(a, clusters_a, strata_a), _strata(b, clusters_b, strata_b)
    if {k: set(s.clusters) for k, s in groups_a.items()} != {k: set(s.clusters) for k, s in groups_b.items()}:
        raise DataError(
            "Two models can be paired only on the same prompts. Leave out what one of them lacks."
        )
    value, draws_B = 0.0, np.zeros(num_draws)
    for name, stratum in groups_a.items():
        other = groups_b[name]
        row_of = {label: row for row, label in enumerate(other.clusters)}
        order = [row_of[label] for label in stratum.clusters]
        sums_b, counts_b = other.sums[order], other.counts[order]
        value += stratum.sums.sum() / stratum.counts.sum() - sums_b.sum() / counts_b.sum()
        for here, drawn_BG in _draw(len(order), num_draws, rng):
            draws_B[here] += (drawn_BG @ stratum.sums) / (drawn_BG @ stratum.counts)
            draws_B[here] -= (drawn_BG @ sums_b) / (drawn_BG @ counts_b)
    return _interval(value / len(groups_a), draws_B / len(groups_a), level)


def _check(level: float, num_draws: int) -> None:
    at_least_one(num_draws=num_draws)
    if not 0 < level < 1:
        raise ConfigError(f"level must lie between 0 and 1; got {level}.")


def _strata(values: ArrayLike, clusters: Labels, strata: Labels | None) -> dict[Hashable, _Stratum]:
    values_N = np.asarray(values, dtype=np.float64)
    strata = ["all"] * len(clusters) if strata is None else strata
    if values_N.ndim != 1 or not len(values_N) == len(clusters) == len(strata) > 0:
        raise DataError(
            f"An interval needs one cluster and one stratum per value, and at least one value; "
            f"got values of shape {values_N.shape}, {len(clusters)} clusters, {len(strata)} strata."
        )
    if not np.isfinite(values_N).all():
        raise DataError(f"Value {int(np.argmin(np.isfinite(values_N)))} is NaN or infinite and has no mean.")
    found: dict[Hashable, dict[Hashable, list[float]]] = {}
    for value, cluster, stratum in zip(values_N.tolist(), clusters, strata, strict=True):
        found.setdefault(stratum, {}).setdefault(cluster, []).append(value)
    for name, by_cluster in found.items():
        if len(by_cluster) < 2:
            raise DataError(f"An interval needs at least 2 prompts; {name!r} has {len(by_cluster)}.")
    return {
        name: _Stratum(
            clusters=tuple(by_cluster),
            sums=np.array([sum(row) for row in by_cluster.values()]),
            counts=np.array([float(len(row)) for row in by_cluster.values()]),
        )
        for name, by_cluster in found.items()
    }


def _draw(
    num_clusters: int, num_draws: int, rng: np.random.Generator
) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """How often each cluster is drawn, (B, G) in blocks of draws."""
    rows = max(1, _COUNTS_HELD // num_clusters)
    chance_G = np.full(num_clusters, 1 / num_clusters)
    for start in range(0, num_draws, rows):
        stop = min(start + rows, num_draws)
        yield slice(start, stop), rng.multinomial(num_clusters, chance_G, size=stop - start)


def _interval(value: float, draws_B: Floats, level: float) -> Interval:
    low, high = np.quantile(draws_B, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value=value, low=float(low), high=float(high))
