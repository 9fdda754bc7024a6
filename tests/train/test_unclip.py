"""What unCLIP's decoder learns: exact losses, what is told and what is dropped, colours by heart, resume."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pictura.core.errors import ConfigError, ModelNotFoundError
from pictura.core.types import Batch
from pictura.families.unclip.decoder import Decoder, DecoderConfig
from pictura.families.unclip.presets import get_preset
from pictura.sample.diffusion import alpha_sigma
from pictura.train import checkpoint
from pictura.train.loop import Run
from pictura.train.recipe import Recipe
from pictura.train.tasks.diffusion import (
    diffusion_loss,
    draw_times,
    noisy,
    shrink,
    variance_loss,
)
from pictura.train.unclips.decoder import DecoderStep, DecoderTask
from tests.train.kit import make_recipe, run
from tests.train.unclip_kit import make_clip, make_pairs

T = torch.tensor([0.05, 0.4, 0.9])


# Errors and times


def pictures(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def decoder_step(**more: Any) -> DecoderStep:
    """A decoder that says the same number per channel everywhere, whatever it sees."""
    config = DecoderConfig(**{**get_preset("decoder", "micro"), "embed_dim": 8, "text_width": 6, **more})
    module = DecoderStep(Decoder(config), most_weight=8.0)
    bias = module.decoder.unet.conv_out.bias
    assert bias is not None
    with torch.no_grad():
        bias[:4] = torch.tensor([0.3, -0.6, 1.0, -1.0])
        bias[4:] = -1.0  # a learnt variance: that of the true step
    return module.requires_grad_(False)


def told(size: int) -> tuple[Tensor, ...]:
    yes = torch.ones(size, dtype=torch.bool)
    return torch.ones(size, 8), torch.ones(size, 2, 6), yes[:, None].expand(size, 2), yes, yes


@pytest.mark.parametrize("learned", [False, True])
def test_the_true_picture_has_no_loss_and_another_that_of_its_velocity(learned: bool) -> None:
    module = decoder_step(learned_variance=learned)
    bias = module.decoder.unet.conv_out.bias
    assert bias is not None
    true, noise = bias[:4, None, None].expand(3, 4, 8, 8), torch.randn(3, 4, 8, 8)
    assert module(true, noise, T, *told(3)).abs().max() < 1e-6
    other = pictures(3, 4, 8, 8)
    a, s = (share[:, None, None, None] for share in alpha_sigma("cosine", T))
    # v = a noise - s x_0, and the noise is what x_t has beyond a x_0, over s.
    x_t = noisy(other, noise, T, "cosine")
    velocity = a * (x_t - a * true) / s - s * true
    error = (velocity - (a * noise - s * other)).square().mean(dim=(1, 2, 3))
    losses = decoder_step()(other, noise, T, *told(3))
    torch.testing.assert_close(losses[1:], error[1:])
    assert error[0] > losses[0]  # near the picture the weight has a bound
    torch.testing.assert_close(losses[0], 8.0 * (other - true)[0].square().mean())


def test_the_true_noise_has_no_loss_and_another_its_squared_error() -> None:
    module = decoder_step(prediction="noise")
    bias = module.decoder.unet.conv_out.bias
    assert bias is not None
    noise = bias[:4, None, None].expand(3, 4, 8, 8)
    assert module(pictures(3, 4, 8, 8), noise, T, *told(3)).abs().max() < 1e-6
    torch.testing.assert_close(
        module(pictures(3, 4, 8, 8), noise + 0.5, T, *told(3)), torch.full((3,), 0.25), atol=1e-5, rtol=0
    )


def test_noise_takes_the_place_of_a_picture_over_time() -> None:
    x_0, noise = pictures(2, 4, 4, 6), torch.randn(2, 4, 4, 6)
    x_t = noisy(x_0, noise, torch.tensor([0.0, 1.0]), "cosine")
    assert torch.equal(x_t[0], x_0[0])
    torch.testing.assert_close(x_t[1], noise[1], atol=2e-3, rtol=0)
    a, s = alpha_sigma("linear", torch.tensor([0.3, 0.3]))
    torch.testing.assert_close(
        noisy(x_0, noise, torch.tensor([0.3, 0.3]), "linear"), a[0] * x_0 + s[0] * noise
    )


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_variance_costs_the_divergence_of_two_gaussians(schedule: str) -> None:
    t, wrong, spread = 0.4, 0.3, 0.2
    (a, s), (b, r) = (
        [float(share) for share in alpha_sigma(schedule, torch.tensor([time]).double())]
        for time in (t, t - 0.001)
    )
    forward = 1 - (a / b) ** 2  # DDPM's beta, and the variance of its step back
    true = forward * r**2 / s**2
    said = math.exp((1 + spread) / 2 * math.log(forward) + (1 - spread) / 2 * math.log(true))
    shift = b * forward / s**2 * wrong
    wanted = (math.log(said / true) - 1 + (true + shift**2) / said) / 2 / math.log(2)
    shape = (1, 4, 2, 2)
    loss = variance_loss(torch.full(shape, spread), torch.full(shape, wrong), torch.tensor([t]), schedule)
    assert loss.item() == pytest.approx(wanted, rel=1e-4)
    exact = variance_loss(torch.full(shape, -1.0), torch.zeros(shape), torch.tensor([t]), schedule)
    assert exact.item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("prediction", ["x_0", "noise"])
def test_a_variance_learns_without_changing_what_the_picture_learns(prediction: str) -> None:
    x_0, noise = pictures(3, 4, 4, 4), torch.randn(3, 4, 4, 4)
    slopes = []
    for channels in (4, 8):
        said = torch.full((3, channels, 4, 4), 0.1, requires_grad=True)
        diffusion_loss(
            said, x_0, noise, T, prediction=prediction, schedule="cosine", most_weight=5.0
        ).sum().backward()
        assert said.grad is not None
        slopes.append(said.grad)
    torch.testing.assert_close(slopes[1][:, :4], slopes[0])
    assert slopes[1][:, 4:].abs().min() > 0


def test_times_are_uniform_and_evenly_spread_in_a_batch() -> None:
    draws = torch.stack([draw_times(8, np.random.default_rng(seed), shift=1.0) for seed in range(400)])
    assert draws.dtype == torch.float32
    torch.testing.assert_close(draws.mean(dim=0), torch.full((8,), 0.5), atol=0.05, rtol=0)
    torch.testing.assert_close(draws.sort(dim=1).values.diff(), torch.full((400, 7), 1 / 8))
    shifted = draw_times(8, np.random.default_rng(0), shift=3.0)
    torch.testing.assert_close(shifted, 3 * draws[0] / (1 + 2 * draws[0]))


def test_pictures_are_averaged_down_to_minus_one_to_one() -> None:
    images = torch.rand(2, 4, 6, 6)
    small = shrink(images, 3, 4)
    torch.testing.assert_close(small, F.avg_pool2d(images, 2) * 2 - 1)
    clear = torch.zeros(1, 4, 6, 6)  # transparent everywhere
    assert torch.equal(shrink(clear, 6, 3), torch.ones(1, 3, 6, 6))
    with pytest.raises(ConfigError, match=r"paints 4 channels of 8 x 8 pixels; got pictures of 4 channels"):
        shrink(images, 8, 4)
    with pytest.raises(ConfigError, match=r"got pictures of 3 channels and 6 x 6"):
        shrink(images[:, :3], 6, 4)


# The task


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unclip")
    make_pairs(folder)
    make_clip(folder)
    return folder


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pictura.train.unclips.decoder.MEASURED", 8)


def recipe_of(name: str, **tables: Any) -> Recipe:
    base: dict[str, Any] = {
        "task": "unclip-decoder",
        "name": name,
        "data": {"size": 64},
        "model": {"preset": "micro", "clip_model": "clip-tiny"},
        "training": {"learning_rate": 3e-3, "ema_long": 0.5, "ema_short": 0.5, "time_shift": 1.0},
    }
    for key, table in tables.items():
        base[key] = {**base[key], **table} if isinstance(base.get(key), dict) else table
    return make_recipe(**base)


def task_of(made: Run) -> DecoderTask:
    assert isinstance(made.task, DecoderTask)
    return made.task


def test_a_batch_tells_what_clip_says_of_whole_pictures_and_captions(root: Path) -> None:
    made = run(recipe_of("tells"), root)
    task, batch = task_of(made), made.materials.train.batch(0, 4)
    x_0, noise, t, embedding, tokens, mask, keep_embedding, keep_text = task.inputs(
        batch, np.random.default_rng(0)
    )
    assert x_0.shape == noise.shape == (4, 4, 8, 8)
    images = torch.as_tensor(batch.images)
    torch.testing.assert_close(x_0, F.avg_pool2d(images, 8) * 2 - 1)
    torch.testing.assert_close(embedding, task.clip.see(images))
    assert embedding.norm(dim=1).tolist() == pytest.approx([1.0] * 4)
    read, said, _ = task.clip.read(batch.captions)
    torch.testing.assert_close(tokens[:, : read.shape[1]], read)
    assert torch.equal(mask[:, : read.shape[1]], said)
    assert mask.shape[1] % 8 == 0
    assert not mask[:, read.shape[1] :].any()
    assert t.shape == keep_embedding.shape == keep_text.shape == (4,)
    again = task.inputs(batch, np.random.default_rng(0))
    assert all(torch.equal(one, other) for one, other in zip(again, (x_0, noise, t), strict=False))


def test_vectors_and_captions_are_dropped_independently_and_only_in_training(root: Path) -> None:
    dropout = {"embedding_dropout": 0.3, "text_dropout": 0.6, "most_weight": 5.0}
    made = run(recipe_of("drops", unclip=dropout), root)
    assert task_of(made).module.most_weight == 5.0
    task, batch = task_of(made), made.materials.train.batch(0, 4)
    wide = Batch(images=torch.as_tensor(batch.images).repeat(100, 1, 1, 1), captions=batch.captions * 100)
    keep_embedding, keep_text = task.inputs(wide, np.random.default_rng(0))[-2:]
    assert keep_embedding.float().mean().item() == pytest.approx(0.7, abs=0.07)
    assert keep_text.float().mean().item() == pytest.approx(0.4, abs=0.07)
    assert (keep_embedding & keep_text).float().mean().item() == pytest.approx(0.28, abs=0.07)
    task.module.eval()
    assert all(kept.all() for kept in task.inputs(wide, np.random.default_rng(0))[-2:])


def test_the_decoder_knows_where_vectors_of_training_pictures_lie(root: Path) -> None:
    made = run(recipe_of("measured"), root)
    task = task_of(made)
    seen = task.clip.see(torch.as_tensor(made.materials.train.batch(0, 8).images))
    decoder = task.module.decoder
    torch.testing.assert_close(decoder.centre, seen.mean(dim=0))
    assert not torch.equal(decoder.turn, torch.eye(16) * 4)  # what it is before anything is measured


def test_it_learns_to_paint_a_colour_from_its_vector(root: Path) -> None:
    training = {"num_steps": 100, "batch_size": 8, "learning_rate": 1e-2, "ema_long": 0.9}
    made = run(recipe_of("colours", training=training), root)
    before = made.validate()["validation_ema_short"]
    made.train()
    assert made.validate()["validation_ema_short"] < 0.3 * before
    sheet = task_of(made).preview(made.recipe, made.materials, 8)
    assert sheet.shape == (8, 4, 8, 8)
    true, painted = (half.mean(dim=(2, 3)) for half in sheet.split(4))
    assert len({tuple(row) for row in true.round().tolist()}) == 4  # each colour once
    assert (painted - true).abs().mean() < 0.15
    assert torch.cdist(painted, true).argmin(dim=1).tolist() == [0, 1, 2, 3]


def saved(done: Run) -> checkpoint.Checkpoint:
    folder = checkpoint.find_latest(done.folder)
    assert folder is not None
    return checkpoint.load(folder)


def test_a_resumed_run_is_bit_equal_to_one_that_never_stopped(root: Path) -> None:
    training = {"accumulate": 2, "decay_fraction": 0.75}
    straight = run(recipe_of("straight", training=training), root)
    straight.train()
    stopped = run(recipe_of("stopped", training=training), root)
    for _ in range(2):
        stopped._advance(0.0)
    stopped.save()
    resumed = run(recipe_of("stopped", training=training), root)
    assert resumed.step == 2
    resumed.train()
    wanted, came = saved(straight).weights, saved(resumed).weights
    for name in ("model", "ema_long", "ema_short"):
        for key, value in wanted[name].items():
            assert torch.equal(came[name][key], value), f"{name} {key}"


def test_a_checkpoint_says_what_the_network_is_and_which_clip_it_heard(root: Path) -> None:
    made = run(recipe_of("told", model={"decoder": {"num_extra_tokens": 3}}), root)
    made.save()
    kept = saved(made)
    assert kept.config["decoder"]["num_extra_tokens"] == 3
    assert kept.config["decoder"]["embed_dim"] == kept.config["clip"]["dim"] == 16
    assert kept.config["clip"]["name"] == "clip-tiny"
    assert kept.config["grids"] == [[8, 8]]
    assert "decoder.unet.conv_in.weight" in kept.weights["ema_long"]
    assert "clip.text_encoder.embedding.weight" in kept.weights["frozen"]
    with pytest.raises(ConfigError, match="holds another decoder than the recipe asks for"):
        run(recipe_of("told"), root)
    make_clip(root, name="clip-other", seed=1)
    with pytest.raises(ConfigError, match="holds another clip than the recipe asks for"):
        run(recipe_of("told", model={"decoder": {"num_extra_tokens": 3}, "clip_model": "clip-other"}), root)


def test_a_run_goes_on_from_another_with_the_same_clip_alone(root: Path) -> None:
    old = run(recipe_of("old"), root)
    old.train()
    new = task_of(run(recipe_of("new", model={"init_from": "runs/old"}), root))
    for name, value in saved(old).weights["ema_long"].items():
        assert torch.equal(new.module.state_dict()[name], value)
    make_clip(root, name="clip-third", seed=2)
    with pytest.raises(ConfigError, match=r"embeddings of another CLIP than 'clip-third'"):
        run(recipe_of("newer", model={"init_from": "runs/old", "clip_model": "clip-third"}), root)


@pytest.mark.parametrize(
    ("tables", "error", "message"),
    [
        ({"data": {"size": 32}}, ConfigError, "sees squares of 64 pixels; got pictures of 32 x 32"),
        ({"model": {"preset": "mikro"}}, ConfigError, "decoder has no preset 'mikro'"),
        ({"model": {"clip_model": "clip-none"}}, ModelNotFoundError, "clip-none"),
        ({"model": {"decoder": {"sise": 8}}}, ConfigError, "no setting 'sise'. Did you mean 'size'"),
        ({"unclip": {"most_weight": 0.5}}, ConfigError, "unclip.most_weight must be at least 1; got 0.5"),
        ({"unclip": {"text_dropout": 1.5}}, ConfigError, r"unclip.text_dropout must be in \[0, 1\]; got 1.5"),
    ],
)
def test_recipes_that_cannot_be_are_refused(
    root: Path, tables: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(recipe_of("refused", **tables), root)
