"""What an attempt is given: the recipe that comes with Pictura, and a folder to go on with until its end."""

from importlib.resources import files
from pathlib import Path

import pytest

from pictura.cli.from_ratings import RECIPE
from pictura.core.errors import ConfigError
from pictura.learn.taste.study import RESULT, folder_for, recipe_for
from pictura.store.models import EMBEDDED, read_model
from pictura.train.recipe import read_toml

ROOT = Path(__file__).resolve().parents[3]


def test_the_recipe_inside_is_the_one_that_was_run(tmp_path: Path) -> None:
    inside = Path(str(files("pictura.learn.taste") / RECIPE))
    assert inside.read_text() == (ROOT / "recipes" / RECIPE).read_text()
    flow = read_model(EMBEDDED / "flow")
    made = recipe_for(read_toml(inside), flow, tmp_path / "head", "flow-rated-1")
    assert (made.name, made.rewards[0]["model"]) == ("flow-rated-1", str(tmp_path / "head"))
    assert made.algorithm["guidance_scale"] == made.rollout.guidance_scale == flow.sampling.guidance_scale


def test_what_a_recipe_does_not_say_comes_from_the_base(tmp_path: Path) -> None:
    flow = read_model(EMBEDDED / "flow")
    table = {"rewards": [{"name": "preference"}], "algorithm": {"name": "backprop"}}
    made = recipe_for(table, flow, tmp_path, "x-1")
    usual = flow.sampling
    assert (made.rollout.num_steps, made.rollout.solver, made.rollout.shift) == (
        usual.num_steps,
        usual.solver,
        usual.shift,
    )
    assert made.algorithm["guidance_interval"] == usual.guidance_interval
    assert (
        "guidance_scale"
        not in recipe_for({**table, "algorithm": {"name": "nft"}}, flow, tmp_path, "x").algorithm
    )
    with pytest.raises(ConfigError, match=r"needs one \[\[rewards\]\] table of the name 'preference'; got 0"):
        recipe_for({"rewards": [{"name": "judge"}]}, flow, tmp_path, "x-1")


def test_an_attempt_is_gone_on_with_until_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path / "home"))
    runs = tmp_path / "runs"
    assert folder_for(runs, "flow-rated") == runs / "flow-rated-1"
    (runs / "flow-rated-1").mkdir(parents=True)
    (runs / "flow-rated-x").mkdir()
    assert folder_for(runs, "flow-rated") == runs / "flow-rated-1"
    (runs / "flow-rated-1" / RESULT).write_text("{}")
    assert folder_for(runs, "flow-rated") == runs / "flow-rated-2"
    (tmp_path / "home" / "models" / "flow-rated-7").mkdir(parents=True)
    assert folder_for(runs, "flow-rated") == runs / "flow-rated-8", "a number is never used twice"
