"""Recipes for learning: what is refused, and in which words."""

from pathlib import Path

import pytest

from pictura.core.errors import ConfigError
from pictura.core.tables import from_table
from pictura.learn.recipe import LearnRecipe, check_groups, load_learn_recipe

MINIMAL = 'name = "x"\n[[rewards]]\nname = "judge"\n'


def recipe(**tables: object) -> LearnRecipe:
    return from_table(LearnRecipe, {"name": "x", "rewards": [{"name": "judge"}], **tables}, "recipe.toml")


def load(tmp_path: Path, text: str) -> LearnRecipe:
    (tmp_path / "r.toml").write_text(text)
    return load_learn_recipe(tmp_path / "r.toml")


def test_a_name_and_a_reward_are_enough(tmp_path: Path) -> None:
    made = load(tmp_path, MINIMAL)
    assert made.algorithm == {"name": "nft"}
    assert made.rollout.guidance_scale == 1
    assert made.model.base == "default"


def test_a_reward_of_the_command_line_stands_for_those_of_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(MINIMAL)
    made = load_learn_recipe(tmp_path / "r.toml", rewards=({"name": "mine:score"},))
    assert made.rewards == ({"name": "mine:score"},)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('name = "x"\n', r"at least one \[\[rewards\]\] table, or --reward my_module:score"),
        (MINIMAL + "[trainig]\n", "there is no setting 'trainig'. Did you mean 'training'?"),
        (
            MINIMAL + "[prompts]\ngroupsize = 8\n",
            "there is no setting 'groupsize'. Did you mean 'group_size'?",
        ),
        (MINIMAL + "[held_out]\nscore = 'judge'\n", "there is no setting 'score'"),
        (MINIMAL + '[prompts]\nkind = "films"\n', "must be 'claims' or 'lines'; got 'films'"),
        (MINIMAL + '[prompts]\nkind = "lines"\n', "path goes with kind 'lines' alone; got '' with 'lines'"),
        (MINIMAL + '[model]\nweights = "half"\n', "must be 'low_rank' or 'full'; got 'half'"),
        (MINIMAL + "[training]\nlearning_rate = 0\n", "learning_rate must be above 0; got 0.0"),
        (MINIMAL + "[training]\nnum_updates = 0\n", "num_updates must be at least 1; got 0"),
        (MINIMAL + "[held_out]\nseeds = 1\n", "held_out.seeds must be at least 2; got 1"),
        ('name = "../x"\n[[rewards]]\nname = "judge"\n', "names a folder"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(tmp_path, text)


def test_groups_are_shared_out_whole() -> None:
    made = recipe(prompts={"per_update": 12, "group_size": 8}, training={"steps_per_update": 2})
    assert check_groups(made, 3, compares=True) == 8
    made = recipe(prompts={"per_update": 12, "group_size": 8}, training={"micro_batch": 48})
    assert check_groups(made, 2, compares=True) == 48


@pytest.mark.parametrize(
    ("prompts", "training", "processes", "words"),
    [
        ((16, 16), {}, 3, r"steps_per_update x processes = 1 x 3, so that each has whole groups; got 16"),
        ((16, 16), {"steps_per_update": 3}, 2, r"= 3 x 2, so that each has whole groups; got 16"),
        ((16, 1), {}, 1, "at least 2, since 'nft' compares pictures of one prompt; got 1"),
        ((16, 16), {"micro_batch": 8}, 1, "multiple of prompts.group_size = 16 .* got 8"),
        (
            (16, 16),
            {"micro_batch": 48},
            2,
            r"the 128 pictures of one process and step \(16 prompts x 16 / 1 steps / 2 processes\); got 48",
        ),
    ],
)
def test_impossible_groups_are_refused_with_the_numbers(
    prompts: tuple[int, int], training: dict[str, int], processes: int, words: str
) -> None:
    made = recipe(prompts={"per_update": prompts[0], "group_size": prompts[1]}, training=training)
    with pytest.raises(ConfigError, match=words):
        check_groups(made, processes, compares=True)


def test_who_compares_nobody_needs_no_groups() -> None:
    assert check_groups(recipe(prompts={"per_update": 4, "group_size": 1}), 2, compares=False) == 1
