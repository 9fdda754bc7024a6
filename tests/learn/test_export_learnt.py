"""What was learnt becomes a small file beside the base, whole and proven, and says where it comes from."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import pictura
from pictura.cli.app import app
from pictura.core.errors import ConfigError, ModelError, TrainingError
from pictura.families.flow.backend import FlowParts
from pictura.learn.delta import delta_of
from pictura.learn.export import export_learnt
from pictura.store.models import ModelInfo, read_model
from pictura.store.weights import read_weights
from pictura.train import checkpoint
from pictura.train.export.samples import CAPTION_HEIGHT, SIDE
from tests.learn.learnt_kit import make_run


@pytest.fixture(scope="module")
def base(tiny_home: Path) -> ModelInfo:
    return read_model(tiny_home / "models" / "tiny")


@pytest.fixture(scope="module")
def run(base: ModelInfo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "better", base)


@pytest.fixture(scope="module")
def learnt(run: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelInfo:
    return export_learnt(run, tmp_path_factory.mktemp("models") / "better", name="better")


def paint(folder: Path, **settings: float) -> bytes:
    settings = {"num_steps": 2, "guidance_scale": 1.0, **settings}
    strength = settings.pop("strength", 100)
    painter = pictura.load(folder, device="cpu", strength=strength)
    (picture,) = painter.paint("a red fox", num_images=1, seed=1, size=(32, 32), solver="euler", **settings)  # type: ignore[arg-type]
    return picture.image.tobytes()


def test_the_base_is_beside_it_untouched(base: ModelInfo, learnt: ModelInfo) -> None:
    learnt.verify()
    assert learnt.deltas == ("delta.safetensors",)
    for name in ("weights.safetensors", "network.onnx", "tokenizer.json", "words.txt"):
        assert (learnt.path / name).read_bytes() == (base.path / name).read_bytes()
    assert learnt.hash != base.hash
    # but for the way of sampling, which the run chose:
    settings = {"num_steps": 3, "guidance_scale": 2.0}
    for folder in (base.path, learnt.path):
        assert read_model(folder).sampling.shift == 1
    assert paint(learnt.path, strength=0, **settings) != paint(learnt.path, **settings)


def test_the_weights_are_those_that_were_learnt(run: Path, base: ModelInfo, learnt: ModelInfo) -> None:
    values = checkpoint.load(run / "best").weights["ema"]
    weights, start = read_weights(learnt.path), read_weights(base.path)
    names = {key.removesuffix(".up") for key in values if key.endswith(".up")}
    assert len(names) == 4
    for name, weight in weights.items():
        change = np.zeros_like(weight)
        if name in names:
            change = (values[f"{name}.up"] @ values[f"{name}.down"]).numpy()
            assert np.abs(change).max() > 0.01
        np.testing.assert_allclose(weight, start[name] + change, atol=2e-3)


def test_the_best_is_taken_or_the_last(run: Path, learnt: ModelInfo, tmp_path: Path) -> None:
    last = export_learnt(run, tmp_path / "last", name="last", last=True)
    assert (learnt.manifest["learnt"]["update"], last.manifest["learnt"]["update"]) == (6, 8)
    assert last.hash != learnt.hash


def test_it_says_what_was_learnt_on_what(base: ModelInfo, learnt: ModelInfo) -> None:
    said = learnt.manifest["learnt"]
    assert said["base"] == {"name": "tiny", "hash": base.hash}
    assert (said["algorithm"], said["rewards"], said["rank"]) == ("nft", ["brightness"], 2)
    assert said["pictures"] == 6 * 16 * 16
    assert said["reward"] == pytest.approx([0.15, 0.55])  # of updates 1 and 2, and of 5 and 6
    assert said["held_out"]["strict"] == pytest.approx([0.5, 0.62])
    assert set(said["held_out"]) == {"clip", "strict", "diversity", "diversity_share"}
    assert learnt.manifest["recipe"]["name"] == "better"
    assert learnt.metrics == {}  # the base's are not its own
    assert (learnt.sampling.guidance_scale, learnt.sampling.num_steps, learnt.sampling.solver) == (
        1,
        2,
        "euler",
    )
    assert set(base.data) <= set(learnt.data)


def test_the_card_says_it_too(learnt: ModelInfo) -> None:
    card = (learnt.path / "README.md").read_text()
    assert "Each prompt before and, below it, after learning" in card
    assert "| held out: right, by judge A | 0.5 | 0.62 |" in card
    assert "- update 4, gradient: skip, for its norm was <9>" in card
    assert "`--strength 0` it paints what the base paints with the same settings" in card
    assert "`nft` on the rewards brightness: 6 of 8 updates, 1536 pictures, 0.75 hours" in card
    assert learnt.files["delta.safetensors"] in card
    with Image.open(learnt.path / "samples.png") as sheet:
        assert sheet.size == (2 * SIDE, 2 * SIDE + CAPTION_HEIGHT)
        before, after = (np.asarray(sheet)[top : top + SIDE] for top in (0, SIDE))
        assert (before != after).any()


def test_a_graph_that_differs_from_torch_leaves_no_folder(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = FlowParts.from_folder

    def changed(model: ModelInfo, student: bool = False) -> FlowParts:
        return read(model, strength=0.0)  # without what was learnt

    monkeypatch.setattr(FlowParts, "from_folder", changed)
    with pytest.raises(ModelError, match=r"^network\.onnx differs from torch at"):
        export_learnt(run, tmp_path / "models" / "better", name="better")
    assert list((tmp_path / "models").iterdir()) == []


def test_all_weights_become_a_delta_of_their_main_directions(base: ModelInfo, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", base, weights="full")
    learnt = export_learnt(run, tmp_path / "full", name="full")
    assert learnt.manifest["learnt"]["rank"] == "full"
    assert learnt.manifest["learnt"]["lost"] < 1e-3  # so small a network fits whole
    values = checkpoint.load(run / "best").weights["ema"]
    for name, weight in read_weights(learnt.path).items():
        if name in values:
            np.testing.assert_allclose(weight, values[name], atol=5e-3)
    assert paint(learnt.path, strength=0) == paint(base.path)


def test_a_change_of_every_rank_is_cut_where_it_explains_least() -> None:
    torch.manual_seed(0)
    base = {"a": torch.zeros(40, 30), "b": torch.zeros(20, 20), "c": torch.zeros(8)}
    low = torch.outer(torch.randn(40), torch.randn(30))
    values = {"a": low + 1e-3 * torch.randn(40, 30), "b": 0.1 * torch.randn(20, 20), "c": torch.randn(8)}
    delta, lost = delta_of(values, base, most_bytes=2 * (70 + 9 + 3 * 40))
    shapes = {name: tuple(value.shape) for name, value in delta.items()}
    assert shapes == {
        "a.up": (40, 1),
        "a.down": (1, 30),
        "b.up": (20, 3),
        "b.down": (3, 20),
        "c.up": (8, 1),
        "c.down": (1, 1),
    }
    rest = (
        torch.linalg.svdvals(values["b"])[3:].square().sum()
        + torch.linalg.svdvals(values["a"])[1:].square().sum()
    )
    whole = sum(value.square().sum() for value in values.values())
    assert lost == pytest.approx(float((rest / whole).sqrt()), rel=0.01)


def test_room_goes_to_what_explains_most_for_what_it_takes() -> None:
    """One direction of 60 numbers explains 1, three of 20 numbers each explain 0.49."""
    values = {"a": torch.zeros(30, 30), "b": 0.7 * torch.diag(torch.arange(10) < 3).float()}
    values["a"][0, 0] = 1
    delta, lost = delta_of(values, {"a": torch.zeros(30, 30), "b": torch.zeros(10, 10)}, most_bytes=2 * 60)
    assert {name: tuple(value.shape) for name, value in delta.items()} == {"b.up": (10, 3), "b.down": (3, 10)}
    assert lost == pytest.approx((1 / (1 + 3 * 0.49)) ** 0.5, rel=1e-3)


def test_a_low_rank_that_is_too_large_is_cut_and_a_small_one_is_not() -> None:
    torch.manual_seed(0)
    values = {"a.up": torch.randn(30, 4), "a.down": torch.randn(4, 20)}
    base = {"a": torch.zeros(30, 20)}
    whole, lost = delta_of(values, base)
    assert lost < 1e-3
    torch.testing.assert_close(whole, {name: value.half() for name, value in values.items()})
    cut, lost = delta_of(values, base, most_bytes=2 * 3 * 50)
    assert sum(value.numel() for value in cut.values()) == 150
    assert 0.05 < lost < 0.9


def test_who_learns_again_keeps_the_first_delta(learnt: ModelInfo, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", learnt, best=4)
    twice = export_learnt(run, tmp_path / "twice", name="twice")
    assert twice.deltas == ("delta-01.safetensors", "delta.safetensors")
    first = (learnt.path / "delta.safetensors").read_bytes()
    assert (twice.path / "delta-01.safetensors").read_bytes() == first
    assert (twice.path / "delta.safetensors").read_bytes() != first
    assert paint(twice.path, strength=0) == paint(learnt.path, strength=0)


def test_a_run_that_learnt_nothing_is_not_exported(base: ModelInfo, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", base, best=0)
    with pytest.raises(TrainingError, match=r"after 8 updates nothing does better on held-out prompts than"):
        export_learnt(run, tmp_path / "x", name="x")
    assert not (tmp_path / "x").exists()
    assert export_learnt(run, tmp_path / "x", name="x", last=True).manifest["learnt"]["update"] == 8


def test_a_learnt_model_does_not_take_the_place_of_its_base(tiny_home: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_home / "models" / "tiny", tmp_path / "tiny")
    run = make_run(tmp_path / "run", read_model(folder))
    with pytest.raises(ConfigError, match=r"is the model that .* learnt on, which it needs\. Choose another"):
        export_learnt(run, folder, name="tiny")
    shutil.rmtree(folder)
    with pytest.raises(ModelError, match=r"learnt on the model 'tiny' with hash \w{10}, which is neither at"):
        export_learnt(run, tmp_path / "x", name="x")


def test_changes_too_large_for_fp16_are_refused(base: ModelInfo, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", base, best=10_000_000)
    with pytest.raises(
        ModelError, match=r"^These changes are not finite in fp16: .*The learning diverged\.$"
    ):
        export_learnt(run, tmp_path / "x", name="x")


def test_the_command_exports_either_kind_of_run(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path))
    result = CliRunner().invoke(app, ["export", str(run), "--name", "mine", "--guidance", "2"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(
        "Took its best checkpoint: step 6, held-out rise 0.5. --last takes the newest"
    )
    model = read_model(tmp_path / "models" / "mine")
    assert model.sampling.guidance_scale == 2
    assert json.loads((model.path / "model.json").read_text())["learnt"]["weights"] == "ema"
    result = CliRunner().invoke(app, ["export", str(run), "--name", "mine", "--weights", "ema_long"])
    assert "holds ema, values and old of what it learnt, but no weights 'ema_long'" in result.stderr
    result = CliRunner().invoke(app, ["export", str(run), "--name", "mine", "--prior", str(run)])
    assert "has its parts: leave --prior and --upsampler out" in result.stderr
    result = CliRunner().invoke(app, ["export", str(tmp_path), "--name", "x"])
    assert "holds no checkpoint" in result.stderr
