"""An adversarial run becomes a folder that paints in one pass, proven equal to torch before it appears."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.numpy import load_file

from pictura.core.errors import ConfigError, ModelError, TrainingError
from pictura.encode.damsm import painter
from pictura.nn.one_pass import OnePassParts, as_pictures
from pictura.runtime.onnx_one_pass import OnnxOnePass
from pictura.store.models import ModelInfo, read_model
from pictura.train.export import gan as export_gan
from pictura.train.export.checkpoint import export_checkpoint
from pictura.train.gans.gan import FAMILIES
from tests.tiny_gan import make_checkpoint, make_gan


@pytest.fixture
def folder(gan_home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(gan_home / "models" / "attngan", tmp_path / "attngan"))


def test_every_weight_that_the_picture_needs_is_named_and_none_is_held(folder: Path) -> None:
    weights = load_file(folder / "weights.safetensors")
    assert {name.partition(".")[0] for name in weights} == {"generator", "text_encoder"}
    assert {str(array.dtype) for array in weights.values()} == {"float16"}
    model = read_model(folder)
    named = set().union(*model.graphs.values())
    assert set(weights) - named == {"generator.heads.0.0.weight"}  # of the coarser picture
    for name, wanted in model.graphs.items():
        graph = onnx.load(folder / f"{name}.onnx", load_external_data=False).graph
        outside = {t.name for t in graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL}
        assert outside == set(wanted)


def test_a_graph_asks_only_for_what_its_family_reads(gan_home: Path) -> None:
    asked = {}
    for family in ("attngan", "stackgan"):
        graph = onnx.load(gan_home / "models" / family / "generator.onnx", load_external_data=False).graph
        asked[family] = [one.name for one in graph.input]
    assert asked == {
        "attngan": ["noise", "tokens", "mask", "sentence"],
        "stackgan": ["noise", "sentence"],
    }


def test_the_card_says_how_it_paints(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    assert "In one pass, without steps and guidance. It paints at 16x16 pixels" in card
    assert "7 steps in 0.5 hours; the weights are its 'ema_long'." in card
    assert "nothing picked](samples.png)" in card


STAGES = {
    "version": 1,
    "base_size": 16,
    "width": 8,
    "widest": 16,
    "num_residual": 1,
    "fidelity": "code",
    "std": 0.3,
}


def test_the_folder_paints_what_the_run_painted(tmp_path: Path) -> None:
    """Colour never passes alpha, and RGB, here of two stages, needs no alpha."""
    kinds: dict[str, dict[str, Any]] = {"dfgan": {}, "stackgan": {**STAGES, "image_channels": 3}}
    for family, more in kinds.items():
        run, folder = tmp_path / f"run-{family}", tmp_path / f"model-{family}"
        parts = make_checkpoint(run, family, **more)
        model = export_checkpoint(run, folder, name=family)
        channels = parts.generator.config.image_channels
        backend = OnnxOnePass(model, num_threads=1)
        noise = np.random.default_rng(0).standard_normal((2, backend.noise_size), dtype=np.float32)
        images = backend.paint(noise, backend.encode_text(np.array([1, 50, 60]))).images
        with torch.no_grad():
            cond = parts.read(torch.tensor([[1, 50, 60]] * 2))
            raw = parts.generator(torch.from_numpy(noise), cond).images[-1].numpy() / 2 + 0.5
        assert images.shape == (2, channels, *model.grids[0])
        assert images.min() >= 0
        if channels == 4:
            assert (images[:, :3] <= images[:, 3:]).all()
            assert (raw[:, :3] > raw[:, 3:]).any()
            raw[:, :3] = np.minimum(raw[:, :3], raw[:, 3:])
        np.testing.assert_allclose(images, raw, atol=1e-4)


def test_pictures_are_cut_to_what_can_be_shown() -> None:
    rgb = torch.tensor([-1.2, 0.4, 1.2]).view(1, 3, 1, 1)
    assert as_pictures(rgb).flatten().tolist() == pytest.approx([0, 0.7, 1])
    rgba = torch.tensor([1.0, 0.2, -1.0, 0.0]).view(1, 4, 1, 1)
    assert as_pictures(rgba).flatten().tolist() == pytest.approx([0.5, 0.5, 0, 0.5])


def test_a_graph_that_differs_from_torch_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_gan.verify_gan(folder)

    def changed(*given: object) -> OnePassParts:
        parts = painter.read_parts(*given)  # type: ignore[arg-type]
        parts.generator.heads[-1][0].weight.add_(0.01)
        return parts

    monkeypatch.setattr(export_gan, "read_parts", changed)
    with pytest.raises(ModelError, match=r"^generator\.onnx differs from torch at 1 tokens by \d.*e-0\d; at"):
        export_gan.verify_gan(folder)


def test_weights_of_another_shape_are_refused(gan_home: Path, folder: Path) -> None:
    shutil.copy(gan_home / "models" / "stackgan" / "weights.safetensors", folder)
    model = read_model(folder)
    with pytest.raises(ModelError, match=r"do not fit its model\.json"):
        painter.read_parts(FAMILIES.get("attngan"), model)


def test_a_painter_in_one_pass_has_no_settings_of_steps(tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "run", "stackgan")
    with pytest.raises(
        ConfigError, match=r"holds a stackgan, which does not paint by steps: leave num_steps"
    ):
        export_checkpoint(tmp_path / "run", tmp_path / "m", name="x", sampling={"num_steps": 4})
    with pytest.raises(TrainingError, match=r"holds no gan with weights 'model': it cannot be exported\."):
        export_checkpoint(tmp_path / "run", tmp_path / "m", name="x", weights="model")
    assert not (tmp_path / "m").exists()


def test_weights_that_diverged_leave_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^These weights are not finite in fp16: .*diverged\.$"):
        make_gan(tmp_path / "m", "stackgan", std=1e6)
    assert list(tmp_path.iterdir()) == []


def test_the_model_knows_its_family(gan_home: Path) -> None:
    model: ModelInfo = read_model(gan_home / "models" / "stackgan")
    assert model.manifest["gan"]["num_scales"] == 2
    assert model.grids == ((16, 16),)
    assert "network" not in model.manifest
