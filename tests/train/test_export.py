"""An export is whole, small, and proven equal to torch before it appears."""

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
from PIL import Image
from safetensors.numpy import load_file
from typer.testing import CliRunner

from pictura.cli.app import app
from pictura.cli.export import read_card
from pictura.core.errors import ConfigError, ModelError, StorageError
from pictura.families.flow.backend import FlowParts
from pictura.store.models import ModelInfo, read_model
from pictura.train.export.checkpoint import verify_export
from pictura.train.export.samples import CAPTION_HEIGHT, SIDE
from tests.tiny_model import make_model


@pytest.fixture
def folder(tiny_home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_home / "models" / "tiny", tmp_path / "tiny"))


def test_every_weight_is_named_by_a_graph_and_held_by_none(folder: Path) -> None:
    weights = load_file(folder / "weights.safetensors")
    assert {str(array.dtype) for array in weights.values()} == {"float16"}
    model = read_model(folder)
    assert set().union(*model.graphs.values()) == set(weights)
    for name, wanted in model.graphs.items():
        graph = onnx.load(folder / f"{name}.onnx", load_external_data=False).graph
        outside = {t.name for t in graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL}
        assert outside == set(wanted)
    assert sum(path.stat().st_size for path in folder.glob("*.onnx")) < 100_000


def test_the_card_says_data_sampling_and_hashes(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    assert "- nothing: the weights are random\n- what it started from\n\n" in card
    assert "3 steps of ab2, guidance 2 for t in [0.2, 0.9]" in card
    assert "It paints at 32x32, 40x24, 24x40 pixels" in card
    assert "7 steps in 0.5 hours; the weights are its 'ema_long'. Not trained at all." in card
    assert read_model(folder).files["weights.safetensors"] in card
    assert "Licence: not stated." in card  # nobody gave one


def test_the_card_shows_what_the_model_paints(folder: Path) -> None:
    assert "nothing picked](samples.png)" in (folder / "README.md").read_text()
    with Image.open(folder / "samples.png") as sheet:
        assert sheet.size == (2 * SIDE, SIDE + CAPTION_HEIGHT)
    (folder / "samples.png").unlink()  # people's, not the painter's
    manifest = json.loads((folder / "model.json").read_text())
    before = read_model(folder).hash
    del manifest["files"]["samples.png"]
    (folder / "model.json").write_text(json.dumps(manifest))
    assert read_model(folder).hash == before


def test_a_graph_that_differs_from_torch_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verify_export(folder)
    read = FlowParts.from_folder

    def changed(model: ModelInfo, **how: Any) -> FlowParts:
        parts = read(model, **how)
        parts.network.patch_out.bias.add_(1e-3)
        return parts

    monkeypatch.setattr(FlowParts, "from_folder", changed)
    with pytest.raises(ModelError, match=r"^network\.onnx differs from torch at 8x8 by \d.*e-0[23]; at most"):
        verify_export(folder)


def test_the_command_exports_a_run_and_refuses_what_is_none(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", str(tmp_path), "--name", "x", "--out", str(tmp_path / "x")])
    assert (result.exit_code, result.stdout) == (10, "")
    assert f"Error: {tmp_path} holds no checkpoint. Name the folder of a run" in result.stderr
    (tmp_path / "card.toml").write_text('licence = "CC0-1.0"\ndata = ["mine"]\nlicense = "x"')
    with pytest.raises(ConfigError, match=r"there is no setting 'license'\. Did you mean 'licence'\?"):
        read_card(tmp_path / "card.toml")


def test_how_it_paints_may_be_chosen_at_the_end(tmp_path: Path) -> None:
    model = make_model(tmp_path / "tiny", sampling={"guidance_scale": 4.0})
    assert (model.sampling.guidance_scale, model.sampling.num_steps) == (4.0, 3)
    with pytest.raises(ConfigError, match="ab3"):
        make_model(tmp_path / "other", sampling={"solver": "ab3"})


def test_other_folders_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match=r"is a folder of something else than a model\. Choose another"):
        make_model(tmp_path)
    with pytest.raises(ConfigError, match=r"^A model's name is lower-case letters, .*; got '\.\./x'\.$"):
        make_model(tmp_path / "x", name="../x")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_weights_too_large_for_fp16_leave_no_folder(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"^These weights are not finite in fp16: .*The training diverged\.$"
    ):
        make_model(tmp_path / "tiny", std=1e6)
    assert list(tmp_path.iterdir()) == []
