"""`pictura models` and `pictura doctor`: what is there, and what is wrong with it."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pictura.cli.app import app
from pictura.store.models import read_model
from tests.tiny_model import make_learnt, make_student


def call(*args: str) -> Result:
    return CliRunner().invoke(app, args)


@pytest.fixture
def models(tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models that may be damaged; it holds `tiny`."""
    shutil.copytree(tiny_home, tmp_path / "home")
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


def test_a_model_is_listed_with_what_programs_need(models: Path) -> None:
    listed = {model["name"]: model for model in json.loads(call("models", "--json").stdout)}
    tiny = listed["tiny"]
    assert set(tiny) == {
        *("name", "family", "kind", "size_mb", "delta_mb", "student", "licence", "metrics", "path")
    }
    assert (tiny["family"], tiny["kind"], tiny["path"]) == ("flow", "painter", str(models / "tiny"))
    assert tiny["size_mb"] > 0


def test_a_person_reads_the_same_in_columns(models: Path) -> None:
    head, *rows, foot = call("models").stdout.splitlines()
    names = ("name", "family", "kind", "MB", "learnt MB", "student", "licence", "scores", "path")
    assert head.split() == " ".join(names).split()
    assert any(row.startswith("tiny ") and row.endswith(str(models / "tiny")) for row in rows)
    assert str(models) in foot


def test_what_was_learnt_is_listed_with_its_size(models: Path) -> None:
    learnt = make_learnt(read_model(models / "tiny"), models / "learnt")
    size = (learnt.path / "delta.safetensors").stat().st_size / 1e6
    listed = {model["name"]: model["delta_mb"] for model in json.loads(call("models", "--json").stdout)}
    assert listed["learnt"] == pytest.approx(size, abs=0.01)
    assert listed["tiny"] is None


def test_a_student_is_listed_with_its_steps(models: Path) -> None:
    schooled = make_student(read_model(models / "tiny"), models / "schooled")
    listed = {model["name"]: model["student"] for model in json.loads(call("models", "--json").stdout)}
    student = listed["schooled"]
    assert (student["num_steps"], len(student["hash"]), student["metrics"]) == (2, 12, {"glyphbench": 0.3})
    size = (schooled.path / "student.safetensors").stat().st_size / 1e6
    assert student["size_mb"] == pytest.approx(size, abs=0.01)
    assert listed["tiny"] is None
    (row,) = (line for line in call("models").stdout.splitlines() if line.startswith("schooled "))
    assert "  2 steps  " in row


def test_an_unreadable_model_is_named_and_left_out(models: Path) -> None:
    (models / "broken").mkdir()
    (models / "broken" / "model.json").write_text("{")
    result = call("models", "--json")
    assert result.exit_code == 0
    assert "broken" not in result.stdout
    assert result.stderr.startswith(f"Left out: {models / 'broken' / 'model.json'}")


def test_doctor_says_what_to_do_about_a_damaged_model(models: Path) -> None:
    (models / "tiny" / "words.txt").write_text("changed")
    result = call("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 1
    assert "words.txt is damaged" in checks["model tiny"]["advice"]


def test_doctor_finds_no_fault_with_an_intact_model(models: Path) -> None:
    checks = {check["name"]: check for check in json.loads(call("doctor", "--json").stdout)["checks"]}
    assert checks["model tiny"]["advice"] is None
    assert "intact" in checks["model tiny"]["value"]
    assert str(models) in checks["models looked for"]["value"]


def test_a_model_that_hides_an_embedded_one_is_named(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(models / "tiny", tmp_path / "embedded" / "flow")
    monkeypatch.setattr("pictura.store.models.EMBEDDED", tmp_path / "embedded")
    assert "which hides" not in call("models").stdout + call("doctor").stdout
    shutil.copytree(models / "tiny", models / "flow")
    words = (
        f"'flow' and 'default' stand for your own {models / 'flow'}, which hides the embedded model; rename"
    )
    (note,) = (line for line in call("models").stdout.splitlines() if "which hides" in line)
    assert note.startswith(f"Note: {words}")
    doctor = call("doctor")
    (line,) = (line for line in doctor.stdout.splitlines() if "which hides" in line)
    assert line.startswith("  model hidden")
    assert words in line
    assert "which hides" not in call("models", "--json").stdout
