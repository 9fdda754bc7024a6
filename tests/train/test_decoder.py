"""A decoder learns on alone, and goes into the folder of its painter, whose student stays."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from pictura.cli.app import app
from pictura.core.errors import ConfigError, ModelError, TrainingError
from pictura.core.types import Batch
from pictura.encode.autoencoder import Autoencoder, AutoencoderConfig
from pictura.store.models import STUDENT, ModelInfo, read_model
from pictura.train import checkpoint
from pictura.train.export.checkpoint import export_checkpoint
from pictura.train.export.decoder import export_decoder
from pictura.train.loop import Run
from pictura.train.recipe import TrainingSettings
from pictura.train.tasks.autoencoder import AutoencoderStep, AutoencoderTask, edge_error
from tests.tiny_model import make_model, make_student
from tests.train.kit import make_recipe, make_set, run

CONFIG = AutoencoderConfig(latent_channels=4, encoder_widths=(8, 8), decoder_widths=(8, 8))
DECODES = ("autoencoder.decoder.", "autoencoder.patch_out.")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelInfo:
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path / "home"))
    tiny = make_model(tmp_path / "tiny")
    return make_student(tiny, tmp_path / "home" / "models" / "schooled")


@pytest.fixture
def trained(base: ModelInfo, tmp_path: Path) -> Run:
    make_set(tmp_path / "set")
    recipe = make_recipe(
        task="autoencoder",
        name="decoder",
        model={"init_from": "schooled"},
        training={"latent_noise": 0.5, "learning_rate": 1e-2},
    )
    done = run(recipe, tmp_path)
    done.train()
    return done


def test_the_decoder_alone_learns(base: ModelInfo, trained: Run) -> None:
    before = load_file(base.path / "weights.safetensors")
    changed = {
        name
        for name, value in trained.averages["ema_short"].weights.items()
        if not torch.equal(value.half(), before[name])
    }
    assert changed
    assert all(name.startswith(DECODES) for name in changed)
    assert "autoencoder.latent_mean" in trained.averages["ema_short"].weights


def test_its_loss_is_that_of_pixels_and_edges() -> None:
    network = Autoencoder(CONFIG)
    step = AutoencoderStep(network, kl_weight=1.0, decoder_only=True)
    for weight in network.patch_out.parameters():
        weight.data.zero_()
    images = torch.full((2, 4, 16, 16), 0.75)
    images[1, :, :, 8:] = 0.25
    found = step(images, torch.randn(2, 4, 4, 4)).detach()
    torch.testing.assert_close(found, torch.tensor([0.25, 0.25 + 0.5 / 15]))  # it paints plain grey


def test_noise_on_the_latent_is_in_its_deviations() -> None:
    network = Autoencoder(CONFIG)
    network.latent_std.fill_(3.0)
    for weight in network.patch_out.parameters():
        torch.nn.init.normal_(weight, std=0.02)
    step = AutoencoderStep(network, kl_weight=0.0, decoder_only=True)
    images, noise = torch.rand(2, 4, 16, 16), torch.randn(2, 4, 4, 4)
    with torch.no_grad():
        painted = network.decode(network.encode(images) + noise)
        assert 0 < float(painted.min()) < float(painted.max()) < 1
        pixels = (painted - images).abs().mean(dim=(1, 2, 3))
        torch.testing.assert_close(step(images, noise), pixels + edge_error(painted, images))


def test_strengths_are_drawn_for_each_picture_up_to_the_most() -> None:
    step = AutoencoderStep(Autoencoder(CONFIG), kl_weight=0.0, decoder_only=True)
    task = AutoencoderTask(step, TrainingSettings(latent_noise=0.5), device=torch.device("cpu"))
    batch = Batch(images=torch.zeros(64, 4, 64, 64), captions=("",) * 64)
    _, noise = task.inputs(batch, np.random.default_rng(0))
    strength = noise.std(dim=(1, 2, 3))
    assert 0.0 <= float(strength.min()) < 0.05
    assert 0.45 < float(strength.max()) < 0.53
    assert float(strength.mean()) == pytest.approx(0.25, abs=0.05)


def test_it_goes_into_the_painters_folder_and_all_else_stays(
    base: ModelInfo, trained: Run, tmp_path: Path
) -> None:
    found = export_decoder(trained.folder, tmp_path / "better", name="better", weights="model")
    found.verify()
    assert found.hash != base.hash
    assert found.files[STUDENT] == base.files[STUDENT]
    assert found.manifest["recipe"] == base.manifest["recipe"]
    assert found.manifest["student"]["metrics"] == found.manifest["metrics"] == {}
    before, after = (load_file(one.path / "weights.safetensors") for one in (base, found))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith(DECODES) for name in changed)
    card = (found.path / "README.md").read_text()
    assert card.startswith("# better\n")
    assert card.count("\n## Decoder\n") == 1
    assert "latents with noise of strengths up to 0.5" in card
    assert "\n## Metrics\n\nNone yet.\n" in card
    for name in ("weights.safetensors", "samples.png"):
        assert f"- {name}: sha256 `{found.files[name]}`" in card
        assert found.files[name] != base.files[name]


def test_it_may_take_the_place_of_its_base(base: ModelInfo, trained: Run) -> None:
    arguments = ["export", str(trained.folder), "--name", "schooled", "--out", str(base.path)]
    for _ in range(2):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
    assert "torch and ONNX agree" in done.output
    assert (base.path / "README.md").read_text().count("## Decoder") == 1
    assert read_model(base.path).hash != base.hash


def test_a_painter_that_learns_on_keeps_saying_so(trained: Run, tmp_path: Path) -> None:
    better = export_decoder(trained.folder, tmp_path / "better", name="better")
    on = run(make_recipe(name="on", model={"init_from": str(better.path)}), tmp_path)
    on.train()
    found = export_checkpoint(on.folder, tmp_path / "further", name="further")
    assert found.manifest["decoder"] == better.manifest["decoder"]
    card = (found.path / "README.md").read_text()
    assert card.count("\n## Decoder\n") == 1
    assert "latents with noise of strengths up to 0.5" in card


def test_a_decoder_of_another_space_is_refused(base: ModelInfo, trained: Run, tmp_path: Path) -> None:
    where = checkpoint.find_latest(trained.folder)
    assert where is not None
    saved = checkpoint.load(where)
    saved.weights["ema_long"]["autoencoder.patch_in.bias"].add_(1)
    checkpoint.save(dataclasses.replace(saved, step=saved.step + 1), trained.folder / "checkpoints")
    with pytest.raises(ModelError, match=r"learnt in another space than 'schooled'.*patch_in\.bias differs"):
        export_decoder(trained.folder, tmp_path / "better", name="better")
    assert not (tmp_path / "better").exists()


def test_an_autoencoder_of_no_painter_is_refused(tmp_path: Path) -> None:
    make_set(tmp_path / "set")
    shape = {"latent_channels": 4, "encoder_widths": [8, 8], "decoder_widths": [8, 8]}
    done = run(make_recipe(task="autoencoder", name="space", model={"autoencoder_config": shape}), tmp_path)
    done.train()
    with pytest.raises(TrainingError, match=r"which no painter has yet: train one with model\.autoencoder"):
        export_decoder(done.folder, tmp_path / "model", name="model")


def test_noise_without_a_painter_is_refused(tmp_path: Path) -> None:
    make_set(tmp_path / "set")
    with pytest.raises(ConfigError, match=r"latent_noise is 0\.5, .* set model\.init_from to that model"):
        run(make_recipe(task="autoencoder", training={"latent_noise": 0.5}), tmp_path)
    shape = {"latent_channels": 4, "encoder_widths": [8, 8], "decoder_widths": [8, 8]}
    run(make_recipe(task="autoencoder", name="space", model={"autoencoder_config": shape}), tmp_path).train()
    start = {"init_from": "runs/space"}
    with pytest.raises(ConfigError, match=r"exported, not to a run; got 'runs/space'"):
        run(make_recipe(task="autoencoder", model=start, training={"latent_noise": 0.5}), tmp_path)
    with pytest.raises(ConfigError, match=r"training\.latent_noise must be at least 0; got -1"):
        TrainingSettings(latent_noise=-1)
