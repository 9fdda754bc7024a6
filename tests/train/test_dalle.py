"""What DALL-E's transformer learns: exact losses, captions with dropout, codes, resume, pairs by heart."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.core.types import Batch
from pictura.families.dalle.model import DalleConfig, DalleTransformer
from pictura.train.start import read_start
from pictura.train.tasks.dalle import DalleStep
from tests.train.dalle_kit import dalle_recipe, make_dvae, make_pairs, task_of
from tests.train.kit import COLOURS, run

CONFIG = DalleConfig(
    vocab_size=9, num_codes=6, max_tokens=5, rows=2, cols=3, width=8, num_blocks=2, num_heads=2
)
CAPTIONS = [f"a {name} picture" for name in COLOURS]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_pairs(tmp_path)
    make_dvae(tmp_path)
    return tmp_path


def sure_of(token: int, code: int, sharpness: float) -> DalleStep:
    """A network that awaits one token and one code, wherever it is."""
    net = DalleTransformer(CONFIG).requires_grad_(False)
    for layer, value in ((net.text_out, token), (net.code_out, code)):
        layer.weight.zero_()
        layer.bias[value] = sharpness
    return DalleStep(net)


def given(*lengths: int) -> tuple[Tensor, Tensor, Tensor]:
    """Captions of token 4 and pictures of code 2; under the padding stands a wrong token."""
    mask = torch.arange(CONFIG.max_tokens) < torch.tensor(lengths)[:, None]
    ids = torch.where(mask, 4, 7)
    ids[:, 0] = 1
    return ids, mask, torch.full((len(lengths), CONFIG.length), 2)


def test_a_network_that_knows_nothing_loses_an_eighth_of_words_and_seven_of_codes() -> None:
    losses = sure_of(4, 2, 0.0)(*given(5, 3))
    # Six words are said in all, four by the first: it counts 4 / 6 of two pictures.
    text, image = math.log(9) / 8, math.log(6) * 7 / 8
    torch.testing.assert_close(losses, torch.tensor([text * 4 / 3 + image, text * 2 / 3 + image]))


def test_the_true_tokens_have_no_loss_and_a_wrong_one_has_its_share() -> None:
    step, (ids, mask, codes) = sure_of(4, 2, 100.0), given(5, 3)
    assert step(ids, mask, codes).abs().max() < 1e-6
    for k in range(CONFIG.length):
        wrong = codes.clone()
        wrong[1, k] = 3
        expected = torch.tensor([0.0, 100 * 7 / 8 / CONFIG.length])
        torch.testing.assert_close(step(ids, mask, wrong), expected)
    for place in range(1, 3):
        wrong = ids.clone()
        wrong[1, place] = 5
        torch.testing.assert_close(step(wrong, mask, codes).mean(), torch.tensor(100 / 8 / 6))


def test_padding_and_the_opening_token_are_not_to_be_said() -> None:
    step, (ids, mask, codes) = sure_of(4, 2, 100.0), given(3)
    for place in (0, 3, 4):
        other = ids.clone()
        other[0, place] = 8
        assert step(other, mask, codes).abs().max() < 1e-6


def test_a_batch_of_empty_captions_has_a_loss_of_codes_alone() -> None:
    step = sure_of(4, 2, 0.0)
    torch.testing.assert_close(step(*given(1, 1)), torch.full((2,), math.log(6) * 7 / 8))
    step.requires_grad_()
    step(*given(1, 1)).mean().backward()
    assert all(weight.grad is not None for weight in step.parameters())  # as several processes need


def batch() -> Batch:
    colours = np.array(list(COLOURS.values()), dtype=np.float32) / 255
    images = np.ones((4, 4, 16, 16), dtype=np.float32)
    images[:, :3] = colours[:, :, None, None]
    return Batch(images=images, captions=tuple(CAPTIONS))


def test_in_training_alone_captions_and_merges_are_left_out(root: Path) -> None:
    recipe = dalle_recipe(training={"caption_dropout": 0.3, "bpe_dropout": 0.3})
    task = task_of(run(recipe, root))
    once, again = (task.inputs(batch(), np.random.default_rng(5)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    lengths, ids = set(), set()
    for seed in range(40):
        token_ids, mask, _ = task.inputs(batch(), np.random.default_rng(seed))
        lengths.add(int(mask[0].sum()))
        ids.add(tuple(token_ids[0].tolist()))
    assert 1 in lengths  # the empty caption
    assert len(ids) > 10
    task.module.eval()
    calm = task.inputs(batch(), np.random.default_rng(5))
    assert torch.equal(calm[0], task.read(CAPTIONS)[0])
    assert calm[0].shape == calm[1].shape == (4, 16)
    assert torch.equal(calm[2], once[2])


def test_codes_are_the_likeliest_of_the_dvae_row_by_row(root: Path) -> None:
    dvae, task = make_dvae(root), task_of(run(dalle_recipe(), root))
    images = torch.rand(2, 4, 16, 16)
    expected = dvae.logits(images).argmax(dim=1)
    assert torch.equal(task.codes(images), torch.cat([expected[:, row] for row in range(4)], dim=1))
    assert not any(weight.requires_grad for weight in task.dvae.parameters())


def test_pictures_of_another_size_are_refused(root: Path) -> None:
    task = task_of(run(dalle_recipe(), root))
    with pytest.raises(ConfigError, match=r"writes 4 x 4 codes, but pictures of 16 x 24 pixels have 4 x 6"):
        task.codes(torch.rand(1, 4, 16, 24))
    with pytest.raises(ConfigError, match=r"is a picture of 16 x 16; data\.size is 24"):
        run(dalle_recipe(data={"size": 24}), root)


def test_a_run_goes_on_bit_for_bit(root: Path) -> None:
    settings = {"num_steps": 4, "decay_fraction": 0.75, "optimizer": "muon", "caption_dropout": 0.3}
    whole = run(dalle_recipe(name="whole", training=settings), root)
    assert whole.train() == "steps"
    stopped = run(dalle_recipe(name="stopped", training=settings), root)
    for _ in range(2):
        stopped._advance(0.0)
    stopped.save()
    resumed = run(dalle_recipe(name="stopped", training=settings), root)
    assert resumed.step == 2
    resumed.train()
    before, after = whole.module.state_dict(), resumed.module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert resumed.validate() == whole.validate()


def test_in_bf16_a_run_learns_nearly_the_same(root: Path) -> None:
    exact, rough = (run(dalle_recipe(name=f"bf16-{on}", training={"bf16": on}), root) for on in (False, True))
    losses = [[made._advance(0.0)["loss"] for _ in range(4)] for made in (exact, rough)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    assert all(value.dtype == torch.float32 for value in rough.module.state_dict().values())


def test_a_run_refuses_other_codes_and_another_network(root: Path) -> None:
    run(dalle_recipe(), root).save()
    with pytest.raises(ConfigError, match="holds another transformer than the recipe asks for"):
        run(dalle_recipe(model={"transformer": {"num_blocks": 3}}), root)
    make_dvae(root, name="other", seed=1)
    with pytest.raises(ConfigError, match="was trained on other codes than the dVAE of the recipe gives now"):
        run(dalle_recipe(model={"dvae": "runs/other"}), root)


def test_a_run_goes_on_with_its_tokenizer_on_other_captions_too(root: Path) -> None:
    first = run(dalle_recipe(model={"vocab_size": 262}), root)
    first.save()
    table = root / "set" / "metadata.csv"
    table.write_text(table.read_text().replace("picture", "thing that zigzags"))
    tables = {"model": {"vocab_size": 262}, "data": {"flip": True}}
    other = run(dalle_recipe(name="new", **tables), root)
    assert task_of(other).tokenizer.to_text() != task_of(first).tokenizer.to_text()
    again = run(dalle_recipe(**tables), root)
    assert task_of(again).tokenizer.to_text() == task_of(first).tokenizer.to_text()


def test_a_run_starts_from_another_with_its_tokenizer_and_codes(root: Path) -> None:
    first = run(dalle_recipe(name="first", training={"num_steps": 1, "ema_long": 0.0}), root)
    first.train()
    model = {"preset": "small", "dvae": "", "init_from": "runs/first"}  # the preset counts nothing then
    second = run(dalle_recipe(name="second", model=model), root)
    assert task_of(second).module.transformer.config == task_of(first).module.transformer.config
    assert task_of(second).tokenizer.to_text() == task_of(first).tokenizer.to_text()
    left = read_start("runs/first", root).weights
    assert all(torch.equal(value, left[name]) for name, value in second.module.state_dict().items())
    assert task_of(second).learnt_from == ("plain pictures",)


def test_settings_that_do_not_fit_are_named(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs model\.dvae: the run or model folder of a discrete VAE"):
        run(dalle_recipe(model={"dvae": ""}), root)
    with pytest.raises(ConfigError, match=r"model\.transformer.*num_block"):
        run(dalle_recipe(model={"transformer": {"num_block": 3}}), root)
    with pytest.raises(ConfigError, match=r"bpe_dropout must be in \[0, 1\]; got 2"):
        dalle_recipe(training={"bpe_dropout": 2.0})


def test_text_positions_are_the_presets_unless_given(root: Path) -> None:
    assert task_of(run(dalle_recipe(), root)).module.transformer.config.max_tokens == 16
    task = task_of(run(dalle_recipe(name="short", model={"max_tokens": 3}), root))
    assert task.module.transformer.config.max_tokens == task.tokenizer.max_tokens == 3
    assert task.read(["a red picture of many words"])[0].shape == (1, 3)  # cut by the tokenizer


def test_four_pairs_are_learnt_by_heart(root: Path) -> None:
    made = run(
        dalle_recipe(
            training={
                "num_steps": 120,
                "learning_rate": 1e-2,
                "warmup_steps": 10,
                "caption_dropout": 0.0,
                "ema_long": 0.9,
            },
            sampling={
                "solver": "autoregressive",
                "num_steps": 1,
                "guidance_scale": 1.0,
                "guidance_interval": [0.0, 1.0],
                "shift": 1.0,
            },
        ),
        root,
    )
    assert made.validate()["validation_ema_long"] > 2.5
    made.train()
    task = task_of(made)
    codes = task.codes(torch.as_tensor(batch().images))
    assert len({tuple(row) for row in codes.tolist()}) == 4
    assert torch.equal(task.draw(CAPTIONS), codes)
    assert torch.equal(task.sample(CAPTIONS), task.dvae.decode(codes.unflatten(1, (4, 4))))
    task.module.eval()
    ids, mask, _ = task.inputs(batch(), np.random.default_rng(0))
    true = task.module(ids, mask, codes)
    assert (true < task.module(ids, mask, codes.roll(1, dims=0))).all()
    assert (true < task.module(ids, mask, (codes + 1) % 32)).all()


def test_samples_follow_guidance_and_their_seed(root: Path) -> None:
    recipe = dalle_recipe(training={"num_steps": 30, "learning_rate": 1e-2})
    made = run(recipe, root)
    made.train()
    task = task_of(made)
    drawn = task.draw(CAPTIONS, seed=0)
    assert torch.equal(drawn, task.draw(CAPTIONS, seed=0))
    assert not torch.equal(drawn, task.draw(CAPTIONS, seed=1))
    assert torch.equal(drawn[:2], task.draw(CAPTIONS[:2], seed=0))
    assert task.preview(recipe, made.materials, 3).shape == (3, 4, 16, 16)

    task.sampling = replace(task.sampling, guidance_scale=5.0, temperature=0.0)
    likeliest = task.draw(CAPTIONS)
    net = task.module.transformer
    given, without = (net(*task.read(texts), likeliest).image for texts in (CAPTIONS, [""] * 4))
    assert torch.equal(likeliest, (without + 5 * (given - without)).argmax(dim=-1))
    assert not torch.equal(likeliest, given.argmax(dim=-1))
