"""What unCLIP's priors learn: exact losses, the measured scale, a frozen CLIP, memory, pairs by heart."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pictura.core.errors import ConfigError, ModelError
from pictura.core.types import Batch, TextConditioning
from pictura.families.unclip.ar_prior import ArPrior, ArPriorConfig
from pictura.families.unclip.prior import DiffusionPrior, PriorConfig
from pictura.sample.diffusion import alpha_sigma
from pictura.store.models import resolve
from pictura.train.loop import Run
from pictura.train.recipe import Recipe
from pictura.train.start import read_start
from pictura.train.tasks.diffusion import MOST_WEIGHT
from pictura.train.unclips.frozen_clip import FrozenClip
from pictura.train.unclips.prior import ArPriorStep, PriorStep, PriorTask, Remembering, look
from tests.train.kit import make_recipe, run
from tests.train.unclip_kit import CAPTIONS, make_clip, make_pairs

TASKS = ("unclip-prior", "unclip-ar-prior")
CPU = torch.device("cpu")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("pictura.train.unclips.prior.FIRST_BATCHES", 2)
    make_pairs(tmp_path)
    make_clip(tmp_path)
    return tmp_path


def recipe_of(task: str = "unclip-prior", **tables: object) -> Recipe:
    base: dict[str, object] = {
        "task": task,
        "data": {"size": 64},
        "model": {"preset": "micro", "clip_model": "clip-tiny"},
        "training": {"learning_rate": 3e-3, "ema_long": 0.5, "ema_short": 0.5},
    }
    for name, table in tables.items():
        old = base.get(name)
        base[name] = {**old, **table} if isinstance(old, dict) and isinstance(table, dict) else table
    return make_recipe(**base)


def task_of(made: Run) -> PriorTask:
    assert isinstance(made.task, PriorTask)
    return made.task


def text(size: int, seed: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features, mask, sentences and what is kept, of some captions of three tokens."""
    rng = torch.Generator().manual_seed(seed)
    sentence = torch.nn.functional.normalize(torch.randn(size, 8, generator=rng), dim=1)
    tokens = torch.randn(size, 3, 6, generator=rng)
    kept = torch.ones(size, dtype=torch.bool)
    return tokens, torch.ones(size, 3, dtype=torch.bool), sentence, kept


def test_the_true_embedding_has_no_loss_and_another_one_that_of_its_velocity() -> None:
    prior = DiffusionPrior(PriorConfig(dim=8, text_width=6, max_tokens=4, width=16, num_heads=2, scale=3.0))
    z = torch.nn.functional.normalize(torch.randn(1, 8), dim=1)
    prior.requires_grad_(False).out.bias.copy_(3 * z[0])  # always says this one
    t, noise, step = torch.tensor([0.01, 0.5, 1.0]), torch.randn(3, 8), PriorStep(prior)
    assert step(z.expand(3, 8), *text(3), noise, t).abs().max() < 1e-10
    other = torch.nn.functional.normalize(torch.randn(3, 8), dim=1)
    a, s = (share[:, None] for share in alpha_sigma("cosine", t))
    # v = a noise - s x_0, and noise is what x_t has beyond a x_0, over s.
    guess, true = 3 * z, 3 * other
    x_t = a * true + s * noise
    velocity = a * (x_t - a * guess) / s - s * guess
    error = (velocity - (a * noise - s * true)).square().mean(dim=1)
    losses = step(other, *text(3), noise, t)
    torch.testing.assert_close(losses[1:], error[1:])
    torch.testing.assert_close(losses[0], MOST_WEIGHT * (guess - true)[0].square().mean())


def test_the_prior_sees_the_embedding_scaled_and_under_noise() -> None:
    seen: list[Tensor] = []

    class Watched(DiffusionPrior):
        def forward(self, z_t: Tensor, t: Tensor, cond: TextConditioning) -> Tensor:
            seen.extend(z_t)
            return z_t

    prior = Watched(PriorConfig(dim=8, text_width=6, max_tokens=4, width=16, num_heads=2, scale=3.0))
    z, noise = torch.nn.functional.normalize(torch.randn(2, 8), dim=1), torch.randn(2, 8)
    PriorStep(prior)(z, *text(2), noise, torch.tensor([0.0, 0.4]))
    a, s = alpha_sigma("cosine", torch.tensor([0.4]))
    torch.testing.assert_close(torch.stack(seen), torch.stack([3 * z[0], a * 3 * z[1] + s * noise[1]]))


def test_codes_that_are_known_have_no_loss_and_guesses_that_of_a_fair_draw() -> None:
    config = ArPriorConfig(
        dim=8, text_width=6, max_tokens=4, width=16, num_heads=2, num_components=3, num_buckets=5
    )
    prior = ArPrior(config).requires_grad_(False)
    z = torch.nn.functional.normalize(torch.randn(2, 8), dim=1)
    step = ArPriorStep(prior)
    torch.testing.assert_close(step(z, *text(2)), torch.full((2,), math.log(5)))
    prior.edges.copy_(torch.linspace(-1, 1, 6).expand(3, 6) * 100)
    prior.out.bias[2] = 50.0  # sure of the middle bucket, which is where all numbers lie now
    assert step(z, *text(2)).abs().max() < 1e-6


@pytest.mark.parametrize("size", [1, 2, 7])
def test_the_loss_of_a_picture_does_not_depend_on_the_others(size: int) -> None:
    shape: dict[str, Any] = {"dim": 8, "text_width": 6, "max_tokens": 4, "width": 16, "num_heads": 2}
    torch.manual_seed(0)
    z = torch.nn.functional.normalize(torch.randn(size, 8), dim=1)
    tokens, mask, sentence, keep = text(size)
    mask = torch.arange(3) < torch.randint(1, 4, (size, 1))
    diffusion = PriorStep(DiffusionPrior(PriorConfig(**shape)))
    steps = {ArPriorStep(ArPrior(ArPriorConfig(**shape, num_components=3))): (), diffusion: None}
    for step, more in steps.items():
        for weight in step.parameters():
            torch.nn.init.normal_(weight, std=0.3)
        rest = diffusion.randoms(size, np.random.default_rng(0)) if more is None else more
        rows = (z, tokens, mask, sentence, keep, *rest)
        alone = torch.cat([step(*(x[i : i + 1] for x in rows)) for i in range(size)])
        torch.testing.assert_close(step(*rows), alone)


def test_the_scale_makes_embeddings_deviate_as_pictures_do(root: Path) -> None:
    task = task_of(made := run(recipe_of(), root))
    scale = task.module.prior.config.scale
    batch = made.materials.train.batch(0, 128)
    pictures = np.concatenate([made.materials.train.batch(i, 128).images.numpy() for i in range(2)])
    z = task.clip.see(torch.from_numpy(pictures))
    assert batch.images.shape == (128, 4, 64, 64)
    expected = float((pictures * 2.0 - 1).std()) / float(z.std(correction=0))
    assert scale == pytest.approx(expected, rel=1e-3)
    assert scale == float(f"{scale:.4g}")
    first = look(task.clip, made.materials.train)
    assert first.scale == scale
    torch.testing.assert_close(task.module.prior.space.mean, first.z.mean(dim=0))


@pytest.mark.parametrize("task", TASKS)
def test_only_in_training_captions_are_left_out(root: Path, task: str) -> None:
    made = run(recipe_of(task, training={"caption_dropout": 0.4}), root)
    batch = made.materials.train.batch(0, 4)
    once, again = (made.task.inputs(batch, np.random.default_rng(5)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    kept = torch.stack([made.task.inputs(batch, np.random.default_rng(s))[4] for s in range(50)])
    assert 0.5 < kept.float().mean() < 0.7
    made.module.eval()
    assert made.task.inputs(batch, np.random.default_rng(5))[4].all()


def test_times_are_spread_evenly_over_a_batch() -> None:
    prior = DiffusionPrior(PriorConfig(dim=8, text_width=6, max_tokens=4, width=16, num_heads=2))
    noise, t = PriorStep(prior).randoms(50, np.random.default_rng(0))
    assert noise.shape == (50, 8)
    assert t.sort().values.diff().numpy() == pytest.approx(np.full(49, 1 / 50), abs=1e-6)
    assert len({float(PriorStep(prior).randoms(1, np.random.default_rng(i))[1]) for i in range(9)}) == 9


def test_the_frozen_clip_reads_and_sees_as_the_clip_does(root: Path) -> None:
    frozen = FrozenClip.load("clip-tiny", root, CPU)
    tokens, mask, sentence = frozen.read(CAPTIONS)
    ids, _ = frozen.tokenizer.batch(CAPTIONS)
    torch.testing.assert_close(sentence, frozen.clip.embed_text(torch.from_numpy(ids), mask))
    assert tokens.shape == (*mask.shape, 16)
    images = torch.rand(2, 4, 128, 128)
    images[:, :3] *= images[:, 3:]
    small = images.unflatten(2, (64, 2)).unflatten(4, (64, 2)).mean(dim=(3, 5))
    torch.testing.assert_close(frozen.see(images), frozen.see(small))
    grey = small[:, :3] + 0.8 * (1 - small[:, 3:])
    torch.testing.assert_close(frozen.see(small), frozen.clip.embed_images(grey))
    assert not any(weight.requires_grad for weight in frozen.clip.parameters())
    assert frozen.table() == {
        "name": "clip-tiny",
        "hash": resolve(root / "clip-tiny").hash,
        "dim": 16,
        "text_width": 16,
        "max_tokens": 16,
    }
    with pytest.raises(ConfigError, match=r"sees squares of 64 pixels; got pictures of 32 x 32"):
        frozen.see(torch.rand(1, 3, 32, 32))
    with pytest.raises(ModelError, match="should hold a CLIP"):
        FrozenClip.load("flow", root, CPU)


def test_remembered_batches_come_again_with_new_noise(root: Path) -> None:
    made = run(recipe_of(training={"remember": 2}), root)
    stepper = made.stepper
    assert isinstance(stepper, Remembering)
    rows = [stepper.inputs(position) for position in range(5)]
    assert sorted(stepper.memory) == [0, 1]
    for position in range(2, 5):
        assert torch.equal(rows[position][0], rows[position - 2][0])  # the pictures
        assert torch.equal(rows[position][1], rows[position - 2][1])  # what is said of them
        assert not torch.equal(rows[position][5], rows[position - 2][5])  # the noise
    fresh = run(recipe_of(), root).stepper
    assert isinstance(fresh, Remembering)
    assert all(torch.equal(a, b) for a, b in zip(rows[1], fresh.inputs(1), strict=True))


def test_what_is_embedded_loses_nothing_but_half_precision(root: Path) -> None:
    task = task_of(made := run(recipe_of(), root))
    batch = Batch(
        images=made.materials.train.batch(0, 4).images, captions=("a", "a red picture", "blue", CAPTIONS[3])
    )
    z, tokens, mask, sentence, *_ = task.inputs(batch, np.random.default_rng(0))
    features, true_mask, true_sentence = task.clip.read(batch.captions)
    assert torch.equal(mask, true_mask)
    torch.testing.assert_close(tokens[mask], features[mask], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(sentence, true_sentence, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(z, task.clip.see(batch.images), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("task", TASKS)
def test_a_run_goes_on_bit_for_bit(root: Path, task: str) -> None:
    settings = {"num_steps": 4, "optimizer": "muon", "caption_dropout": 0.3, "remember": 3}
    whole = run(recipe_of(task, name="whole", training=settings), root)
    assert whole.train() == "steps"
    stopped = run(recipe_of(task, name="stopped", training=settings), root)
    for _ in range(2):
        stopped._advance(0.0)
    stopped.save()
    resumed = run(recipe_of(task, name="stopped", training=settings), root)
    assert resumed.step == 2
    resumed.train()
    before, after = whole.module.state_dict(), resumed.module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert resumed.validate() == whole.validate()
    saved = read_start("runs/whole", root)
    network = "prior" if task == "unclip-prior" else "ar_prior"
    assert saved.config[network]["scale"] == whole.module.prior.config.scale  # type: ignore[union-attr]
    assert saved.config["clip"]["name"] == "clip-tiny"
    assert {name.split(".")[1] for name in saved.weights if name.startswith("clip.")} == {
        "text_encoder",
        "text_out",
    }


@pytest.mark.parametrize(("task", "network"), [(TASKS[0], "prior"), (TASKS[1], "ar_prior")])
def test_a_run_does_not_go_on_with_another_shape(root: Path, task: str, network: str) -> None:
    run(recipe_of(task, training={"num_steps": 1}), root).train()
    with pytest.raises(ConfigError, match=f"holds another {network} than the recipe asks for"):
        run(recipe_of(task, model={"prior": {"num_blocks": 2}}), root)


def test_another_clip_is_refused(root: Path) -> None:
    settings: dict[str, Any] = {"name": "first", "training": {"num_steps": 1}}
    run(recipe_of(**settings), root).train()
    make_clip(root, name="clip-other", seed=1)
    other = {"preset": "micro", "clip_model": "clip-other"}
    with pytest.raises(ConfigError, match="holds another clip than the recipe asks for"):
        run(recipe_of(**settings, model=other), root)
    with pytest.raises(
        ConfigError, match=r"embeddings of the CLIP 'clip-tiny'; .* another one, 'clip-other'"
    ):
        run(recipe_of(name="next", model={**other, "init_from": "runs/first"}), root)
    made = run(recipe_of(name="next", model={"init_from": "runs/first"}), root)
    start = read_start("runs/first", root)
    assert all(
        torch.equal(v, start.weights[f"prior.{k}"])
        for k, v in made.module.prior.state_dict().items()  # type: ignore[union-attr]
    )
    with pytest.raises(ConfigError, match="holds no ar_prior"):
        run(recipe_of("unclip-ar-prior", name="ar", model={"init_from": "runs/first"}), root)


def test_in_bf16_a_run_learns_nearly_the_same(root: Path) -> None:
    for task in TASKS:
        rows = [run(recipe_of(task, name=f"bf16-{on}", training={"bf16": on}), root) for on in (False, True)]
        losses = [[made._advance(0.0)["loss"] for _ in range(4)] for made in rows]
        assert losses[0] == pytest.approx(losses[1], rel=3e-2)


def test_it_learns_four_pairs_by_heart(root: Path) -> None:
    training = {"num_steps": 150, "learning_rate": 1e-2, "optimizer": "muon", "batch_size": 16, "remember": 4}
    made = run(recipe_of(training={**training, "ema_long": 0.9, "warmup_steps": 10}), root)
    made.train()
    prior, clip = task_of(made).module.prior, task_of(made).clip
    batch = made.materials.validation.batch(0, 4)
    z = clip.see(torch.as_tensor(batch.images))
    tokens, mask, sentence = clip.read(batch.captions)
    cond = TextConditioning(tokens=tokens, mask=mask, sentence=sentence, keep=torch.ones(4, dtype=torch.bool))
    with torch.no_grad():
        x_0 = prior(torch.randn(4, 16), torch.ones(4), cond)
        nothing = prior(torch.randn(4, 16), torch.ones(4), replace(cond, keep=~cond.keep))
    spread = float((z - z.mean(dim=0)).square().sum(dim=1).mean())
    assert float((x_0 / prior.config.scale - z).square().sum(dim=1).mean()) < 0.1 * spread
    # Told nothing, it names the mean of all.
    assert float((nothing / prior.config.scale - z).square().sum(dim=1).mean()) > 0.5 * spread
