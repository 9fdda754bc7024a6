"""What the enlarger learns: exact losses, small pictures as painters make them, resume, export."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pictura.core.errors import ConfigError, ModelError
from pictura.core.types import Batch
from pictura.encode.autoencoder import Autoencoder, AutoencoderConfig
from pictura.encode.enlarger import Enlarger, EnlargerConfig
from pictura.runtime.onnx_enlarger import OnnxEnlarger
from pictura.train import checkpoint
from pictura.train.export.checkpoint import export_checkpoint
from pictura.train.export.enlarger import verify_enlarger
from pictura.train.recipe import Recipe
from pictura.train.tasks.enlarger import EnlargerStep, EnlargerTask, shrunk, spoilt
from pictura.train.tasks.enlarger_settings import EnlargerSettings
from tests.train.kit import make_recipe, make_set, run

SHAPE = {"width": 8, "width_half": 8, "num_blocks": 2, "num_blocks_half": 1}


def step() -> EnlargerStep:
    return EnlargerStep(Enlarger(EnlargerConfig(**SHAPE)), edge_weight=2.0)


def recipe(**tables: object) -> Recipe:
    return make_recipe(task="enlarger", data={"size": 32}, enlarger={"network": SHAPE}, **tables)


def pictures(count: int = 8) -> torch.Tensor:
    x = torch.rand(count, 4, 32, 64, generator=torch.Generator().manual_seed(0))
    x[:, :3] *= x[:, 3:]
    return x


def test_the_true_picture_has_no_loss_and_a_shift_in_brightness_its_size() -> None:
    module, small = step(), pictures()[:, :, :8, :12]
    truth = module.enlarger(small).detach()
    with torch.no_grad():
        assert float(module(small, truth).max()) < 1e-6
        torch.testing.assert_close(module(small, truth + 0.25), torch.full((8,), 0.25))  # no edge moved


def test_edges_count_as_often_as_they_are_told_to() -> None:
    module, small = step(), torch.zeros(1, 4, 8, 8)
    truth = torch.zeros(1, 4, 32, 32)
    truth[..., 16:] = 1.0
    with torch.no_grad():
        assert float(module(small, truth)) == pytest.approx(0.5 + 2.0 / 31)


def test_every_way_of_shrinking_keeps_colours_and_takes_a_quarter() -> None:
    flat = torch.tensor([0.1, 0.2, 0.3, 0.6])[None, :, None, None].expand(2, 4, 32, 64)
    for kernel in ("area", "bilinear", "bicubic"):
        small = shrunk(flat, kernel)
        assert small.shape == (2, 4, 8, 16)
        torch.testing.assert_close(small, flat[:, :, :8, :16], rtol=0, atol=1e-5)
    sharp = pictures()
    assert float((shrunk(sharp, "area") - shrunk(sharp, "bilinear")).abs().mean()) > 0.001


def test_some_small_pictures_stay_as_they_are_and_none_is_far_from_it() -> None:
    small = shrunk(pictures(60), "area")
    found = spoilt(small, np.random.default_rng(0))
    same = (found == small).all(dim=3).all(dim=2).all(dim=1)
    assert 12 < int(same.sum()) < 36
    assert 0.001 < float((found - small).abs().mean()) < 0.05
    again = spoilt(small, np.random.default_rng(0))
    torch.testing.assert_close(again, found, rtol=0, atol=0)


def test_the_first_share_of_a_batch_goes_through_the_autoencoder() -> None:
    autoencoder = Autoencoder(AutoencoderConfig(latent_channels=8)).eval()
    settings = EnlargerSettings(painted=0.5, most_noise=0.0)
    task = EnlargerTask(step(), settings, autoencoder=autoencoder, device=torch.device("cpu"))
    batch = Batch(images=pictures(), captions=("",) * 8)
    small, large = task.inputs(batch, np.random.default_rng(3))
    torch.testing.assert_close(large, pictures())
    kernels = [shrunk(large, kernel) for kernel in ("bilinear", "area", "bicubic")]
    through = [autoencoder.decode(autoencoder.encode(one[:4])) for one in kernels]
    through = [torch.cat([torch.minimum(x[:, :3], x[:, 3:]), x[:, 3:]], dim=1) for x in through]
    assert min(float((small[:4] - one).abs().max().detach()) for one in through) < 1e-5
    assert min(float((small[4:] - one[4:]).abs().mean()) for one in kernels) < 0.05


def test_a_run_goes_on_where_it_stopped_bit_for_bit(tmp_path: Path) -> None:
    make_set(tmp_path / "set")
    whole = run(recipe(training={"num_steps": 4, "decay_fraction": 0.0}), tmp_path)
    whole.train()
    first = run(recipe(name="parts", training={"num_steps": 2, "decay_fraction": 0.0}), tmp_path)
    first.train()
    second = run(recipe(name="parts", training={"num_steps": 4, "decay_fraction": 0.0}), tmp_path)
    assert second.step == 2
    second.train()
    for name, weight in whole.module.state_dict().items():
        torch.testing.assert_close(second.module.state_dict()[name], weight, rtol=0, atol=0)


def test_an_exported_run_enlarges_without_torch_as_with_it(tmp_path: Path) -> None:
    make_set(tmp_path / "set")
    done = run(recipe(training={"num_steps": 3, "learning_rate": 1e-2}), tmp_path)
    done.train()
    info = export_checkpoint(tmp_path / "runs" / "tiny", tmp_path / "model", name="enlarger")
    assert (info.kind, info.family, info.manifest["times"]) == ("part", "enlarger", 4)
    assert info.manifest["enlarger"]["num_blocks_half"] == 1
    small = shrunk(pictures(1), "area").numpy()
    found = OnnxEnlarger(tmp_path / "model", num_threads=1)(small)
    saved = checkpoint.load(checkpoint.find_latest(tmp_path / "runs" / "tiny"))  # type: ignore[arg-type]
    weights = {k.removeprefix("enlarger."): v.half().float() for k, v in saved.weights["ema_long"].items()}
    network = Enlarger(EnlargerConfig(**SHAPE))
    network.load_state_dict(weights)
    with torch.no_grad():
        expected = network(torch.from_numpy(np.pad(small, ((0, 0), (0, 0), (6, 6), (6, 6)), mode="edge")))
    inside = expected[:, 3, 24:-24, 24:-24].clamp(0, 1).numpy()
    np.testing.assert_allclose(found[:, 3], inside, rtol=0, atol=1e-4)
    assert float(np.abs(found).max()) > 0
    (tmp_path / "model" / "enlarger.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="is damaged"):
        verify_enlarger(tmp_path / "model")


def test_settings_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    make_set(tmp_path / "set")
    with pytest.raises(ConfigError, match="sides that are multiples of 32; got 16"):
        run(make_recipe(task="enlarger", data={"size": 16}), tmp_path)
    with pytest.raises(ConfigError, match=r"enlarger.painted must be in \[0, 1\]; got 1.5"):
        EnlargerSettings(painted=1.5)
    with pytest.raises(ConfigError, match=r"enlarger\.most_noise must be at least 0; got -1"):
        EnlargerSettings(most_noise=-1)
    with pytest.raises(ConfigError, match=r"data.oversample must be in \[0.5, 4\]; got 8"):
        make_recipe(data={"oversample": 8.0})
