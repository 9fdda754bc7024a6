"""`pictura search`: what it prints, what it writes, what it refuses."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from pictura.cli.app import app

COLOURS = {"red": (221, 46, 68), "blue": (45, 90, 220)}


def call(*args: str) -> Result:
    return CliRunner().invoke(app, ["search", *args])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A white square on red and one on blue, and what is no picture."""
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path / "home"))
    (tmp_path / "pictures").mkdir()
    for name, colour in COLOURS.items():
        picture = Image.new("RGB", (64, 64), colour)
        picture.paste((250, 250, 250), (20, 20, 44, 44))
        picture.save(tmp_path / "pictures" / f"{name}.png")
        (tmp_path / "pictures" / f"{name}.txt").write_text(f"a white square on a {name} background\n")
    (tmp_path / "pictures" / "bad.png").write_text("no picture")
    return tmp_path / "pictures"


def test_the_best_come_first_with_score_and_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = call(str(folder), "a square on a blue background")
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first.split(maxsplit=2)[1:] == [str(folder / "blue.png"), "a white square on a blue background"]
    assert float(first.split()[0]) > float(second.split()[0])
    skipped, facts = result.stderr.splitlines()
    assert skipped.startswith(f"Skipped: {folder / 'bad.png'}: expected a PNG")
    assert facts.startswith("2 of 2 pictures · 1 skipped · ")


def test_programs_read_one_json_object(folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    result = call(
        str(folder), "--image", str(folder / "red.png"), "--top", "1", "--json", "--sheet", str(sheet)
    )
    told = json.loads(result.stdout)
    assert set(told) == {
        "folder", "layout", "sentence", "image", "model", "found", "num_searched", "skipped", "sheet",
        "elapsed_s", "notices",
    }  # fmt: skip
    assert told["sheet"] == str(sheet)
    with Image.open(sheet) as drawn:
        assert drawn.size == (128 + 8, 128 + 22 + 8)
    (found,) = told["found"]
    assert found["path"] == str(folder / "red.png")
    assert found["score"] > 0.99
    assert found["captions"] == ["a white square on a red background"]
    assert (told["num_searched"], len(told["skipped"])) == (2, 1)


def test_captions_are_found_for_a_picture(folder: Path) -> None:
    result = call(str(folder), "--image", str(folder / "red.png"), "--captions")
    assert result.stdout.splitlines()[0].endswith("  a white square on a red background")
    assert result.stderr.splitlines()[-1].startswith("2 of 2 captions · ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "needs a SENTENCE, or --image PICTURE; it got neither or both."),
        (("a fox", "--image", "fox.png"), "it got neither or both."),
        (("a fox", "--captions"), "name the picture with --image."),
        (("--image", "fox.png", "--captions", "--sheet", "a.png"), "leave one of them out."),
        (("a fox", "--sheet", "a.jpg"), "--sheet must end in .png; got 'a.jpg'."),
    ],
)
def test_wrong_use_is_refused_before_anything_is_opened(options: tuple[str, ...], words: str) -> None:
    result = call("nowhere", *options)
    assert result.exit_code == 2
    assert result.stderr.strip().endswith(words)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    result = call(str(tmp_path / "nowhere"), "a fox", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["error"] == "bad_data"
