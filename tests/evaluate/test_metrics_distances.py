"""FD, KD and the four manifold numbers, against closed forms, hand-made points and brute force."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pictura.core.errors import ConfigError, DataError
from pictura.evaluate.metrics import distances
from pictura.evaluate.metrics.frechet import (
    advice,
    distance_of_gaussians,
    frechet_distance,
    frechet_infinity,
    gaussian,
)
from pictura.evaluate.metrics.kernel import kernel_distance, kernel_distance_subsets
from pictura.evaluate.metrics.manifold import Manifold, manifold

Floats = NDArray[np.float64]


def with_moments(mean: Floats, covariance: Floats, n: int, seed: int) -> Floats:
    """Features whose sample mean and covariance are exactly these."""
    rows = np.random.default_rng(seed).normal(size=(n, len(mean)))
    rows -= rows.mean(axis=0)
    whitened = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T))).T
    return whitened @ np.linalg.cholesky(covariance).T + mean


def normal(n: int, d: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, d))


def test_fd_of_gaussians_that_share_axes_is_the_closed_form() -> None:
    std_a, std_b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 0.5])
    mean_a, mean_b = np.array([0.0, 1.0, -1.0]), np.array([2.0, 0.0, -1.0])
    turn, _ = np.linalg.qr(normal(3, 3, seed=1))
    a = with_moments(mean_a, np.diag(std_a**2), 40, seed=2) @ turn
    b = with_moments(mean_b, np.diag(std_b**2), 30, seed=3) @ turn
    closed = ((mean_a - mean_b) ** 2).sum() + ((std_a - std_b) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(closed, rel=1e-10)


def test_fd_of_gaussians_that_share_no_axes_is_the_closed_form_in_two_dimensions() -> None:
    cov_a, cov_b = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.7], [-0.7, 3.0]])
    # For 2 x 2: Tr (AB)^(1/2) = sqrt(Tr AB + 2 sqrt(det AB)).
    product = cov_a @ cov_b
    root_trace = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    closed = np.trace(cov_a + cov_b) - 2 * root_trace
    zero = np.zeros(2)
    found = frechet_distance(with_moments(zero, cov_a, 25, seed=4), with_moments(zero, cov_b, 35, seed=5))
    assert found == pytest.approx(closed, rel=1e-10)


def test_fd_of_many_samples_is_that_of_their_distributions() -> None:
    a, b = normal(20_000, 2, seed=6), normal(20_000, 2, seed=7) * 2 + [3.0, 0.0]
    assert frechet_distance(a, b) == pytest.approx(9 + 1 + 1, rel=0.02)


@pytest.mark.parametrize("n", [5, 40])
def test_fd_of_a_set_with_itself_is_nothing_even_with_fewer_pictures_than_features(n: int) -> None:
    a = normal(n, 20, seed=8) * 10 + 100
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_fd_does_not_change_when_both_sets_are_turned_moved_or_swapped() -> None:
    a, b = normal(50, 6, seed=9), normal(60, 6, seed=10) * 1.5
    turn, _ = np.linalg.qr(normal(6, 6, seed=11))
    expected = frechet_distance(a, b)
    assert frechet_distance(a @ turn + 7, b @ turn + 7) == pytest.approx(expected)
    assert frechet_distance(b, a) == pytest.approx(expected)


def test_a_reference_that_was_fitted_once_gives_the_same_fd() -> None:
    a, b = normal(30, 4, seed=12), normal(30, 4, seed=13)
    assert distance_of_gaussians(gaussian(a), gaussian(b)) == frechet_distance(a, b)


def test_fd_at_infinity_has_less_bias_than_fd() -> None:
    draws = [(normal(200, 16, seed), normal(200, 16, 100 + seed) + 0.25) for seed in range(12)]
    truth = 16 * 0.25**2
    plain = np.mean([frechet_distance(a, b) for a, b in draws])
    far = np.mean([frechet_infinity(a, b, np.random.default_rng(0)).value for a, b in draws])
    assert plain - truth > 0.5
    assert abs(far - truth) < 0.15


def test_the_error_of_fd_at_infinity_is_of_the_order_of_what_other_draws_give() -> None:
    a, b = normal(200, 16, 0), normal(200, 16, 1) + 1
    found = [frechet_infinity(a, b, np.random.default_rng(seed)) for seed in range(20)]
    spread = np.std([x.value for x in found])
    assert spread / 3 < np.mean([x.error for x in found]) < spread * 3


def test_fd_at_infinity_is_refused_where_the_bias_is_no_line() -> None:
    with pytest.raises(DataError, match=r"more than 4 pictures per feature, here 41; got 40 reference ones"):
        frechet_infinity(normal(40, 10, 0), normal(50, 10, 1), np.random.default_rng(0))


def test_too_few_pictures_for_fd_are_advised_against() -> None:
    assert advice(2560, 256) is None
    said = advice(2212, 256)
    assert said is not None
    assert said.startswith("2212 pictures for 256 features: FD is mostly bias below 2560.")


def brute_kernel(a: Floats, b: Floats, *, biased: bool) -> float:
    """MMD^2 pair by pair, in plain Python."""

    def mean(x: Floats, y: Floats, *, same: bool) -> float:
        pairs = [(i, j) for i in range(len(x)) for j in range(len(y)) if biased or not same or i != j]
        return float(sum((x[i] @ y[j] / x.shape[1] + 1) ** 3 for i, j in pairs) / len(pairs))

    return mean(a, a, same=True) + mean(b, b, same=True) - 2 * mean(a, b, same=False)


def test_kd_is_the_mean_over_pairs_also_of_unequal_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pictura.evaluate.metrics.kernel._BLOCK_ROWS", 4)  # more than one block
    a, b = normal(9, 3, seed=14), normal(7, 3, seed=15) + 0.5
    assert kernel_distance(a, b) == pytest.approx(brute_kernel(a, b, biased=False), rel=1e-12)


def test_kd_is_nothing_on_average_where_the_biased_estimate_is_not() -> None:
    draws = [(normal(12, 4, seed), normal(12, 4, 1000 + seed)) for seed in range(300)]
    ours = np.array([kernel_distance(a, b) for a, b in draws])
    biased = np.array([brute_kernel(a, b, biased=True) for a, b in draws[:50]])
    assert abs(ours.mean()) < 3 * ours.std() / np.sqrt(len(ours))
    assert biased.mean() > 10 * biased.std() / np.sqrt(len(biased))


def test_kd_on_subsets_of_everything_is_kd() -> None:
    a, b = normal(20, 3, seed=16), normal(20, 3, seed=17)
    spread = kernel_distance_subsets(a, b, np.random.default_rng(0), num_subsets=3, subset_size=20)
    assert spread.mean == pytest.approx(kernel_distance(a, b))
    assert spread.std == pytest.approx(0, abs=1e-12)


def test_kd_on_subsets_needs_sets_as_large() -> None:
    with pytest.raises(
        DataError, match="Subsets of 30 were asked for, but there are 40 reference and 20 gen"
    ):
        kernel_distance_subsets(normal(40, 2, 0), normal(20, 2, 1), np.random.default_rng(0), subset_size=30)


def line(*places: float) -> Floats:
    return np.array(places, dtype=float)[:, None]


def test_manifold_numbers_of_points_on_a_line() -> None:
    # Balls (k = 1) of the real: 0 and 1 reach 1, 10 and 12 reach 2; of the generated: all reach 0.5 or 20.
    real, fake = line(0, 1, 10, 12), line(0.5, 1.0, 21.0)
    found = manifold(real, fake, k_precision=1, k_density=1)
    assert found.precision == pytest.approx(2 / 3)  # 21 lies in no ball
    assert found.recall == pytest.approx(3 / 4)  # 0 lies on the rim of 0.5's ball; 1, 10, 12 within one
    assert found.density == pytest.approx(3 / 3)  # 0.5 in two balls; 1.0 in its own, on the rim of 0's
    assert found.coverage == pytest.approx(2 / 4)


def brute_manifold(real: Floats, fake: Floats, k_p: int, k_d: int) -> Manifold:
    """The definitions, point by point."""

    def radius(points: Floats, i: int, k: int) -> float:
        return float(sorted(np.linalg.norm(points - points[i], axis=1))[k])

    def inside(point: Floats, centres: Floats, k: int) -> list[bool]:
        return [
            bool(np.linalg.norm(point - centre) < radius(centres, i, k)) for i, centre in enumerate(centres)
        ]

    held = np.array([inside(point, real, k_d) for point in fake])
    return Manifold(
        precision=float(np.mean([any(inside(point, real, k_p)) for point in fake])),
        recall=float(np.mean([any(inside(point, fake, k_p)) for point in real])),
        density=float(held.sum() / (k_d * len(fake))),
        coverage=float(held.any(axis=0).mean()),
    )


@pytest.mark.parametrize("held", [40, 4_000_000])
def test_manifold_numbers_are_those_of_brute_force_in_any_blocks(
    held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "BLOCK_NUMBERS", held)
    real, fake = normal(30, 3, seed=18), normal(23, 3, seed=19) * 0.7 + 0.6
    assert manifold(real, fake) == brute_manifold(real, fake, 3, 5)


def test_a_set_compared_with_itself_is_precise_complete_and_of_density_one() -> None:
    real = normal(40, 5, seed=20) * 100 + 1000
    assert manifold(real, real) == Manifold(precision=1, recall=1, density=1, coverage=1)


def test_one_good_picture_again_and_again_is_precise_but_covers_nothing() -> None:
    real = normal(100, 2, seed=21)
    found = manifold(real, np.tile(real[:1], (50, 1)))
    assert (found.precision, found.recall) == (1, 0)
    assert found.coverage < 0.2


def test_noise_is_neither_precise_nor_dense() -> None:
    found = manifold(normal(100, 8, seed=22), normal(100, 8, seed=23) * 20)
    assert found.precision < 0.1
    assert found.density < 0.1


def test_nearest_finds_copies_at_distance_nothing_in_spite_of_rounding() -> None:
    a = normal(100, 300, seed=24) * 5 + 50
    order = np.random.default_rng(0).permutation(100)
    distance, row = distances.nearest(a[order], a)
    assert not distance.any()
    assert np.array_equal(row, order)


@pytest.mark.parametrize("metric", [frechet_distance, kernel_distance, manifold])
def test_bad_features_are_refused_by_their_place(metric) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    good, hole = normal(10, 3, seed=25), normal(10, 3, seed=26)
    hole[4, 1] = np.nan
    with pytest.raises(
        DataError, match=r"The generated features hold NaN or infinity, first in row 4 of 10\."
    ):
        metric(good, hole)
    with pytest.raises(DataError, match=r"The reference features have width 3, the generated ones 4\."):
        metric(good, normal(10, 4, seed=27))
    with pytest.raises(DataError, match=r"This needs at least \d generated pictures; got 0\. Paint more"):
        metric(good, good[:0])
    with pytest.raises(DataError, match=r"The reference features must have shape \(N, D\) .* got \(10,\)"):
        metric(good[:, 0], good)


def test_manifold_needs_more_pictures_than_neighbours() -> None:
    with pytest.raises(DataError, match=r"at least 6 generated pictures; got 5\."):
        manifold(normal(10, 2, 0), normal(5, 2, 1))
    with pytest.raises(ConfigError, match=r"k_density must be at least 1; got 0\."):
        manifold(normal(10, 2, 0), normal(10, 2, 1), k_density=0)
