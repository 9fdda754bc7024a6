"""Each guard, shown what it must object to and what it must let pass."""

import json
import math

import pytest

from pictura.learn.guards import Finding, Guards
from pictura.learn.recipe import GuardSettings


def guards(**settings: float) -> Guards:
    return Guards(GuardSettings(**settings))  # type: ignore[arg-type]


def look(over: Guards, key: str, *numbers: float) -> list[Finding | None]:
    found = [over.look({key: number}) for number in numbers]
    return [one[0] if one else None for one in found]


def actions(over: Guards, key: str, *numbers: float) -> list[str]:
    return [one.action if one else "" for one in look(over, key, *numbers)]


def test_the_first_ratio_must_be_one() -> None:
    assert actions(guards(), "first_ratio_error", 0.0, 9e-5, 2e-4, math.nan) == ["", "", "stop", "stop"]
    (found,) = look(guards(), "first_ratio_error", 7e-4)
    assert found is not None
    assert found.reason == (
        "before the first step a ratio of probabilities was 0.0007 off 1, at most 0.0001 is rounding: "
        "painting and learning disagree on what was painted"
    )


def test_a_spike_is_skipped_and_the_third_stops() -> None:
    over = guards()
    assert actions(over, "grad_norm", *[1.0] * 5, 9.9) == [""] * 6
    assert actions(over, "grad_norm", 10.1, math.nan, math.inf) == ["skip", "skip", "stop"]
    (found,) = look(over, "grad_norm", 50.0)
    assert found is not None
    assert found.reason == "the gradient's norm was 50, 10 times the usual 1 at most (4 of 3 times)"


def test_spikes_long_ago_are_forgiven() -> None:
    over = guards()
    assert actions(over, "grad_norm", *[1.0] * 5, 11.0, 11.0)[-2:] == ["skip", "skip"]
    assert actions(over, "grad_norm", *[1.0] * 50, 11.0)[-1] == "skip"


def test_the_usual_gradient_is_that_of_the_last_steps_and_no_spike_counts() -> None:
    over = guards()
    assert actions(over, "grad_norm", *(1.4**i for i in range(12))) == [""] * 12
    assert actions(over, "grad_norm", 1e9)[-1] == "skip"
    assert actions(over, "grad_norm", 1.4**12) == [""]


def test_groups_without_spread_stop_it_after_ten_updates() -> None:
    over = guards()
    assert actions(over, "zero_std", *[0.9] * 9, 0.8, *[0.9] * 10) == [""] * 19 + ["stop"]


def test_too_far_from_the_reference_the_rate_is_halved_three_times_before_the_stop() -> None:
    over = guards(max_kl=0.1)
    said = actions(over, "kl", *[0.2] * 31)
    assert [(i, s) for i, s in enumerate(said) if s] == [
        (0, "slow"),
        (10, "slow"),
        (20, "slow"),
        (30, "stop"),
    ]
    assert actions(guards(max_kl=0.1), "kl", 0.1, math.nan) == ["", "stop"]
    assert actions(guards(max_kl=0), "kl", 9.0) == [""]


def test_a_reward_that_often_cannot_tell_stops_it() -> None:
    assert actions(guards(), "invalid", 0.05, 0.06) == ["", "stop"]


def test_two_falls_of_a_held_out_score_stop_it_and_one_does_not() -> None:
    assert actions(guards(), "held_out/drop", 2.5, 1.9, 2.5, math.inf) == ["", "", "", "stop"]


def test_a_loss_of_diversity_stops_it() -> None:
    assert actions(guards(), "held_out/diversity_share", 1.2, 0.6, 0.59) == ["", "", "stop"]
    assert actions(guards(), "held_out/diversity_share", math.nan) == ["stop"]


def test_tokens_that_lose_half_their_entropy_stop_it() -> None:
    assert actions(guards(), "entropy", 2.0, 3.0, 1.0, 0.99) == ["", "", "", "stop"]
    assert actions(guards(min_entropy=0.9), "entropy", 2.0, 1.7) == ["", "stop"]
    assert actions(guards(min_entropy=0.0), "entropy", 2.0, 0.0, math.nan) == ["", "", "stop"]
    over = guards()
    (_, found) = look(over, "entropy", 2.0, 0.5)
    assert found is not None
    assert found.limit == over.state()["entropy"]["limit"] == 1.0
    assert found.reason == (
        "the law of a token has 0.5 nats of entropy, at least 1 are wanted (50% of the start's): the policy "
        "paints ever the same"
    )


def test_a_guard_that_a_saved_run_did_not_have_starts_anew() -> None:
    saved = guards().state()
    del saved["entropy"]
    resumed = guards()
    resumed.load(saved)
    assert actions(resumed, "entropy", 2.0, 0.9) == ["", "stop"]


def test_a_guard_says_nothing_of_what_it_does_not_see() -> None:
    assert guards().look({"reward": math.nan}) == ()


@pytest.mark.parametrize(
    ("key", "numbers"),
    [
        ("grad_norm", [1.0] * 6 + [20.0, 20.0]),
        ("zero_std", [0.9] * 9),
        ("kl", [1.0] * 15),
        ("held_out/drop", [3.0]),
        ("entropy", [2.0, 0.9]),
    ],
)
def test_what_they_remember_is_saved(key: str, numbers: list[float]) -> None:
    straight, stopped, resumed = guards(), guards(), guards()
    actions(straight, key, *numbers)
    actions(stopped, key, *numbers)
    resumed.load(json.loads(json.dumps(stopped.state())))
    assert actions(resumed, key, *[numbers[-1]] * 30) == actions(straight, key, *[numbers[-1]] * 30)
    assert actions(guards(), key, *[numbers[-1]] * 30) != actions(straight, key, *[numbers[-1]] * 30)
