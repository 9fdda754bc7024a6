"""Diffusion against closed forms: pictures that are all one point, or drawn from a normal law."""

import math
from collections.abc import Callable

import array_api_strict
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pictura.core.errors import ConfigError
from pictura.core.types import Array
from pictura.sample.diffusion import (
    LEAST_ALPHA,
    SCHEDULES,
    Denoise,
    alpha_sigma,
    as_velocity,
    ddim_step,
    diffusion_time,
    flow_time,
    shares,
)
from pictura.sample.diffusion_steps import StepsUp, follow, steps_down
from pictura.sample.ode import solve
from pictura.sample.schedules import time_grid

MEAN, STD = 0.3, 0.5
Doubles = NDArray[np.float64]


def of_gaussian(schedule: str) -> Denoise:
    """The exact E[x_0 | x_t] when images are N(MEAN, STD^2)."""

    def denoise(x_t: Array, t: Array) -> Array:
        a, s = shares(schedule, float(t[0]))
        return MEAN + a * STD**2 / (a**2 * STD**2 + s**2) * (x_t - a * MEAN)

    return denoise


def start(num: int = 2) -> Doubles:
    return np.random.default_rng(0).standard_normal((num, 3, 4, 6))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_image_and_noise_share_the_variance_and_the_image_fades(schedule: str) -> None:
    t = np.linspace(0, 1, 4001)
    a, s = alpha_sigma(schedule, t)
    np.testing.assert_allclose(a**2 + s**2, 1, atol=1e-12)
    assert (a[0], s[0]) == (1, 0)
    assert (np.diff(a) <= 0).all()
    assert (np.diff(s) >= 0).all()
    assert LEAST_ALPHA <= a[-1] < 0.01
    half = shares(schedule, 0.5)
    np.testing.assert_allclose(half, [one[2000] for one in (a, s)])


def test_the_schedules_are_the_papers() -> None:
    betas = np.linspace(1e-4, 0.02, 1000)
    steps = np.array([1, 100, 500, 1000])
    exact = np.sqrt(np.cumprod(1 - betas))[steps - 1]
    np.testing.assert_allclose(alpha_sigma("linear", steps / 1000)[0], exact, rtol=1e-12)
    t = np.array([0.1, 0.5, 0.9])
    f = np.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    np.testing.assert_allclose(
        alpha_sigma("cosine", t)[0] ** 2, f / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    )


@pytest.mark.parametrize("make", [array_api_strict.asarray, torch.tensor], ids=["strict", "torch"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_both_kinds_of_arrays_give_the_same(schedule: str, make: Callable[..., Array]) -> None:
    t = [0.0, 1e-4, 0.37, 1.0]
    kind = torch.float32 if make is torch.tensor else array_api_strict.float32
    for got, exact in zip(
        alpha_sigma(schedule, make(t, dtype=kind)), alpha_sigma(schedule, np.array(t)), strict=True
    ):
        np.testing.assert_allclose([float(one) for one in got], exact, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_time_of_a_flow_is_found_again(schedule: str) -> None:
    for t in (0.0, 1e-3, 0.02, 0.5, 0.77, 0.999):
        assert diffusion_time(schedule, flow_time(schedule, t)) == pytest.approx(t, abs=1e-9)


def test_a_schedule_that_is_not_there_is_refused() -> None:
    words = r"^A diffusion's schedule must be 'cosine' or 'linear'; got 'cosin'\. Did you mean 'cosine'\?$"
    with pytest.raises(ConfigError, match=words):
        alpha_sigma("cosin", np.zeros(1))
    with pytest.raises(ConfigError, match=words):
        diffusion_time("cosin", 0.5)


@pytest.mark.parametrize("method", ["ddim", "euler", "ab2", "dpmpp_2m"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_way_leads_to_the_only_picture_there_is(schedule: str, method: str) -> None:
    path = steps_down(start(), time_grid(5), schedule=schedule, method=method)
    x_0 = follow(path, lambda x_t, _: np.full_like(x_t, MEAN))
    np.testing.assert_allclose(x_0, MEAN, atol=1e-12)
    assert path.done == path.num == 5


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_ddim_without_fresh_noise_is_euler_along_the_flow(schedule: str) -> None:
    denoise, times = of_gaussian(schedule), time_grid(7)
    found = follow(steps_down(start(), times, schedule=schedule), denoise)
    same = follow(steps_down(start(), times, schedule=schedule, method="euler"), denoise)
    np.testing.assert_allclose(same, found, atol=1e-12)
    first = sum(shares(schedule, 1))
    along = solve(
        as_velocity(denoise, schedule),
        start() / first,
        [flow_time(schedule, t) for t in times],
        method="euler",
    )
    np.testing.assert_allclose(along, found, atol=1e-6)


def error(method: str, num_steps: int) -> float:
    """Against the exact solution from t = .9 to .1: x keeps its distance to the mean in deviations."""
    times = [0.9 - 0.8 * i / num_steps for i in range(num_steps + 1)]
    found = follow(steps_down(start(), times, schedule="cosine", method=method), of_gaussian("cosine"))
    (a, s), (b, r) = shares("cosine", 0.9), shares("cosine", 0.1)
    stds = [math.hypot(share * STD, noise) for share, noise in ((a, s), (b, r))]
    return float(np.abs(found - (b * MEAN + stds[1] / stds[0] * (start() - a * MEAN))).max())


@pytest.mark.parametrize(("method", "order"), [("ddim", 1), ("euler", 1), ("ab2", 2), ("dpmpp_2m", 2)])
def test_doubling_the_steps_divides_the_error_by_two_to_the_order(method: str, order: int) -> None:
    assert error(method, 64) / error(method, 128) == pytest.approx(2**order, rel=0.15)


@pytest.mark.parametrize("eta", [0.3, 1.0])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_fresh_noise_replaces_as_much_as_it_adds(schedule: str, eta: float) -> None:
    """Of the point, whatever noise there is is normal with deviation s, at every step and for every eta."""
    times, rng = (0.9, 0.6, 0.2), np.random.default_rng(1)
    x_t = shares(schedule, 0.9)[1] * rng.standard_normal((1, 200_000))
    path = steps_down(x_t, times, schedule=schedule, eta=eta, noises=lambda _: rng.standard_normal(x_t.shape))
    for t in times[1:]:
        before = path.x_t
        path.take(np.zeros_like(x_t))
        assert path.x_t.std() == pytest.approx(shares(schedule, t)[1], rel=0.01)
        assert not np.allclose(path.x_t, before * path.x_t[0, 0] / before[0, 0])  # some of it is fresh


def test_as_much_noise_as_ddpm_keeps_the_law_of_the_pictures() -> None:
    """With many steps images are N(MEAN, STD^2) again; the step's noise is DDPM's."""
    a, b = (shares("cosine", t) for t in (0.6, 0.59))
    beta = 1 - (a[0] / b[0]) ** 2
    ones = np.ones((1, 1))
    moved = ddim_step(ones, ones, 0.6, 0.59, schedule="cosine", eta=1.0, noise=ones)
    still = ddim_step(ones, ones, 0.6, 0.59, schedule="cosine", eta=1.0, noise=0 * ones)
    assert (moved - still).item() == pytest.approx(b[1] / a[1] * math.sqrt(beta), rel=1e-9)
    rng = np.random.default_rng(2)
    path = steps_down(
        rng.standard_normal((1, 20_000)),
        time_grid(200),
        schedule="cosine",
        eta=1.0,
        noises=lambda _: rng.standard_normal((1, 20_000)),
    )
    x_0 = follow(path, of_gaussian("cosine"))
    assert x_0.mean() == pytest.approx(MEAN, abs=0.02)
    assert x_0.std() == pytest.approx(STD, rel=0.02)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_way_back_ends_where_the_way_down_began(schedule: str) -> None:
    denoise, times = of_gaussian(schedule), [0.9 * t for t in time_grid(12)]
    x_0 = MEAN + STD * start()
    up = StepsUp(x_0, times, schedule=schedule, rounds=40)
    x_T = follow(up, denoise)
    assert up.done == up.num == 480
    again = follow(steps_down(x_T, times, schedule=schedule), denoise)
    np.testing.assert_allclose(again, x_0, atol=1e-5)


def test_more_rounds_and_more_steps_come_nearer() -> None:
    def lost(num_steps: int, rounds: int) -> float:
        denoise, times = of_gaussian("cosine"), time_grid(num_steps)
        x_0 = MEAN + STD * start()
        x_T = follow(StepsUp(x_0, times, schedule="cosine", rounds=rounds), denoise)
        again = follow(steps_down(x_T, times, schedule="cosine"), denoise)
        return float(np.abs(again - x_0).max())

    assert lost(64, 1) < 0.6 * lost(16, 1)
    assert lost(16, 4) < 0.6 * lost(16, 1)


def test_the_noise_that_is_found_is_the_noise_of_the_closed_form() -> None:
    x_0 = MEAN + STD * start()
    x_T = follow(StepsUp(x_0, time_grid(400), schedule="cosine", rounds=3), of_gaussian("cosine"))
    a, s = shares("cosine", 1)
    exact = a * MEAN + math.hypot(a * STD, s) * start()
    assert np.abs(x_T - exact).max() < 0.02 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("method", "eta", "words"),
    [
        ("dddim", 0.0, r"^No solver is named 'dddim'\. Did you mean 'ddim'\?$"),
        ("ddim", 1.5, r"^eta must be from 0 \(no fresh noise on the way\) to 1 .*; got 1\.5\.$"),
        ("ab2", 0.5, r"^The solver 'ab2' takes no fresh noise: leave eta out, or take 'ddim'\.$"),
    ],
)
def test_a_way_that_is_not_there_is_refused(method: str, eta: float, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        steps_down(start(), time_grid(3), schedule="cosine", method=method, eta=eta)
