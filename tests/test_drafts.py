"""`--draft`: by the model's student where it has one that learnt what is asked, else by the model itself."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pictura
from pictura.core.errors import ConfigError, ModelError
from pictura.engine.models import WarmModels
from pictura.families.flow.backend import TorchBackend
from pictura.pipeline import Painter, Picture, repaint
from pictura.prompt import ParsedPrompt, parse
from pictura.sample.calls import Call
from pictura.store.metadata import a1111_parameters, read_metadata
from pictura.store.models import MANIFEST, STUDENT, ModelInfo, read_model
from pictura.store.student import student_of
from pictura.train.export.part import write_manifest
from tests.tiny_model import make_learnt, make_student

OWN = {"num_steps": 3, "guidance_scale": 2.0, "solver": "ab2", "shift": 1.0}
"""How `tiny` drafts by itself: it has no more steps than these."""
STUDENTS = {"num_steps": 2, "guidance_scale": 1.0, "solver": "euler", "shift": 2.0}


@pytest.fixture(scope="module")
def schooled(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelInfo:
    return make_student(read_model(tiny_home / "models" / "tiny"), tmp_path_factory.mktemp("m") / "schooled")


@pytest.fixture(scope="module")
def painter(schooled: ModelInfo) -> Painter:
    return pictura.load(schooled.path, device="cpu", num_threads=1)


def one(text: str) -> ParsedPrompt:
    (found,) = parse(text)
    return found


def paint(painter: Painter, text: str, **more: Any) -> Picture:
    return painter.paint(one(text), **{"num_images": 1, "seed": 3, **more})[0]


def way(picture: Picture) -> dict[str, Any]:
    return {name: picture.settings[name] for name in OWN}


def test_a_draft_is_painted_as_its_student_paints(painter: Painter, schooled: ModelInfo) -> None:
    draft = paint(painter, "a red fox --draft")
    student = student_of(schooled)
    assert student is not None
    assert (draft.image.size, way(draft)) == ((128, 128), STUDENTS)
    assert draft.settings["student"] == student.hash == schooled.files[STUDENT][:12]


def test_the_student_is_the_model_with_its_change(painter: Painter, tiny_home: Path, tmp_path: Path) -> None:
    """A model with the same change as a delta, painted the same way, paints the same picture."""
    learnt = make_learnt(read_model(tiny_home / "models" / "tiny"), tmp_path / "learnt")
    how = {**learnt.manifest["sampling"], **STUDENTS}
    write_manifest(learnt.path, {**learnt.manifest, "sampling": how})
    same = pictura.load(learnt.path, device="cpu", num_threads=1)
    (picture,) = same.paint("a red fox", num_images=1, seed=3, size=(128, 128))
    assert paint(painter, "a red fox --draft").image.tobytes() == picture.image.tobytes()


def test_without_draft_nothing_changes(painter: Painter, schooled: ModelInfo, tiny_home: Path) -> None:
    tiny = pictura.load(tiny_home / "models" / "tiny", device="cpu", num_threads=1)
    assert schooled.hash == tiny.model.hash
    plain, base = paint(painter, "a red fox"), paint(tiny, "a red fox")
    assert plain.image.tobytes() == base.image.tobytes()
    assert "student" not in plain.settings


def test_the_student_is_loaded_by_the_first_draft(schooled: ModelInfo) -> None:
    fresh = pictura.load(schooled.path, device="cpu", num_threads=1)
    paint(fresh, "a red fox")
    assert "_student" not in vars(fresh.backend)
    paint(fresh, "a red fox --draft")
    assert "_student" in vars(fresh.backend)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("a fox --no ball --draft", {}),
        ("a fox::2 a ball --draft", {}),
        ("a fox --weird 100 --draft", {}),
        ("a fox --draft", {"image": Image.new("RGB", (32, 32), "red"), "noise_level": 0.5}),
    ],
)
def test_what_the_student_never_learnt_the_model_drafts(
    painter: Painter, text: str, more: dict[str, Any]
) -> None:
    picture = paint(painter, text, **more)
    assert way(picture) == OWN
    assert "student" not in picture.settings


def test_what_is_chosen_beside_the_draft_is_done_by_the_model(painter: Painter) -> None:
    assert way(paint(painter, "a fox --draft", guidance_scale=3.0)) == {**OWN, "guidance_scale": 3.0}
    with pytest.raises(ConfigError, match="--quality or --draft in the prompt and num_steps beside it"):
        paint(painter, "a fox --draft", num_steps=2)


@pytest.mark.parametrize(
    "text", ["a fox --chaos 40 --draft", "a fox --tile --draft", "a fox --stop 50 --draft"]
)
def test_what_bends_any_way_bends_the_students_too(painter: Painter, text: str) -> None:
    bent, plain = paint(painter, text), paint(painter, "a fox --draft")
    assert way(bent) == way(plain) == STUDENTS
    assert bent.image.tobytes() != plain.image.tobytes()


def test_a_draft_says_who_painted_it_and_paints_itself_again(
    painter: Painter, schooled: ModelInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path))
    shutil.copytree(schooled.path, tmp_path / "models" / "schooled")
    path = paint(painter, "a red fox --draft").save(tmp_path / "one.png")
    assert repaint(path).save(tmp_path / "two.png").read_bytes() == path.read_bytes()
    student = read_metadata(path)["settings"]["student"]
    assert f"Student: {student}, " in a1111_parameters(read_metadata(path))
    (tmp_path / "models" / "schooled" / STUDENT).unlink()
    manifest = {k: v for k, v in schooled.manifest.items() if k != "student"}
    write_manifest(tmp_path / "models" / "schooled", manifest)
    with pytest.raises(
        ModelError, match=f"ask for the student {student} of the model 'schooled', which has none"
    ):
        repaint(path)


def test_torch_paints_the_same_draft(painter: Painter, schooled: ModelInfo) -> None:
    torch_painter = Painter(schooled, TorchBackend(schooled, device="cpu"))
    by_onnx, by_torch = (
        np.asarray(paint(p, "a red fox --draft").image, dtype=int) for p in (painter, torch_painter)
    )
    assert np.abs(by_onnx - by_torch).max() <= 1


def test_many_calls_at_once_go_to_whom_they_ask(schooled: ModelInfo) -> None:
    backend = TorchBackend(schooled, device="cpu")
    cond = backend.encode_text(np.array([1, 2, 3]))
    noise = np.random.default_rng(0).standard_normal((1, 4, 8, 8), dtype=np.float32)
    given = (backend.asarray(noise), backend.asarray(np.full(1, 0.5, dtype=np.float32)), cond)
    methods = ["velocity", "student_velocity", "velocity"]
    base, student, again = backend.answer_all([Call(method, given) for method in methods])
    assert base.equal(again)
    assert (base - student).abs().max() > 0.01
    assert student.equal(backend.student_velocity(*given))


def test_a_model_without_a_student_says_so(tiny_home: Path) -> None:
    tiny = pictura.load(tiny_home / "models" / "tiny", device="cpu", num_threads=1)
    with pytest.raises(
        ConfigError, match=r"The model 'tiny' has no student: leave student \(--draft\) out\."
    ):
        tiny.paint("a fox", student=True)


def test_a_folder_that_tells_of_a_student_wrongly_is_named(schooled: ModelInfo, tmp_path: Path) -> None:
    shutil.copytree(schooled.path, tmp_path / "wrong")
    (tmp_path / "wrong" / STUDENT).unlink()
    write_manifest(tmp_path / "wrong", schooled.manifest)
    with pytest.raises(ModelError, match="tells of a student wrongly"):
        student_of(read_model(tmp_path / "wrong"))


def test_a_studio_takes_a_new_student_up(
    schooled: ModelInfo, tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path))
    place = tmp_path / "models" / "fox"
    shutil.copytree(tiny_home / "models" / "tiny", place)
    warm = WarmModels(device="cpu", num_calls=1)
    before = warm.painter("fox")
    assert warm.painter("fox") is before
    shutil.copy(schooled.path / STUDENT, place / STUDENT)
    write_manifest(place, {**json.loads((schooled.path / MANIFEST).read_text()), "name": "fox"})
    assert paint(warm.painter("fox"), "a fox --draft").settings["num_steps"] == 2
