"""What a recipe's data stand for: captions are drawn when they teach something, and once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pictura.core.errors import ConfigError
from pictura.data.glyphs import GlyphSet
from pictura.data.scenes.source import Scene, SceneSource
from pictura.data.vocabulary.world import World
from pictura.train.checkpoint import find_latest, load
from pictura.train.materials import CAPTION_BATCHES, Captions, load_materials
from tests.data.scene_kit import pack_of_two_splits, tiny_world
from tests.train.kit import make_recipe, make_set, run


def test_captions_are_drawn_on_demand_and_once() -> None:
    visits = []

    def draw() -> Iterator[str]:
        visits.append(1)
        yield from ("a red fox", "a red ball")

    captions = Captions(draw)
    assert visits == []
    assert captions.words() == ["a", "red", "fox", "ball"]
    learnt = captions.tokenizer(vocab_size=270, max_tokens=8)
    assert len(visits) == 1
    again = Captions(draw, learnt=learnt.to_text()).tokenizer(vocab_size=999, max_tokens=8)
    assert again.to_text() == learnt.to_text()
    assert len(visits) == 1


def test_scenes_are_drawn_for_a_tokenizer_that_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def scenes(source: SceneSource, position: int, size: int) -> list[Scene]:
        drawn.append(position)
        return real(source, 0, 1)

    real = SceneSource.scenes
    monkeypatch.setattr(SceneSource, "scenes", scenes)
    monkeypatch.setattr(GlyphSet, "load", lambda *_, **__: pack_of_two_splits())
    monkeypatch.setattr(World, "load", tiny_world)
    recipe = make_recipe(data={"kind": "scenes", "path": ".", "size": 16, "compositions": True})
    first = load_materials(recipe, tmp_path, torch.device("cpu"))
    assert drawn == []
    tokenizer = first.captions.tokenizer(vocab_size=300, max_tokens=8)
    assert drawn == list(range(CAPTION_BATCHES))
    after = load_materials(recipe, tmp_path, torch.device("cpu"), learnt=tokenizer.to_text())
    assert after.captions.words() == []
    assert len(drawn) == CAPTION_BATCHES


def test_a_painter_of_many_shapes_says_which_and_trains_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GlyphSet, "load", lambda *_, **__: pack_of_two_splits())
    monkeypatch.setattr(World, "load", tiny_world)
    data = {"kind": "scenes", "path": ".", "size": 32, "aspects": 1.0, "compositions": True}
    recipe = make_recipe(data=data)
    painter = run(recipe, tmp_path)
    seen = {tuple(painter.materials.train.batch(p, 1).images.shape[2:]) for p in range(40)}
    painter.train()
    painter.save()
    saved = load(find_latest(painter.folder / "checkpoints"))  # type: ignore[arg-type]
    assert saved.step == 4
    assert {tuple(grid) for grid in saved.config["grids"]} == {(32, 32), *seen}
    assert len(seen) == 8


def test_other_shapes_are_for_painters_of_scenes() -> None:
    with pytest.raises(ConfigError, match=r"data\.kind 'scenes'.* got 'captioned'"):
        make_recipe(data={"aspects": 0.5})
    with pytest.raises(ConfigError, match=r"task 'flow'.* got 'autoencoder'"):
        make_recipe(task="autoencoder", data={"kind": "scenes", "aspects": 0.5})
    with pytest.raises(ConfigError, match=r"from 0 to 1; got 2"):
        make_recipe(data={"kind": "scenes", "aspects": 2.0})


def test_a_run_that_goes_on_learns_no_tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_set(tmp_path / "set")
    before = run(make_recipe(), tmp_path)
    before.save()
    monkeypatch.setattr("pictura.train.materials.Tokenizer.train", None)
    assert run(make_recipe(), tmp_path).words == before.words


def test_training_captions_say_further_words_and_validation_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GlyphSet, "load", lambda *_, **__: pack_of_two_splits())
    monkeypatch.setattr(World, "load", tiny_world)
    table = {"kind": "scenes", "path": ".", "size": 16, "compositions": True, "synonyms": 1.0}
    made = load_materials(make_recipe(data=table), tmp_path, torch.device("cpu"))
    further = ("field mouse", "field mice", "crab apple", "cooking apple")
    assert any(word in c for c in made.train.batch(0, 60).captions for word in further)
    assert not any(word in c for c in made.validation.batch(0, 60).captions for word in further)
    monkeypatch.setattr("pictura.train.materials.CAPTION_BATCHES", 1)
    known = load_materials(make_recipe(data=table), tmp_path, torch.device("cpu")).captions.words()
    assert {"field", "cooking", "poodle", "doorway"} <= set(known)  # also where no caption said them
    assert "labrador" not in known
