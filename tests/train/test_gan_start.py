"""What adversarial runs start from: an earlier run, a finished model, a first stage; what does not fit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pictura.core.errors import ConfigError, ModelError
from pictura.train.gans.gan import _take_over
from pictura.train.start import read_start
from tests.train.gan_kit import gan_recipe, make_matcher, parts_of
from tests.train.kit import make_recipe, make_set, run
from tests.train.test_loop import saved


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `set` and a matcher that knows its colours; each test names its run."""
    folder = tmp_path_factory.mktemp("starts")
    make_set(folder / "set")
    make_matcher(folder)
    return folder


def test_a_run_that_starts_from_a_run_takes_its_discriminators_along(root: Path) -> None:
    old = run(gan_recipe(name="old"), root)
    old.train()
    new = run(gan_recipe(name="new", model={"init_from": "runs/old", "preset": "xs"}), root)
    assert new.step == 0
    weights = saved(old).weights
    for name, value in new.module.state_dict().items():
        source = "model" if name.startswith("discriminators.") else "ema_long"
        assert torch.equal(value, weights[source][name]), name


def test_a_run_that_starts_from_a_finished_model_has_fresh_discriminators(root: Path) -> None:
    old = run(gan_recipe(name="finished"), root)
    old.train()
    start = read_start("runs/finished", root)
    weights = {k: v for k, v in start.weights.items() if not k.startswith("discriminators.")}
    fresh = parts_of(run(gan_recipe(name="fresh"), root))[0].module
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    _take_over(fresh, replace(start, weights=weights))
    for name, value in fresh.state_dict().items():
        source = before if name.startswith("discriminators.") else weights
        assert torch.equal(value, source[name]), name


STAGES = {"text_width": 16, "width": 8, "discriminator_width": 8, "base_size": 16}


def test_a_second_stage_takes_over_the_first_and_leaves_it_as_it_is(root: Path) -> None:
    first = run(gan_recipe(name="first", model={"preset": "small-1", "gan": STAGES}), root)
    first.train()
    second_recipe = gan_recipe(
        name="second",
        data={"size": 32},
        model={"preset": "small-2", "gan": STAGES, "init_from": "runs/first"},
    )
    second = run(second_recipe, root)
    second.train()
    taken = saved(first).weights["ema_long"]
    for name, value in taken.items():
        key = name.replace("generator.", "generator.stage_1.")
        assert torch.equal(saved(second).weights["model"][key], value), name
        assert torch.equal(saved(second).weights["ema_long"][key], value), name
    assert run(second_recipe, root).step == 4  # goes on from itself, not from the first stage

    other = {**STAGES, "width": 16}
    with pytest.raises(ModelError, match=r"The first stage's weight .* Give both stages the same widths"):
        run(gan_recipe(**_with(second_recipe, name="other", gan=other)), root)


def _with(recipe: Any, *, name: str, gan: dict[str, Any]) -> dict[str, Any]:
    model = {"preset": recipe.model.preset, "init_from": recipe.model.init_from, "gan": gan}
    return {"name": name, "data": {"size": recipe.data.size}, "model": model}


def test_other_networks_to_start_from_are_named(root: Path) -> None:
    run(gan_recipe(name="narrow"), root).save()
    with pytest.raises(
        ConfigError,
        match=r"^model\.init_from must hold discriminators\.\S+ of shape \(\d.*\); got \(.*\)\. "
        r"Leave model\.preset and model\.gan out to take its networks\.$",
    ):
        run(
            gan_recipe(name="wide", model={"init_from": "runs/narrow", "gan": {"discriminator_width": 16}}),
            root,
        )
    with pytest.raises(ConfigError, match=r"^model\.init_from is 'runs/damsm', which holds no gan\.$"):
        run(gan_recipe(name="none", model={"init_from": "runs/damsm"}), root)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"training": {"accumulate": 2}},
            "training.accumulate must be 1 for the task 'stackgan'; got 2. Take a larger batch_size instead.",
        ),
        (
            {"training": {"batch_size": 1}},
            "training.batch_size must be at least 2 for the task 'stackgan', whose wrong sentences are those "
            "of other pictures; got 1.",
        ),
        (
            {"data": {"size": 32}},
            "data.size is 32, but the generator paints at 16 pixels. Make them equal.",
        ),
        (
            {"model": {"text": ""}},
            "A recipe of the task 'stackgan' needs model.text: the run of a DAMSM, whose text tower reads "
            "the captions. Train one first: pictura train recipes/damsm.toml",
        ),
        (
            {"model": {"gan": {"text_width": 24}}},
            "model.preset 'micro' reads sentences of 24 numbers, but those of 'runs/damsm' have 16. "
            "Train a DAMSM with model.damsm.width = 24.",
        ),
        (
            {"model": {"fidelity": "papre"}},
            "StackGANConfig.fidelity must be 'paper' or 'code'; got 'papre'.",
        ),
    ],
)
def test_what_does_not_fit_is_said_word_for_word(root: Path, tables: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        run(gan_recipe(name="refused", **tables), root)
    assert str(refusal.value) == message


def test_a_text_tower_must_be_that_of_a_matcher(root: Path) -> None:
    run(make_recipe(name="painter"), root).save()
    with pytest.raises(ConfigError, match=r"^model\.text is 'runs/painter', which holds no DAMSM\.$"):
        run(gan_recipe(name="refused", model={"text": "runs/painter"}), root)
