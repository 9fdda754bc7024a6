"""What is tested on was never learnt from."""

from pathlib import Path

import pytest

from pictura.core.errors import ConfigError, DataError
from pictura.core.types import Claim, Demand, Prompt
from pictura.learn.prompts import HeldOutPrompts, Lines, TrainingPrompts, asked_for, split_prompts
from pictura.learn.recipe import PromptSettings


def pair(relation: str | None, *things: str) -> Prompt:
    return Prompt(text="…", claim=Claim(objects=tuple(Demand(thing=t) for t in things), relation=relation))


def test_words_and_places_do_not_make_another_composition() -> None:
    assert asked_for(pair("left of", "a fox", "a cup")) == asked_for(pair("right of", "a cup", "a fox"))
    assert asked_for(pair(None, "a fox", "a cup")) == asked_for(pair("above", "a fox", "a cup"))
    assert asked_for(pair(None, "a fox", "a cup")) != asked_for(pair(None, "a fox", "a cat"))
    assert asked_for(Prompt(text=" A  Fox ")) == asked_for(Prompt(text="a fox"))


def test_no_composition_is_on_both_sides() -> None:
    training, kept = split_prompts(PromptSettings(), Path(), seed=3, num_held_out=64)
    tested = {asked_for(prompt) for prompt in kept.prompts}
    learnt = {asked_for(prompt) for update in range(30) for prompt in training.batch(update, 32)}
    assert len(kept.prompts) == len({prompt.text for prompt in kept.prompts}) == 64
    assert len({prompt.kind for prompt in kept.prompts}) == 6
    assert len(learnt) > 400
    assert not tested & learnt


def test_another_seed_learns_from_others_and_is_tested_on_the_same() -> None:
    (one, kept), (other, kept_too) = (
        split_prompts(PromptSettings(), Path(), seed=seed, num_held_out=8) for seed in (1, 2)
    )
    assert kept == kept_too
    assert one.batch(0, 8) != other.batch(0, 8)
    assert one.batch(5, 8) == one.batch(5, 8) != one.batch(6, 8)
    assert one.batch(5, 8)[:4] == one.batch(5, 4)


def test_a_mix_with_too_little_to_keep_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pictura.learn.prompts._MOST_TRIES", 1)
    settings = PromptSettings(
        mix={"single": 1.0, "two": 0, "count": 0, "colour": 0, "position": 0, "binding": 0}
    )
    with pytest.raises(
        ConfigError, match=r"held_out\.prompts is 300, but prompts\.mix gives only \d+ different"
    ):
        split_prompts(settings, Path(), seed=0, num_held_out=300)


def test_lines_come_in_turns_and_a_tenth_is_kept(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("\n".join(f"thing {i}" for i in range(40)) + "\n\nthing 3\n")
    settings = PromptSettings(kind="lines", path="lines.txt")
    training, kept = split_prompts(settings, tmp_path, seed=0, num_held_out=64)
    assert len(kept.prompts) == 4
    one_turn = [prompt.text for update in range(6) for prompt in training.batch(update, 6)]
    assert len(set(one_turn)) == 36
    assert not set(one_turn) & {prompt.text for prompt in kept.prompts}
    assert training.batch(6, 6) != training.batch(0, 6)


def test_a_prompt_that_is_tested_on_is_never_handed_out() -> None:
    fox = Prompt(text="a fox")
    training = TrainingPrompts(Lines([fox], seed=0), HeldOutPrompts((fox,)))
    with pytest.raises(DataError, match="'a fox' is kept for testing"):
        training.batch(0, 1)


def test_a_file_needs_two_lines(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("a fox\nA fox\n")
    settings = PromptSettings(kind="lines", path="lines.txt")
    with pytest.raises(DataError, match=r"at least 2 different lines.* got 1"):
        split_prompts(settings, tmp_path, seed=0, num_held_out=4)
    with pytest.raises(DataError, match="cannot be read"):
        split_prompts(PromptSettings(kind="lines", path="none.txt"), tmp_path, seed=0, num_held_out=4)
