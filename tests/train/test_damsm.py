"""A DAMSM learns colours in seconds, goes on bit for bit where it stopped, and gives its R-precision."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pictura.core.errors import ConfigError, DataError
from pictura.core.images import on_background
from pictura.core.types import Batch
from pictura.data.scenes.contrast import holds
from pictura.data.scenes.source import SceneSource
from pictura.encode.damsm.inception import Inception
from pictura.evaluate.damsm import circular_r_precision, embed
from pictura.train.loop import Run
from pictura.train.recipe import Recipe
from pictura.train.start import read_start
from pictura.train.tasks.damsm import DamsmTask, damsm_of
from tests.data.scene_kit import open_holdouts, tiny_pack, tiny_world
from tests.train.kit import COLOURS, make_recipe, make_set, run

TINY = {"embedding": 12, "width": 16, "widths": [16, 32, 32], "size": 16, "region_side": 2}


def recipe(damsm: dict[str, object] | None = None, **training: object) -> Recipe:
    return make_recipe(
        task="damsm",
        model={"damsm": {**TINY, **(damsm or {})}},
        training={"batch_size": 8, "learning_rate": 2e-2, "ema_long": 0.5, "ema_short": 0.5, **training},
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_set(tmp_path / "set")
    return tmp_path


def task_of(made: Run) -> DamsmTask:
    assert isinstance(made.task, DamsmTask)
    return made.task


def plain() -> tuple[np.ndarray, list[str]]:
    images = np.zeros((len(COLOURS), 3, 16, 16), dtype=np.float32)
    images += np.array(list(COLOURS.values()), dtype=np.float32)[:, :, None, None] / 255
    return images, [f"a {name} picture" for name in COLOURS]


def test_colours_are_learnt_and_found_again(root: Path) -> None:
    made = run(recipe(num_steps=60), root)
    assert made.train() == "steps"
    damsm, tokenizer = damsm_of(read_start("runs/tiny", root), 64)
    damsm.eval()
    images, captions = plain()
    seen, read = embed(damsm, tokenizer, images, captions)
    assert (seen @ read.T).argmax(axis=1).tolist() == [0, 1, 2, 3]
    found = circular_r_precision(damsm, tokenizer, images, captions, np.random.default_rng(0), num_others=3)
    assert (found.interval.value, found.interval.low, found.num_pictures) == (1.0, 1.0, 4)
    assert found.name == f"R-precision (circular, DAMSM[{found.hash}])"
    turned = circular_r_precision(
        damsm, tokenizer, images, captions[1:] + captions[:1], np.random.default_rng(0), num_others=3
    )
    assert turned.interval.value == 0.0
    with pytest.raises(DataError, match="R-precision needs 100 different captions; got 4"):
        circular_r_precision(damsm, tokenizer, images, captions, np.random.default_rng(0))


def test_a_run_goes_on_bit_for_bit(root: Path) -> None:
    whole = run(recipe(num_steps=4, decay_fraction=0.0), root)
    whole.train()
    (root / "other").mkdir()
    (root / "other" / "set").symlink_to(root / "set")
    run(recipe(num_steps=2, decay_fraction=0.0), root / "other").train()
    second = run(recipe(num_steps=4, decay_fraction=0.0), root / "other")
    assert second.step == 2
    second.train()
    before, after = whole.module.state_dict(), second.module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert task_of(second).tokenizer.to_text() == task_of(whole).tokenizer.to_text()


def test_in_training_alone_pictures_are_damaged_and_words_dropped(root: Path) -> None:
    task = task_of(run(recipe(), root))
    images, captions = plain()
    batch = Batch(images=images, captions=tuple(captions))
    once, again = (task.inputs(batch, np.random.default_rng(0)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    seen, ids, mask, rival, kept = once
    assert not torch.equal(seen, torch.from_numpy(images))
    assert kept.shape == (*ids.shape, 12)
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(rival, ~torch.eye(4, dtype=torch.bool))
    assert mask.all()
    task.module.eval()
    calm = task.inputs(batch, np.random.default_rng(0))
    assert torch.equal(calm[0], torch.from_numpy(images))
    assert calm[4].unique().tolist() == [1.0]
    losses = task.module(*calm)
    assert losses.shape == (4,)


def test_captions_that_may_hold_by_chance_do_not_compete(root: Path) -> None:
    task = task_of(run(recipe(), root))
    source = SceneSource(
        tiny_pack(), world=tiny_world(), holdouts=open_holdouts(), size=(16, 16), seed=0, other=0.2
    )
    batch = source.batch(0, 12)
    rival = task.inputs(batch, np.random.default_rng(0))[3]
    for i, shown in enumerate(batch.scenes):
        for j, said in enumerate(batch.scenes):
            competes = said.caption != shown.caption and not holds(said, shown)
            assert bool(rival[i, j]) == competes
    task.module.eval()
    seen = task.inputs(batch, np.random.default_rng(0))[0]
    torch.testing.assert_close(seen, torch.as_tensor(on_background(batch.images)))


def test_a_second_run_starts_from_the_first(root: Path) -> None:
    first = run(recipe(num_steps=2), root)
    first.train()
    more = make_recipe(
        task="damsm", name="more", model={"init_from": "runs/tiny"}, training={"batch_size": 8}
    )
    second = run(more, root)
    weights = first.averages["ema_long"].weights
    assert all(torch.equal(value, weights[name]) for name, value in second.module.state_dict().items())


def test_inception_comes_from_a_file(root: Path) -> None:
    table: dict[str, object] = {"image_encoder": "inception"}
    with pytest.raises(ConfigError, match=r"model\.damsm\.inception is the file.*got '' with 'inception'"):
        run(recipe(table), root)
    with pytest.raises(ConfigError, match=r"got 'inception\.safetensors' with 'small'"):
        run(recipe({"inception": "inception.safetensors"}), root)
    weights = Inception().state_dict()
    weights["Conv2d_1a_3x3.conv.weight"].fill_(0.25)
    weights |= {"fc.weight": torch.zeros(1), "Conv2d_1a_3x3.bn.num_batches_tracked": torch.tensor(7)}
    save_file(weights, root / "inception.safetensors")
    made = run(recipe({**table, "inception": "inception.safetensors"}), root)
    taken = made.module.state_dict()["damsm.image.net.Conv2d_1a_3x3.conv.weight"]
    assert taken.unique().tolist() == [0.25]
