"""A CLIP learns colours in seconds, goes on bit for bit where it stopped, and becomes a folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from pictura.cli.app import app
from pictura.core.errors import ConfigError
from pictura.core.types import Batch
from pictura.data.glyphs import GlyphSet
from pictura.data.scenes.contrast import Contrast, holds
from pictura.data.scenes.source import SceneSource
from pictura.data.vocabulary.world import World
from pictura.encode.clip.load import ClipModel
from pictura.encode.judges.judge import DetectorJudge, judge_of
from pictura.runtime.onnx_clip import OnnxClip
from pictura.store.models import read_model
from pictura.train.loop import Run
from pictura.train.recipe import Recipe
from pictura.train.tasks.clip import ClipTask, rivals
from tests.data.scene_kit import open_holdouts, pack_of_two_splits, tiny_pack, tiny_world
from tests.reward.kit import make_judge
from tests.train.kit import COLOURS, make_recipe, run


def make_pictures(folder: Path) -> Path:
    """Plain pictures of 64 px, captioned by their colour."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(60):
        name, colour = list(COLOURS.items())[index % 4]
        pixels = np.clip(np.array(colour) - rng.integers(0, 20, (64, 64, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
        (folder / f"{index}.txt").write_text(f"a {name} picture")
    return folder


def recipe(**training: object) -> Recipe:
    return make_recipe(
        task="clip",
        data={"size": 64},
        model={"preset": "micro"},
        training={"batch_size": 8, "learning_rate": 1e-2, "ema_long": 0.5, "ema_short": 0.5, **training},
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_pictures(tmp_path / "set")
    return tmp_path


def task_of(made: Run) -> ClipTask:
    assert isinstance(made.task, ClipTask)
    return made.task


def test_colours_are_learnt_and_the_run_becomes_a_part(root: Path) -> None:
    made = run(recipe(num_steps=60), root)
    assert made.train() == "steps"
    call = ["export", str(made.folder), "--name", "colours", "--out", str(root / "colours")]
    card = root / "card.toml"
    card.write_text('licence = "CC0-1.0"\ndata = ["plain pictures"]\nabout = "It is blind to shapes."')
    result = CliRunner().invoke(app, [*call, "--card", str(card)])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith("torch and ONNX agree\n")

    images = np.stack([np.full((3, 64, 64), 0, dtype=np.float32) for _ in COLOURS])
    images += np.array(list(COLOURS.values()), dtype=np.float32)[:, :, None, None] / 255
    captions = [f"a {name} picture" for name in COLOURS]
    for model in (ClipModel.load(root / "colours"), OnnxClip(root / "colours")):
        cosines = model.embed_images(images) @ model.embed_text(captions).T
        assert cosines.argmax(axis=1).tolist() == cosines.argmax(axis=0).tolist() == [0, 1, 2, 3]
    text = (root / "colours" / "README.md").read_text()
    assert "It is blind to shapes." in text
    assert "60 steps" in text
    assert json.loads((root / "colours" / "model.json").read_text())["clip"]["dim"] == 16

    refused = CliRunner().invoke(app, [*call, "--steps", "3"])
    assert refused.exit_code == ConfigError.exit_code
    assert "holds a clip, which does not paint by steps: leave num_steps out." in refused.stderr


def test_a_run_goes_on_bit_for_bit(root: Path) -> None:
    whole = run(recipe(num_steps=4, decay_fraction=0.0), root)
    whole.train()
    (root / "other").mkdir()
    (root / "other" / "set").symlink_to(root / "set")
    first = run(recipe(num_steps=2, decay_fraction=0.0), root / "other")
    first.train()
    second = run(recipe(num_steps=4, decay_fraction=0.0), root / "other")
    assert second.step == 2
    second.train()
    before, after = whole.module.state_dict(), second.module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert task_of(second).tokenizer.to_text() == task_of(whole).tokenizer.to_text()


def test_scenes_bring_a_wrong_caption_each(root: Path) -> None:
    task = task_of(run(recipe(), root))
    task.contrast = Contrast(tiny_world())
    source = SceneSource(
        tiny_pack(), world=tiny_world(), holdouts=open_holdouts(), size=(64, 64), seed=0, other=0.2
    )
    batch = source.batch(0, 12)
    images, ids, mask, rival_BN = task.inputs(batch, np.random.default_rng(0))
    again = task.inputs(batch, np.random.default_rng(0))
    assert images.shape == (12, 3, 64, 64)
    assert ids.shape == mask.shape == (24, ids.shape[1])
    assert rival_BN.shape == (12, 24)
    assert all(torch.equal(a, b) for a, b in zip((images, ids, mask, rival_BN), again, strict=True))
    assert not rival_BN[:, :12].diagonal().any()
    own = [task.tokenizer.decode(row[m].tolist()).strip() for row, m in zip(ids[12:], mask[12:], strict=True)]
    for i, caption in enumerate(own):
        assert bool(rival_BN[i, 12 + i]) == (caption != batch.captions[i])
    assert sum(caption != true for caption, true in zip(own, batch.captions, strict=True)) > 6
    other_words = 0
    for i, shown in enumerate(batch.scenes):
        for j, said in enumerate(batch.scenes):
            if said.caption != shown.caption:
                assert bool(rival_BN[i, j]) != holds(said, shown)
                other_words += not rival_BN[i, j]
    assert other_words  # an apple is also called a fruit, and is no rival then
    losses = task.module(images, ids, mask, rival_BN)
    assert losses.shape == (12,)
    assert losses.isfinite().all()
    task.module.eval()
    calm = task.inputs(batch, np.random.default_rng(0))[0]
    assert not torch.equal(calm, images)  # in training, pictures are treated badly


def test_without_scenes_the_same_words_do_not_compete(root: Path) -> None:
    captions = ("a red picture", "a blue picture", "a red picture")
    assert rivals(captions, (), 3).tolist() == [
        [False, True, False],
        [True, False, True],
        [False, True, False],
    ]
    # Two finches may both be small and brown; what has no class is by itself.
    assert rivals(("a", "b", "c", "d"), (), 4, ("finch", "finch", "", "")).tolist() == [
        [False, False, True, True],
        [False, False, True, True],
        [True, True, False, True],
        [True, True, True, False],
    ]
    images = np.zeros((3, 4, 64, 64), dtype=np.float32)
    task = task_of(run(recipe(), root))
    assert task.inputs(Batch(images=images, captions=captions), np.random.default_rng(0))[1].shape[0] == 3


def test_pictures_of_another_size_are_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"^A CLIP reads pictures of 64 pixels; data\.size is 16\.$"):
        run(make_recipe(task="clip", model={"preset": "micro"}), root)
    with pytest.raises(ConfigError, match=r"^No CLIP preset is named 'xs'\."):
        run(make_recipe(task="clip", data={"size": 64}, model={"preset": "xs"}), root)


def detecting(**tables: dict[str, object]) -> Recipe:
    """A CLIP of scenes whose picture tower begins with the convolutions of the judge in `root`."""
    data = {"kind": "scenes", "path": ".", "size": 64, "compositions": True}
    model = {"preset": "micro-detector", "trunk": "judge"}
    return make_recipe(
        task="clip",
        data=data | tables.get("data", {}),
        model=model | tables.get("model", {}),
        training={"batch_size": 8, "num_steps": 3, "optimizer": "muon"},
    )


def test_a_tower_begins_with_a_judge_and_learns_which_thing_has_which_colour(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GlyphSet, "load", lambda *_, **__: pack_of_two_splits())
    monkeypatch.setattr(World, "load", tiny_world)
    judge = judge_of(read_model(make_judge(root / "judge", widths=(8, 8, 16))))
    assert isinstance(judge, DetectorJudge)
    trunk = {f"image_tower.trunk.{name}": value for name, value in judge.network.trunk.state_dict().items()}
    made = run(detecting(), root)
    task, step = task_of(made), task_of(made).module
    assert all(torch.equal(value, step.clip.state_dict()[name]) for name, value in trunk.items())

    batch = made.materials.train.batch(0, 16)
    *inputs, shown, is_shown, said, is_said = task.inputs(batch, np.random.default_rng(0))
    assert is_shown.any(dim=1).all()
    contrast = step(*inputs)
    with torch.no_grad():
        missed = step(*inputs, shown, is_shown, said, is_said) - contrast
    assert float(missed.min()) > 0
    assert float(missed.std()) < 1e-5  # the same for all of the batch
    none = torch.zeros_like(is_shown)
    torch.testing.assert_close(step(*inputs, shown, none, said, none), contrast)
    step.eval()
    assert len(task.inputs(batch, np.random.default_rng(0))) == 4  # validation is the contrast alone
    step.train()

    made.train()
    now = step.clip.state_dict()
    still = {name for name, value in trunk.items() if torch.equal(value, now[name])}
    assert still == {name for name in trunk if "running" in name or "tracked" in name}


def test_a_detector_for_a_tower_that_has_no_place_for_it_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_judge(root / "judge", widths=(8, 8, 16))
    with pytest.raises(ConfigError, match=r"^model\.trunk is 'judge': .* data\.kind 'scenes'"):
        run(detecting(data={"kind": "captioned", "path": "set", "compositions": False}), root)
    monkeypatch.setattr(GlyphSet, "load", lambda *_, **__: pack_of_two_splits())
    monkeypatch.setattr(World, "load", tiny_world)
    with pytest.raises(ConfigError, match=r"the picture tower is a 'resnet'\. Set model\.preset to"):
        run(detecting(model={"preset": "micro"}), root)
    make_judge(root / "other", "inquirer")
    with pytest.raises(ConfigError, match=r"^model\.trunk is 'other': it must be a judge that finds things"):
        run(detecting(model={"trunk": "other"}), root)
    make_judge(root / "thin")
    with pytest.raises(ConfigError, match=r"convolutions have widths and blocks \(\(4, 8, 8\), \(1, 1\)\)"):
        run(detecting(model={"trunk": "thin"}), root)
