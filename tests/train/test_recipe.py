"""Recipes: typed, checked, never guessed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pictura.cli.export import read_card
from pictura.core.errors import ConfigError
from pictura.learn.recipe import load_learn_recipe
from pictura.reward.registry import REWARDS
from pictura.train.recipe import SAMPLING, Recipe, from_table, load_recipe, to_table

FOLDER = Path(__file__).resolve().parents[2] / "recipes"
OTHERS = {FOLDER / "ladder.toml", FOLDER / "lexicon.toml"}
"""Not of training."""
FILES = sorted(set(FOLDER.glob("*.toml")) - OTHERS)
CARDS = [path for path in FILES if path.stem.endswith("-card")]
LEARN = [path for path in FILES if "[algorithm]" in path.read_text(encoding="utf-8")]
RECIPES = [path for path in FILES if path not in CARDS + LEARN]


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.name)
def test_every_recipe_of_ours_is_valid(path: Path) -> None:
    assert load_recipe(path).name


def test_every_recipe_for_learning_of_ours_is_valid() -> None:
    for path in LEARN:
        recipe = load_learn_recipe(path)
        for table in recipe.rewards:
            assert table["name"] in REWARDS, path


@pytest.mark.parametrize("path", CARDS, ids=lambda p: p.name)
def test_every_card_of_ours_is_valid(path: Path) -> None:
    assert read_card(path).data


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"training": {"learning_rat": 1}}, "no setting 'learning_rat'. Did you mean 'learning_rate'"),
        ({"training": {"batch_size": "many"}}, "batch_size must be of type int; got 'many'"),
        ({"training": {"batch_size": True}}, "batch_size must be of type int; got True"),
        ({"training": {"batch_size": 0}}, "batch_size must be at least 1; got 0"),
        ({"training": {"optimizer": "adam"}}, "must be 'adamw' or 'muon'; got 'adam'"),
        ({"training": 3}, "training must be a table; got 3"),
        ({"sampling": {"guidance_interval": [1]}}, "guidance_interval must be a list of 2 values"),
        ({"training": {"caption_dropout": 2}}, r"caption_dropout must be in \[0, 1\]; got 2"),
        ({"log": {"keep_checkpoints": 0}}, "log.keep_checkpoints must be at least 1; got 0"),
        ({"task": "flwo"}, "got 'flwo'. Did you mean 'flow'?"),
        ({"name": ""}, "names a folder: letters, digits, .*; got ''"),
        ({"name": "../x"}, r"names a folder: .*; got '\.\./x'"),
    ],
)
def test_a_wrong_setting_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        from_table(Recipe, {"task": "flow", "name": "x", **table}, "recipe.toml")


def test_every_setting_stands_on_the_page_with_its_default() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    recipe = to_table(from_table(Recipe, {"task": "flow", "name": "x"}, "here"))
    tables = {name: table for name, table in recipe.items() if isinstance(table, dict)}
    for name, table in {**tables, "sampling": to_table(SAMPLING)}.items():
        section = page.partition(f"| `[{name}]` |")[2].partition("\n\n")[0]
        assert [key for key in table if f"`{key}`" not in section] == []
        for key, value in table.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and value:
                (row,) = [line for line in section.splitlines() if f"`{key}`" in line]
                told = [
                    float(number.replace(",", ""))
                    for number in re.findall(r"\d[\d,.]*(?:e-\d+)?(?=[ ,|])", row)
                ]
                assert float(value) in told, f"{name}.{key} is {value}"


def test_a_missing_name_is_named() -> None:
    with pytest.raises(ConfigError, match="the setting 'name' is missing"):
        from_table(Recipe, {"task": "flow"}, "recipe.toml")


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("task = ")
    with pytest.raises(ConfigError, match=r"bad\.toml is not valid TOML"):
        load_recipe(tmp_path / "bad.toml")


def test_a_recipe_survives_json() -> None:
    recipe = from_table(Recipe, {"task": "flow", "name": "x", "log": {"prompts": ["a cat"]}}, "here")
    assert from_table(Recipe, json.loads(json.dumps(to_table(recipe))), "there") == recipe
