"""What a run learnt becomes the student inside its base's folder, and the base paints as before."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pictura.cli.app import app
from pictura.core.errors import ConfigError, ModelError, TrainingError
from pictura.learn.export import export_learnt
from pictura.learn.export_student import export_student
from pictura.store.models import STUDENT, ModelInfo, read_model
from pictura.store.student import student_of
from pictura.store.weights import read_weights
from pictura.train import checkpoint
from pictura.train.export.part import Provenance
from tests.learn.learnt_kit import make_run
from tests.tiny_model import make_learnt, make_student


@pytest.fixture(scope="module")
def base(tiny_home: Path) -> ModelInfo:
    return read_model(tiny_home / "models" / "tiny")


@pytest.fixture(scope="module")
def run(base: ModelInfo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "learn-student", base)


@pytest.fixture(scope="module")
def schooled(run: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelInfo:
    folder = tmp_path_factory.mktemp("models") / "schooled"
    return export_student(run, folder, name="schooled", provenance=Provenance(metrics={"glyphbench": 0.3}))


def test_the_base_is_all_there_and_is_the_same_model(base: ModelInfo, schooled: ModelInfo) -> None:
    schooled.verify()
    assert schooled.hash == base.hash
    assert set(schooled.files) == {*base.files, STUDENT}
    for name in set(base.files) - {"README.md"}:
        assert schooled.files[name] == base.files[name]
    assert schooled.deltas == ()


def test_its_weights_are_those_that_were_learnt(run: Path, base: ModelInfo, schooled: ModelInfo) -> None:
    values = checkpoint.load(run / "best").weights["ema"]
    start, weights = read_weights(base.path), read_weights(schooled.path, student=True)
    for name, weight in weights.items():
        change = np.zeros_like(weight)
        if f"{name}.up" in values:
            change = (values[f"{name}.up"] @ values[f"{name}.down"]).numpy()
            assert np.abs(change).max() > 0.01
        np.testing.assert_allclose(weight, start[name] + change, atol=2e-3)
    plain = read_weights(schooled.path)
    assert all(np.array_equal(plain[name], start[name]) for name in start)


def test_it_paints_as_the_run_did_and_says_so(schooled: ModelInfo) -> None:
    student = student_of(schooled)
    assert student is not None
    way = student.sampling
    assert (way.solver, way.num_steps, way.guidance_scale, way.shift) == ("euler", 2, 1.0, 1.0)
    said = schooled.manifest["student"]
    assert (said["learnt"]["update"], said["metrics"]) == (6, {"glyphbench": 0.3})
    card = (schooled.path / "README.md").read_text()
    assert card.count("## Student\n") == 1
    assert "2 steps of euler, guidance 1, 2 network calls where the model itself takes up to 6." in card
    assert f"`{student.hash}`" in card
    assert card.endswith(f"- {STUDENT}: sha256 `{schooled.files[STUDENT]}`\n")


def test_a_new_student_takes_the_place_of_the_old_one(run: Path, schooled: ModelInfo, tmp_path: Path) -> None:
    """In place, which is how a shipped model gets one."""
    old = make_student(schooled, tmp_path / "place")
    assert old.files[STUDENT] != schooled.files[STUDENT]
    config = checkpoint.load(run / "best").config
    assert config["model"]["hash"] == old.hash
    new = export_student(run, old.path, name="place", last=True)
    assert new.manifest["student"]["learnt"]["update"] == 8
    assert new.files[STUDENT] not in (old.files[STUDENT], schooled.files[STUDENT])
    card = (new.path / "README.md").read_text()
    assert (card.count("## Student\n"), card.count(f"- {STUDENT}: ")) == (1, 1)
    new.verify()


def test_what_learns_on_does_not_inherit_it(schooled: ModelInfo, tmp_path: Path) -> None:
    """It belongs to the weights that it learnt on."""
    again = make_run(tmp_path / "again", schooled)
    learnt = export_learnt(again, tmp_path / "better", name="better")
    assert student_of(learnt) is None
    assert STUDENT not in learnt.files


def test_torch_and_onnx_must_agree_on_it(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pictura.train.export.graphs.TOLERANCE", 0.0)
    with pytest.raises(ModelError, match=r"onnx differs from torch"):
        export_student(run, tmp_path / "no", name="no")
    assert not (tmp_path / "no").exists()


def test_impossible_exports_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lower-case"):
        export_student(run, tmp_path / "x", name="No!")
    with pytest.raises(TrainingError, match="no weights 'other'"):
        export_student(run, tmp_path / "x", name="x", weights="other")


def test_another_model_is_not_overwritten(run: Path, base: ModelInfo, tmp_path: Path) -> None:
    """As after the base was trained anew: the old student must not bring the old base back."""
    other = make_learnt(base, tmp_path / "other")
    with pytest.raises(
        ConfigError, match=f"holds the model {other.hash[:10]}; .* on {base.hash[:10]}, whose"
    ):
        export_student(run, other.path, name="other")
    other.verify()


def test_the_command_line_puts_it_there(run: Path, base: ModelInfo, tmp_path: Path) -> None:
    asked = ["export", str(run), "--student", "--name", "taught", "--out", str(tmp_path / "taught")]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    assert student_of(read_model(tmp_path / "taught")) is not None
    refused = CliRunner().invoke(app, [*asked, "--guidance", "2", "--steps", "3"])
    assert "A student paints as it learnt to: leave --steps, --guidance out." in refused.stderr
    manifest = json.loads((tmp_path / "taught" / "model.json").read_text())
    assert manifest["student"]["learnt"]["base"] == {"name": "tiny", "hash": base.hash}
