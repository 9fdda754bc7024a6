"""What tests see, and that no setting can learn from it unnoticed."""

import math
from pathlib import Path

import pytest
import torch

from pictura.core.errors import ConfigError
from pictura.core.types import Claim, Demand, Prompt
from pictura.learn.held_out import HeldOutScores, _drop
from pictura.learn.measures import Means, distances, looks, spread
from pictura.learn.prompts import HeldOutPrompts
from tests.learn.loop_kit import ALONE, make_recipe, make_root, run

FOX = Prompt(text="a fox", claim=Claim(objects=(Demand(thing="fox"),)), kind="single")
CHECKED, UNCHECKED = HeldOutPrompts((FOX,)), HeldOutPrompts((Prompt(text="a fox"),))


@pytest.mark.parametrize(
    ("rewards", "counting"),
    [
        ([{"name": "judge"}], ("clip", "strict")),
        ([{"name": "judge", "partial": 0}], ("clip",)),
        ([{"name": "judge"}, {"name": "clip"}], ("strict",)),
        ([{"name": "judge"}, {"name": "clip", "weight": 0}], ("clip", "strict")),
        ([{"name": "brightness"}], ("clip", "strict")),
    ],
)
def test_what_is_learnt_from_does_not_count(
    rewards: list[dict[str, object]], counting: tuple[str, ...]
) -> None:
    scores = HeldOutScores(rewards, CHECKED, "cpu")
    assert scores.names == counting
    assert ("does not count: the recipe learns from it" in scores.note) == (len(counting) == 1)


def test_a_recipe_that_learns_from_all_tests_is_refused() -> None:
    both: list[dict[str, object]] = [{"name": "clip"}, {"name": "judge", "partial": 0}]
    with pytest.raises(ConfigError, match=r"learns from all that it could be tested by \(clip, strict\)"):
        HeldOutScores(both, CHECKED, "cpu")
    with pytest.raises(ConfigError, match=r"could be tested by \(clip\)"):
        HeldOutScores([{"name": "clip"}], UNCHECKED, "cpu")


def test_prompts_that_nobody_can_check_are_scored_by_likeness_alone() -> None:
    scores = HeldOutScores([{"name": "judge"}], UNCHECKED, "cpu")
    assert scores.names == ("clip",)
    rows = scores.rows(torch.rand(2, 3, 16, 16), [UNCHECKED.prompts[0]] * 2, 2)
    assert set(rows) == {"clip", "diversity"}
    assert rows["clip"].shape == rows["diversity"].shape == (1,)


def test_falls_are_measured_prompt_by_prompt() -> None:
    assert _drop([0.1, 0.9, 0.5], [0.2, 0.9, 0.5]) == 0
    assert _drop([0.1, 0.9, 0.5], [0.0, 0.8, 0.4]) > 1e6  # all fell by the same: no chance about it
    assert _drop([1.0, 1.0], [0.0, 0.0]) == math.inf
    # falls 0 and 2: mean 1, standard deviation sqrt 2, standard error 1
    assert _drop([1.0, 2.0], [1.0, 0.0]) == pytest.approx(1.0)


def test_tests_are_repeatable_and_start_at_zero(tmp_path: Path) -> None:
    done = run(make_recipe(), make_root(tmp_path))
    first = done.held_out.look(done.policy, done.actors.ema)
    assert first["held_out/total"] == first["held_out/drop"] == 0
    assert first["held_out/diversity_share"] == 1
    assert done.held_out.look(done.policy, done.actors.ema) == first
    grey = torch.zeros(3, 8, 8)
    same = done.held_out.look(done.policy, lambda x_t, t, cond: (x_t - grey) / t[:, None, None, None])
    assert same["held_out/diversity_share"] == pytest.approx(0, abs=1e-5)
    assert same["held_out/luminance"] == pytest.approx(0.5, abs=1e-5)
    assert done.process == ALONE


def test_looks_of_known_pictures() -> None:
    images = torch.zeros(2, 3, 4, 4)
    images[1, 0] = 1.0
    seen = looks(torch.full((2, 4, 2, 2), -3.0), images)
    assert seen["x0_norm"].tolist() == [3, 3]
    assert seen["luminance"].tolist() == pytest.approx([0, 0.2126])
    assert seen["saturation"].tolist() == [0, 1]
    assert seen["high_frequency"].tolist() == [0, 0]
    images[0, :, :, ::2] = 1.0  # stripes: every neighbour across differs, none below
    assert looks(images, images)["high_frequency"][0] == pytest.approx(0.5)


def test_pictures_that_are_alike_have_no_spread() -> None:
    images = torch.rand(2, 3, 16, 16).repeat_interleave(3, 0)
    assert spread(images, 3).tolist() == pytest.approx([0, 0], abs=1e-6)
    images[0] = 1 - images[0].round()
    assert spread(images, 3)[0] > 0.05


def test_distances_of_known_features() -> None:
    features = torch.tensor([[1.0, 0], [1, 0], [1, 0], [0, 1]])
    assert distances(features, 2).tolist() == [0, 1]


def test_numbers_are_averaged_by_weight_but_for_the_largest() -> None:
    means = Means()
    means.add({"loss": 1.0, "ratio_error_max": 3.0}, 1)
    means.add({"loss": 4.0, "ratio_error_max": 2.0, "kl": 0.5}, 3)
    assert means.alone() == {"loss": 3.25, "kl": 0.5, "ratio_error_max": 3.0}
    assert means.over(ALONE) == means.alone()
