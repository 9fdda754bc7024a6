"""Stochastic steps against closed forms."""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch

from pictura.core.errors import ConfigError
from pictura.core.types import Array
from pictura.sample.ode import solve
from pictura.sample.schedules import time_grid
from pictura.sample.sde import KINDS, log_prob, solve_sde, step_law

MEAN, STD = 0.7, 0.5
SHAPE = (2, 3, 4, 6)


def to_gaussian(x_t: Array, t: Array) -> Array:
    """The exact velocity when images are N(MEAN, STD^2): E[noise - x_0 | x_t]."""
    t = t[0]
    variance = (1 - t) ** 2 * STD**2 + t**2
    return (t - (1 - t) * STD**2) / variance * (x_t - (1 - t) * MEAN) - MEAN


def fixed_noise(step: int, seed: int = 0) -> Any:
    return np.random.default_rng([seed, step]).standard_normal(SHAPE)


def law_at_zero(kind: str, num_steps: int, noise_level: float) -> tuple[float, float]:
    """Mean and standard deviation of x_0, exactly: the steps are affine, so a normal law stays normal."""
    mean, variance = 0.0, 1.0
    for t, t_next in pairwise(1 - i / num_steps for i in range(num_steps + 1)):
        x = np.array([0.0, 1.0])
        v = to_gaussian(x, np.full(2, t))
        (bias, end), std = step_law(x, v, t, t_next, kind=kind, noise_level=noise_level)
        mean, variance = bias + (end - bias) * mean, (end - bias) ** 2 * variance + std**2
    return float(mean), math.sqrt(variance)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("t", "t_next"), [(1.0, 0.8), (0.6, 0.45)])
def test_the_log_probability_of_a_step_is_that_of_the_normal_law(kind: str, t: float, t_next: float) -> None:
    x_t, v, noise = (torch.from_numpy(fixed_noise(i)) for i in range(3))
    mean, std = step_law(x_t, v, t, t_next, kind=kind, noise_level=0.7)
    x_next = mean + std * noise
    truth = torch.distributions.Normal(mean, std).log_prob(x_next)
    exact, average = log_prob(x_next, mean, std, exact=True), log_prob(x_next, mean, std)
    assert (exact - truth.sum(dim=(1, 2, 3))).abs().max() < 1e-10
    assert (average - truth.mean(dim=(1, 2, 3))).abs().max() < 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_the_log_probability_is_the_finite_difference(kind: str) -> None:
    x_t, v, x_next = (torch.from_numpy(fixed_noise(i)) for i in range(3))

    def exact(scale: torch.Tensor) -> torch.Tensor:
        mean, std = step_law(x_t, scale * v, 0.7, 0.6, kind=kind, noise_level=0.7)
        return log_prob(x_next, mean, std, exact=True).sum()

    scale = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(exact(scale), scale)
    h = 1e-5
    difference = (exact(scale.detach() + h) - exact(scale.detach() - h)) / (2 * h)
    assert gradient.item() == pytest.approx(difference.item(), rel=1e-8)
    assert abs(gradient.item()) > 0.1


def test_flow_sde_is_the_published_step() -> None:
    """Flow-GRPO, equation 12 and its code, written out."""
    x, v = fixed_noise(0), fixed_noise(1)
    for t, t_next in ((1.0, 0.8), (0.6, 0.45)):
        dt, variance = t_next - t, 0.7**2 * t / (1 - (t_next if t == 1 else t))
        mean, std = step_law(x, v, t, t_next, kind="flow_sde", noise_level=0.7)
        published = x * (1 + variance / (2 * t) * dt) + v * (1 + variance * (1 - t) / (2 * t)) * dt
        np.testing.assert_allclose(mean, published, rtol=1e-12, atol=1e-12)
        assert std == pytest.approx(math.sqrt(variance) * math.sqrt(-dt))


def test_cps_is_the_published_step() -> None:
    x, v, t, t_next = fixed_noise(0), fixed_noise(1), 0.6, 0.45
    x_0, noise = x - t * v, x + (1 - t) * v
    mean, std = step_law(x, v, t, t_next, kind="cps", noise_level=0.8)
    assert std == pytest.approx(t_next * math.sin(0.8 * math.pi / 2))
    np.testing.assert_allclose(
        mean, (1 - t_next) * x_0 + math.sqrt(t_next**2 - std**2) * noise, rtol=1e-12, atol=1e-12
    )


def test_cps_keeps_the_share_of_noise_of_its_time() -> None:
    """Old and fresh noise are independent, so their variances add up to t_next^2."""
    turn, std = KINDS["cps"](0.6, 0.45, 0.8)
    assert (0.45 + turn) ** 2 + std**2 == pytest.approx(0.45**2)


def test_the_law_of_flow_sde_goes_to_the_target_as_steps_grow() -> None:
    laws = [law_at_zero("flow_sde", num_steps, 1.0) for num_steps in (10, 40, 160)]
    errors = [abs(std - STD) for _, std in laws]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-4
    assert all(mean == pytest.approx(MEAN) for mean, _ in laws)


def test_at_less_noise_the_first_step_is_forgotten_slowly() -> None:
    """At t = 1 the variance is cut off, which makes an error of any step size; level^2 is the order left."""
    stds = [law_at_zero("flow_sde", num_steps, 0.7)[1] for num_steps in (10, 40, 160, 640, 2560)]
    assert [round(std, 3) for std in stds] == [0.480, 0.497, 0.501, 0.501, 0.501]
    assert (stds[4] - STD) / (stds[3] - STD) == pytest.approx(4 ** -(0.7**2), rel=0.3)


def test_the_law_of_cps_stays_narrower_than_the_target() -> None:
    """Documented, not hoped for: it does not keep the marginal law."""
    stds = [law_at_zero("cps", num_steps, 0.8)[1] for num_steps in (10, 40, 160)]
    assert [round(std, 2) for std in stds] == [0.35, 0.39, 0.40]


@pytest.mark.parametrize("kind", KINDS)
def test_without_noise_it_is_the_ode_bit_by_bit(kind: str) -> None:
    x_T, times = fixed_noise(9).astype(np.float32), time_grid(7, shift=3.0)
    x_0, path = solve_sde(
        to_gaussian, x_T, times, stochastic=range(7), noise=fixed_noise, kind=kind, noise_level=0.0
    )
    np.testing.assert_array_equal(x_0, solve(to_gaussian, x_T, times, method="euler"))
    assert path == ()


@pytest.mark.parametrize("method", ["euler", "ab2", "dpmpp_2m"])
def test_without_stochastic_steps_it_is_the_solver_bit_by_bit(method: str) -> None:
    x_T, times = fixed_noise(9), time_grid(7)
    x_0, path = solve_sde(to_gaussian, x_T, times, stochastic=(), noise=fixed_noise, method=method)
    np.testing.assert_array_equal(x_0, solve(to_gaussian, x_T, times, method=method))
    assert path == ()


def test_the_same_noise_paints_the_same_picture_and_other_noise_another() -> None:
    x_T = fixed_noise(9)
    paint = partial(solve_sde, to_gaussian, x_T, time_grid(6), stochastic=(1,))
    first, again, other = (paint(noise=partial(fixed_noise, seed=seed))[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_only_stochastic_steps_are_kept_and_each_leads_from_its_start_to_its_end() -> None:
    times = time_grid(6, shift=3.0)
    _, path = solve_sde(to_gaussian, fixed_noise(9), times, stochastic={4, 1}, noise=fixed_noise)
    assert [(step.t, step.t_next) for step in path] == [times[1:3], times[4:6]]
    for number, step in zip((1, 4), path, strict=True):
        v = to_gaussian(step.x_t, np.full(2, step.t))
        mean, std = step_law(step.x_t, v, step.t, step.t_next, kind="flow_sde", noise_level=0.7)
        np.testing.assert_array_equal(step.mean, mean)
        np.testing.assert_array_equal(step.x_next, mean + std * fixed_noise(number))
        np.testing.assert_array_equal(step.log_prob, log_prob(step.x_next, mean, std))


def test_the_step_after_a_drawn_one_is_of_first_order() -> None:
    """The velocity before the draw belongs to another path."""
    times, x_T = time_grid(3), fixed_noise(9)
    x_0, (drawn,) = solve_sde(to_gaussian, x_T, times, stochastic={1}, noise=fixed_noise, method="ab2")
    v = to_gaussian(drawn.x_next, np.full(2, times[2]))
    np.testing.assert_array_equal(x_0, drawn.x_next + (times[3] - times[2]) * v)


def test_the_last_step_of_cps_draws_nothing() -> None:
    _, path = solve_sde(
        to_gaussian, fixed_noise(9), time_grid(3), stochastic=range(3), noise=fixed_noise, kind="cps"
    )
    assert len(path) == 2


@pytest.mark.parametrize("namespace", [array_api_strict, torch])
def test_every_kind_of_array_gives_the_same(namespace: Any) -> None:
    def with_arrays(as_array: Callable[[Any], Any]) -> Array:
        return solve_sde(
            to_gaussian,
            as_array(fixed_noise(9)),
            time_grid(5),
            stochastic=(0, 2),
            noise=lambda step: as_array(fixed_noise(step)),
        )

    x_0, path = with_arrays(namespace.asarray)
    expected, steps = with_arrays(np.asarray)
    np.testing.assert_allclose(np.asarray(x_0), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.asarray(path[1].log_prob), steps[1].log_prob, rtol=1e-12)


def test_mistakes_are_named() -> None:
    paint = partial(solve_sde, to_gaussian, fixed_noise(9), time_grid(4), noise=fixed_noise)
    with pytest.raises(ConfigError, match=r"numbered from 0 to 3 where there are 4; got \[1, 4\]"):
        paint(stochastic={4, 1})
    with pytest.raises(ConfigError, match=r"No kind of SDE is named 'flow_sd'\. Did you mean 'flow_sde'"):
        paint(stochastic={1}, kind="flow_sd")
    with pytest.raises(ConfigError, match=r"level of cps must be a number from 0 to 1; got 1\.5"):
        paint(stochastic={1}, kind="cps", noise_level=1.5)
    with pytest.raises(ConfigError, match=r"level of flow_sde must be a number from 0; got -0\.1"):
        paint(stochastic={1}, noise_level=-0.1)
