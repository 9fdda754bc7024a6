"""Several prompts, chaos, weird and tile: their arithmetic on numpy, torch and the strict array API."""

from collections.abc import Callable
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning
from pictura.sample.chaos import FADES, Chaos, heat
from pictura.sample.conditions import Conditions, usual
from pictura.sample.guidance import Guidance
from pictura.sample.mixing import MAX_WEIRD, USUAL, WITHOUT, Mix
from pictura.sample.schedules import last_step
from pictura.sample.steering import check_steering, on
from pictura.sample.tiling import Rolls, around, inside, resize_wrapped

MAKES = [np.asarray, torch.asarray, array_api_strict.asarray]
Make = Callable[..., Any]


def velocities(make: Make, **values: float) -> dict[int, Any]:
    keys = {"a": 0, "b": 1, "without": WITHOUT, "usual": USUAL}
    return {
        keys[name]: make(np.full((2, 1, 1, 1), value, dtype=np.float32)) for name, value in values.items()
    }


def value(array: Any) -> float:
    return float(array[0, 0, 0, 0])


@pytest.mark.parametrize("make", MAKES)
def test_parts_meet_by_their_shares_and_guidance(make: Make) -> None:
    mix = Mix(Guidance(3.0, (0.2, 1.0)), [2.0, -1.0])
    assert mix.wanted(0.5) == (0, 1, WITHOUT)
    v = mix.join(velocities(make, a=1.0, b=5.0, without=0.5), 0.5)
    assert value(v) == 0.5 + 3 * (2 * (1 - 0.5) - (5 - 0.5))


def test_outside_the_interval_only_what_is_wanted_counts() -> None:
    mix = Mix(Guidance(3.0, (0.2, 0.8)), [1.5, 0.5, -1.0], weird=100)
    assert mix.wanted(0.1) == (0, 1)
    assert value(mix.join(velocities(np.asarray, a=1.0, b=5.0), 0.1)) == 0.75 * 1 + 0.25 * 5


def test_without_guidance_negatives_still_steer() -> None:
    mix = Mix(Guidance(1.0), [2.0, -1.0])
    assert mix.wanted(0.5) == (0, 1)
    assert value(mix.join(velocities(np.asarray, a=1.0, b=5.0), 0.5)) == 2 * 1 - 5


def test_a_part_without_weight_is_not_called() -> None:
    assert Mix(Guidance(3.0), [1.0, 0.0]).wanted(0.5) == (0, WITHOUT)


@pytest.mark.parametrize("scale", [1.0, 3.7])
def test_one_part_is_guidance_as_it_always_was_bit_for_bit(scale: float) -> None:
    guidance, rng = Guidance(scale), np.random.default_rng(0)
    found = {i: rng.standard_normal((2, 3, 4, 4), dtype=np.float32) for i in (0, WITHOUT)}
    mix = Mix(guidance)
    plain = guidance.join(found[0], found[WITHOUT]) if guidance.on(0.5) else found[0]
    np.testing.assert_array_equal(mix.join({i: found[i] for i in mix.wanted(0.5)}, 0.5), plain)


def test_weird_steers_away_from_the_usual_by_its_number() -> None:
    def v(weird: int) -> float:
        mix = Mix(Guidance(1.0), [0.5, 0.5], weird)
        return value(mix.join(velocities(np.asarray, a=1.0, b=2.0, usual=0.5), 0.5))

    assert v(0) == 1.5
    assert v(MAX_WEIRD) - v(0) == pytest.approx(2 * (v(MAX_WEIRD // 2) - v(0)))
    assert v(MAX_WEIRD) == 1.5 + 8 * (1.5 - 0.5)


@pytest.mark.parametrize("make", MAKES)
def test_the_usual_is_one_token_the_mean_of_many(make: Make) -> None:
    tokens = np.random.default_rng(0).standard_normal((1, 5, 3), dtype=np.float32)
    cond = usual(Conditioning(tokens=make(tokens), mask=make(np.ones((1, 5), dtype=np.bool_))))
    np.testing.assert_allclose(np.asarray(cond.tokens), tokens.mean(1, keepdims=True), rtol=1e-6, atol=1e-7)
    assert cond.mask.shape == (1, 1)


def features(make: Make = np.asarray) -> Conditioning:
    tokens = 3 + 2 * np.random.default_rng(0).standard_normal((1, 7, 64), dtype=np.float32)
    return Conditioning(tokens=make(tokens), mask=make(np.ones((1, 7), dtype=np.bool_)))


def test_chaos_fades_as_the_picture_clears() -> None:
    low, high = FADES
    assert [heat(t, 100) for t in (0.0, low, (low + high) / 2, high, 1.0)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert heat(1.0, 30) == pytest.approx(0.3)
    assert heat(1.0, 0) == 0


@pytest.mark.parametrize("make", MAKES)
def test_chaos_keeps_mean_and_deviation_and_differs_from_picture_to_picture(make: Make) -> None:
    cond = features(make)
    told = [np.asarray(one.tokens) for one in Chaos(60, 5, [0, 1, 2], make).told(0, cond, 1.0)]
    for one in told:
        assert one.dtype == np.float32
        assert one.mean() == pytest.approx(3, abs=0.3)
        assert one.std() == pytest.approx(2, abs=0.2)
        like = np.corrcoef(one.ravel(), np.asarray(cond.tokens).ravel())[0, 1]
        assert like == pytest.approx(0.4**0.5, abs=0.1)  # the share of what was asked for
    assert np.abs(told[0] - told[1]).mean() > 0.5
    assert Chaos(60, 5, [0], make).told(0, cond, 0.3)[0] is cond


def test_the_chaos_of_a_picture_is_its_own() -> None:
    cond = features()
    many, alone = (Chaos(60, 5, numbers, np.asarray) for numbers in ([0, 1, 2], [2]))
    np.testing.assert_array_equal(many.told(1, cond, 0.9)[2].tokens, alone.told(1, cond, 0.9)[0].tokens)
    np.testing.assert_array_equal(many.scales(4.0)[2:], alone.scales(4.0))
    first, again = (many.told(0, cond, 1.0)[0].tokens for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - many.told(1, cond, 1.0)[0].tokens).mean() > 0.1  # parts differ


def test_guidance_differs_by_up_to_half_of_what_it_adds() -> None:
    scales = Chaos(100, 5, range(200), np.asarray).scales(5.0).ravel()
    assert scales.min() >= 1 + 4 * 0.5
    assert scales.max() <= 1 + 4 * 1.5
    assert scales.std() > 0.5
    np.testing.assert_array_equal(Chaos(100, 5, [0, 1], np.asarray).scales(1.0).ravel(), [1, 1])


def test_rows_of_a_chaotic_request_are_called_and_gathered_each_by_itself() -> None:
    x_t, t = np.arange(3, dtype=np.float32)[:, None, None, None], np.full(3, 0.9, dtype=np.float32)
    conditions = Conditions({0: features(), WITHOUT: features()}, Chaos(50, 1, [0, 1, 2], np.asarray))
    calls = conditions.calls((0, WITHOUT), x_t, t, 0.9)
    assert [len(call.args[0]) for call in calls] == [1, 1, 1, 3]
    found = conditions.gather((0, WITHOUT), [call.args[0] for call in calls], 3)
    np.testing.assert_array_equal(found[0], x_t)
    np.testing.assert_array_equal(found[WITHOUT], x_t)


@pytest.mark.parametrize("make", MAKES)
def test_rolls_are_undone_and_belong_to_the_picture_and_the_step(make: Make) -> None:
    x = make(np.random.default_rng(0).standard_normal((3, 2, 6, 8), dtype=np.float32))
    rolls = Rolls(7, [0, 1, 2], (6, 8), 4)
    seen = [np.asarray(rolls.there(x, step)) for step in range(4)]
    assert not all(np.array_equal(one, seen[0]) for one in seen[1:])
    for step in range(4):
        np.testing.assert_array_equal(np.asarray(rolls.back(rolls.there(x, step), step)), np.asarray(x))
    alone = Rolls(7, [2], (6, 8), 4).there(x[2:3, ...], 3)
    np.testing.assert_array_equal(np.asarray(alone), seen[3][2:])


def test_every_corner_is_rolled_to() -> None:
    x = np.zeros((1, 1, 3, 3), dtype=np.float32)
    x[0, 0, 0, 0] = 1
    rolls = Rolls(7, [0], (3, 3), 60)
    assert {int(rolls.there(x, step).argmax()) for step in range(60)} == set(range(9))


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("grid", [(6, 8), (2, 3)])
def test_around_a_picture_lies_its_other_side(make: Make, grid: tuple[int, int]) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, *grid), dtype=np.float32)
    wide = np.asarray(around(make(x)))
    np.testing.assert_array_equal(inside(wide, grid, 1), x)
    k = (wide.shape[2] - grid[0]) // 2
    np.testing.assert_array_equal(
        np.roll(inside(wide, grid, 1), 1, axis=2)[:, :, 0], inside(wide, grid, 1)[:, :, -1]
    )
    np.testing.assert_array_equal(wide[:, :, k - 1], wide[:, :, k - 1 + grid[0]])


def test_a_tile_is_scaled_as_if_it_went_on() -> None:
    x = np.random.default_rng(0).random((1, 1, 8, 8)).astype(np.float32)
    turned = resize_wrapped(np.roll(x, (4, 4), axis=(2, 3)), (16, 16))
    np.testing.assert_allclose(np.roll(turned, (-8, -8), axis=(2, 3)), resize_wrapped(x, (16, 16)), atol=1e-6)


def test_stopping_takes_a_share_of_the_steps_but_at_least_one() -> None:
    assert [last_step(12, percent) for percent in (None, 100, 50, 10, 1)] == [12, 12, 6, 1, 1]


def test_what_is_off_is_left_out() -> None:
    given = {
        "chaos": 0,
        "weird": 0,
        "tile": False,
        "stop": 100,
        "solver": None,
        "num_steps": 5,
        "parts": [["a", 1]],
    }
    assert on(given) == {"num_steps": 5, "parts": [["a", 1]]}
    assert on({"chaos": 1, "tile": True, "stop": 99}) == {"chaos": 1, "tile": True, "stop": 99}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"chaos": 101}, "chaos must be a whole number from 0 to 100; got 101"),
        ({"chaos": 5.5}, "chaos must be a whole number from 0 to 100; got 5.5"),
        ({"weird": -1}, "weird must be a whole number from 0 to 3000; got -1"),
        ({"stop": 0}, "stop must be a whole number from 1 to 100; got 0"),
        ({"parts": []}, "from 1 to 16 parts; got 0"),
        ({"parts": [["a", 0.5]] * 17}, "from 1 to 16 parts; got 17"),
        ({"parts": [["a", 0.5]]}, "must add up to 1"),
        ({"parts": [["a", 1.0], ["b", float("nan")]]}, "must add up to 1"),
        ({"parts": [["a", 201.0], ["b", -200.0]]}, "none may pass 100"),
    ],
)
def test_what_is_out_of_range_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_steering(settings)
