"""Guidance, time grids and noise."""

from collections.abc import Callable
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch

from pictura.core.errors import ConfigError
from pictura.core.types import Array
from pictura.sample.guidance import guided
from pictura.sample.randomness import draw_seed, noise
from pictura.sample.schedules import time_grid


class Counted:
    """A constant velocity that knows how often it was asked."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.calls = 0

    def __call__(self, x_t: Array, t: Array) -> Array:
        self.calls += 1
        return x_t * 0 + self.value


@pytest.mark.parametrize("make", [np.asarray, torch.asarray, array_api_strict.asarray])
def test_guidance_extrapolates_inside_the_interval_only(make: Callable[..., Any]) -> None:
    x_t = make(np.zeros((2, 1, 1, 1), dtype=np.float32))
    with_prompt, without = Counted(1.0), Counted(0.5)
    velocity = guided(with_prompt, without, guidance_scale=3.0, interval=(0.2, 0.8))
    values = {}
    for t in (0.1, 0.2, 0.5, 0.8, 0.9):
        v = velocity(x_t, make(np.full(2, t)))
        values[t] = float(v[0, 0, 0, 0])
    assert values == {0.1: 1.0, 0.2: 2.0, 0.5: 2.0, 0.8: 2.0, 0.9: 1.0}
    assert (with_prompt.calls, without.calls) == (5, 3)


def test_the_ends_of_the_interval_count_in_float32_too() -> None:
    without = Counted(0.5)
    velocity = guided(Counted(1.0), without, guidance_scale=3.0, interval=(0.6, 0.7))
    for t in (0.6, 0.7):  # 0.60000002 and 0.69999999
        velocity(np.zeros((2, 1, 1, 1), dtype=np.float32), np.full(2, t, dtype=np.float32))
    assert without.calls == 2
    velocity = guided(Counted(1.0), without, guidance_scale=3.0, interval=(0.5, 0.6))
    velocity(np.zeros((2, 1, 1, 1), dtype=np.float32), np.full(2, 0.6, dtype=np.float32))
    assert without.calls == 3


def test_scale_one_is_off_and_costs_one_call() -> None:
    with_prompt = Counted(1.0)
    assert guided(with_prompt, Counted(0.5), guidance_scale=1.0) is with_prompt


@pytest.mark.parametrize("scale", [-1.0, 51.0, float("nan")])
def test_scales_out_of_range_are_refused(scale: float) -> None:
    with pytest.raises(ConfigError, match=r"guidance_scale must be from 0 to 50 \(1 = off\); got"):
        guided(Counted(1), Counted(0), guidance_scale=scale)


def test_an_empty_interval_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"0 <= low <= high <= 1; got 0.8 to 0.2"):
        guided(Counted(1), Counted(0), guidance_scale=2, interval=(0.8, 0.2))


def test_a_grid_falls_from_one_to_zero_and_the_shift_bends_it() -> None:
    assert time_grid(4) == (1.0, 0.75, 0.5, 0.25, 0.0)
    bent = time_grid(4, shift=3.0)
    assert bent == pytest.approx((1.0, 0.9, 0.75, 0.5, 0.0))
    assert (bent[0], bent[-1]) == (1.0, 0.0)


def test_impossible_grids_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_steps must be from 1 to 1000; got 0"):
        time_grid(0)
    with pytest.raises(ConfigError, match="shift must be above 0"):
        time_grid(4, shift=0)


def test_every_picture_has_its_own_stream() -> None:
    first = noise(7, 0, (2, 3, 4))
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, noise(7, 0, (2, 3, 4)))
    assert np.abs(first - noise(7, 1, (2, 3, 4))).min() > 0
    assert np.abs(first - noise(8, 0, (2, 3, 4))).min() > 0
    many = noise(1, 0, (100_000,))
    assert abs(many.mean()) < 0.01
    assert many.std() == pytest.approx(1, abs=0.01)


def test_the_stream_is_the_one_that_is_documented() -> None:
    stream = np.random.Generator(np.random.Philox(np.random.SeedSequence([3, 1])))
    np.testing.assert_array_equal(noise(3, 1, (5,)), stream.standard_normal(5, dtype=np.float32))


def test_seeds_are_whole_and_positive() -> None:
    with pytest.raises(ConfigError, match="The seed must be a whole number from 0 to"):
        noise(-1, 0, (1,))
    with pytest.raises(ConfigError, match=r"^The number of a picture must be at least 0; got -1\.$"):
        noise(0, -1, (1,))
    assert 0 <= draw_seed() < 2**32
