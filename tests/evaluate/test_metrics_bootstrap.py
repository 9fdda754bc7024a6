"""Bootstrap intervals: do they hold the truth as often as they say, and are prompts drawn whole?"""

import numpy as np
import pytest

from pictura.core.errors import ConfigError, DataError
from pictura.evaluate.metrics.bootstrap import Interval, difference_interval, mean_interval

PROMPTS, EACH = 60, 4
LABELS = [i // EACH for i in range(PROMPTS * EACH)]


def holds(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def alike(rng: np.random.Generator) -> list[float]:
    """Values of mean 0.3 that agree within a prompt: half of the variance is the prompt's."""
    prompt = rng.normal(size=PROMPTS).repeat(EACH)
    return (0.3 + prompt + rng.normal(size=PROMPTS * EACH)).tolist()


def test_an_interval_holds_the_mean_about_95_times_in_100_if_prompts_are_drawn_whole() -> None:
    rng = np.random.default_rng(0)
    sets = [alike(rng) for _ in range(250)]
    whole = np.mean([holds(mean_interval(v, LABELS, rng, num_draws=300), 0.3) for v in sets])
    apart = np.mean([holds(mean_interval(v, range(len(v)), rng, num_draws=150), 0.3) for v in sets[:100]])
    assert 0.91 < whole < 0.98
    assert apart < 0.87  # as if four pictures of a prompt were four prompts


def test_the_value_is_the_mean_of_all_pictures() -> None:
    interval = mean_interval([1, 0, 0, 0, 0], ["a", "b", "b", "b", "b"], np.random.default_rng(0))
    assert interval.value == pytest.approx(0.2)


def test_strata_count_the_same_whatever_their_size() -> None:
    values, strata = [1.0] * 10 + [0.0] * 2, ["easy"] * 10 + ["hard"] * 2
    interval = mean_interval(values, range(12), np.random.default_rng(0), strata=strata)
    # No draw mixes tasks, so that nothing varies here.
    assert interval == Interval(value=0.5, low=0.5, high=0.5)


def test_a_wider_level_gives_a_wider_interval() -> None:
    values = alike(np.random.default_rng(1))
    narrow, wide = (
        mean_interval(values, LABELS, np.random.default_rng(0), level=level) for level in (0.5, 0.99)
    )
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_pairing_by_prompt_finds_a_difference_that_single_intervals_hide() -> None:
    rng = np.random.default_rng(2)
    hardness = rng.normal(size=PROMPTS).repeat(EACH)
    a = hardness + 0.25 + 0.3 * rng.normal(size=PROMPTS * EACH)
    b = hardness + 0.3 * rng.normal(size=PROMPTS * EACH)
    back = LABELS[::-1]  # the other model's pictures may come in another order
    paired = difference_interval(a, b[::-1], LABELS, back, rng)
    assert paired.value == pytest.approx(a.mean() - b.mean())
    assert paired.low > 0.1
    assert mean_interval(a, LABELS, rng).low < mean_interval(b, LABELS, rng).high


def test_a_difference_of_equals_holds_nothing_about_95_times_in_100() -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(300):
        hardness = rng.normal(size=PROMPTS).repeat(EACH)
        a, b = (hardness + rng.normal(size=PROMPTS * EACH) for _ in range(2))
        found.append(holds(difference_interval(a, b, LABELS, LABELS, rng, num_draws=300), 0))
    assert 0.91 < np.mean(found) < 0.98


def test_models_with_other_prompts_cannot_be_paired() -> None:
    with pytest.raises(
        DataError, match=r"paired only on the same prompts\. Leave out what one of them lacks"
    ):
        difference_interval([1, 2], [1, 2], ["a", "b"], ["a", "c"], np.random.default_rng(0))


def test_what_has_no_interval_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match=r"got values of shape \(0,\), 0 clusters, 0 strata"):
        mean_interval([], [], rng)
    with pytest.raises(DataError, match=r"at least 2 prompts; 'all' has 1"):
        mean_interval([1, 2], ["a", "a"], rng)
    with pytest.raises(DataError, match=r"Value 1 is NaN or infinite"):
        mean_interval([1, np.nan], ["a", "b"], rng)
    with pytest.raises(ConfigError, match=r"level must lie between 0 and 1; got 95"):
        mean_interval([1, 2], ["a", "b"], rng, level=95)
