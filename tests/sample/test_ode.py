"""The solvers against closed forms."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pictura.core.errors import ConfigError
from pictura.core.types import Array, Velocity
from pictura.sample.ode import SOLVERS, solve
from pictura.sample.schedules import time_grid

MEAN, STD = 0.7, 0.4


def to_gaussian(x_t: Array, t: Array) -> Array:
    """The exact velocity when images are N(MEAN, STD^2): E[noise - x_0 | x_t]."""
    t = t[0]
    variance = (1 - t) ** 2 * STD**2 + t**2
    return (t - (1 - t) * STD**2) / variance * (x_t - (1 - t) * MEAN) - MEAN


def start(shape: tuple[int, ...] = (2, 3, 4, 6)) -> NDArray[np.float64]:
    return np.random.default_rng(0).standard_normal(shape)


def even_in_log_snr(num_steps: int) -> tuple[float, ...]:
    """From t = 0.995 to t = 0.005 in equal steps of log((1 - t) / t)."""
    end = math.log(0.995 / 0.005)
    return tuple(1 / (1 + math.exp(-end + 2 * end * i / num_steps)) for i in range(num_steps + 1))


def error(method: str, times: Sequence[float]) -> float:
    """Against the exact solution: x keeps its distance to the mean in standard deviations."""
    x_T = start()
    (a, b), std = (times[0], times[-1]), [math.hypot((1 - t) * STD, t) for t in (times[0], times[-1])]
    exact = (1 - b) * MEAN + std[1] / std[0] * (x_T - (1 - a) * MEAN)
    return float(np.abs(solve(to_gaussian, x_T, times, method=method) - exact).max())


@pytest.mark.parametrize(
    ("method", "order", "grid"),
    [
        ("euler", 1, time_grid),
        ("ab2", 2, time_grid),
        ("ab2", 2, partial(time_grid, shift=0.7)),
        ("euler", 1, even_in_log_snr),
        ("ab2", 2, even_in_log_snr),
        ("dpmpp_2m", 2, even_in_log_snr),
    ],
)
def test_doubling_the_steps_divides_the_error_by_two_to_the_order(
    method: str, order: int, grid: Callable[[int], Sequence[float]]
) -> None:
    for coarse, fine in pairwise(error(method, grid(n)) for n in (64, 128, 256)):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("method", ["ab2", "dpmpp_2m"])
def test_twelve_second_order_steps_beat_forty_eight_of_eulers(method: str) -> None:
    assert error(method, time_grid(12)) < error("euler", time_grid(48))


@pytest.mark.parametrize("method", SOLVERS)
def test_a_constant_velocity_is_followed_exactly(method: str) -> None:
    x_T = start()
    v = start()[::-1]
    for num_steps in (1, 2, 7):
        x_0 = solve(lambda x_t, t: v, x_T, time_grid(num_steps, shift=1.7), method=method)
        np.testing.assert_allclose(x_0, x_T - v, atol=1e-12)


@pytest.mark.parametrize("method", SOLVERS)
def test_the_flow_to_one_point_lands_on_it(method: str) -> None:
    point = np.full((1, 1, 1, 1), 0.3)
    for num_steps in (1, 2, 5, 12):
        x_0 = solve(lambda x_t, t: (x_t - point) / t[0], start(), time_grid(num_steps), method=method)
        np.testing.assert_allclose(x_0, 0.3, atol=1e-12)


@pytest.mark.parametrize("method", SOLVERS)
@pytest.mark.parametrize("make", [torch.asarray, array_api_strict.asarray])
def test_every_array_library_gives_what_numpy_gives(method: str, make: Callable[..., Any]) -> None:
    x_T = start().astype(np.float32)
    times = time_grid(6, shift=0.8)
    expected = solve(to_gaussian, x_T, times, method=method)
    got = solve(to_gaussian, make(x_T), times, method=method)
    assert type(got) is type(make(x_T))
    assert expected.dtype == np.float32
    np.testing.assert_allclose(np.asarray(got), expected, atol=1e-6)


def test_steps_are_counted_and_the_network_is_called_once_a_step() -> None:
    seen: list[tuple[int, int]] = []
    times: list[float] = []

    def velocity(x_t: Array, t: Array) -> Array:
        assert t.shape == (2,)
        times.append(float(t[0]))
        return x_t

    counted: Velocity = velocity
    solve(counted, start(), time_grid(3), on_step=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert times == pytest.approx([1, 2 / 3, 1 / 3])


def test_an_unknown_solver_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"^No solver is named 'eular'. Did you mean 'euler'\?$"):
        solve(to_gaussian, start(), time_grid(2), method="eular")
