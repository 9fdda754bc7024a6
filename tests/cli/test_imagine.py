"""`pictura imagine` from end to end, on a tiny real model: what it writes and says, and how it refuses."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from pictura.cli.app import app
from pictura.store.models import read_model
from tests.tiny_model import make_learnt

PROMPT = "a red apple"


@pytest.fixture(autouse=True)
def home(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the model `tiny` is found by name."""
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))
    return tiny_home


def imagine(*args: str) -> Result:
    return CliRunner().invoke(app, ["imagine", *args])


def paint(out: Path, *args: str) -> dict[str, object]:
    """Paint two pictures in two steps and return what `--json` says."""
    few = ("--model", "tiny", "--out", str(out), "--n", "2", "--steps", "2", "--json")
    result = imagine(PROMPT, *few, *args)
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_pictures_and_a_grid_are_written_and_named(tmp_path: Path) -> None:
    said = paint(tmp_path / "out", "--seed", "7")
    names = ["a-red-apple-7-1.png", "a-red-apple-7-2.png", "a-red-apple-7-grid.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert said["pictures"] == [str(tmp_path / "out" / name) for name in names[:2]]
    assert said["grid"] == str(tmp_path / "out" / names[2])
    assert (said["seed"], said["prompt"]) == (7, PROMPT)
    with Image.open(tmp_path / "out" / names[0]) as picture:
        assert picture.size == (256, 256)


def test_a_person_reads_paths_seed_seconds_and_scaling(tmp_path: Path) -> None:
    few = ("--model", "tiny", "--out", str(tmp_path), "--n", "2", "--steps", "1")
    result = imagine(PROMPT, *few, "--seed", "7", "--size", "48x40")
    *paths, facts = result.stdout.strip().splitlines()
    assert paths == [str(tmp_path / f"a-red-apple-7-{end}.png") for end in ("1", "2", "grid")]
    assert facts.startswith("seed 7 · ")
    assert "scaled to 48x40" in facts


def test_a_seed_repeats_its_pictures_byte_for_byte(tmp_path: Path) -> None:
    for out in ("a", "b"):
        paint(tmp_path / out, "--seed", "7")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_without_a_seed_runs_differ_and_lie_side_by_side(tmp_path: Path) -> None:
    first, second = (paint(tmp_path) for _ in range(2))
    assert first["seed"] != second["seed"]
    assert len(list(tmp_path.iterdir())) == 6


def test_the_same_run_again_overwrites_nothing(tmp_path: Path) -> None:
    first, second = (paint(tmp_path, "--seed", "7") for _ in range(2))
    assert first["grid"] != second["grid"]
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize("format_", ["webp", "jpeg"])
def test_other_formats_are_what_they_say(tmp_path: Path, format_: str) -> None:
    paint(tmp_path, "--format", format_)
    for path in tmp_path.iterdir():
        with Image.open(path) as picture:
            assert picture.format == format_.upper()


def test_one_picture_or_no_grid_writes_no_grid(tmp_path: Path) -> None:
    assert paint(tmp_path / "a", "--n", "1")["grid"] is None
    assert paint(tmp_path / "b", "--no-grid")["grid"] is None
    assert not list(tmp_path.rglob("*grid*"))


def test_a_picture_paints_itself_again(tmp_path: Path) -> None:
    paint(tmp_path / "a", "--seed", "7", "--guidance", "2", "--size", "40")
    second = tmp_path / "a" / "a-red-apple-7-2.png"
    result = imagine("--from", str(second), "--out", str(tmp_path / "b"))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "b" / second.name).read_bytes() == second.read_bytes()


def test_strength_is_told_and_painted_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path / "home"))
    make_learnt(read_model(home / "models" / "tiny"), tmp_path / "home" / "models" / "tiny")
    paint(tmp_path / "base", "--seed", "7", "--strength", "0")
    assert paint(tmp_path / "a", "--seed", "7", "--strength", "40")["settings"]["strength"] == 40  # type: ignore[index]
    first = tmp_path / "a" / "a-red-apple-7-1.png"
    assert first.read_bytes() != (tmp_path / "base" / first.name).read_bytes()
    result = imagine("--from", str(first), "--out", str(tmp_path / "b"))
    assert (tmp_path / "b" / first.name).read_bytes() == first.read_bytes()
    assert " · strength 40 · " in result.stdout


def test_unknown_words_are_noticed_not_refused(tmp_path: Path) -> None:
    few = ("--model", "tiny", "--out", str(tmp_path), "--n", "1", "--steps", "1")
    result = imagine("a red xylophonist", *few)
    assert result.exit_code == 0
    assert "Note: " in result.stderr
    assert "xylophonist" in result.stderr


def plain_picture(folder: Path) -> str:
    """The path of a picture that says nothing about itself."""
    Image.new("RGB", (8, 8)).save(folder / "plain.png")
    return str(folder / "plain.png")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ((), 2, "needs a PROMPT, or --from PICTURE"),
        (("",), 2, "prompt"),
        (("  \n",), 2, "prompt"),
        (("x" * 1_000_000,), 2, "8192"),
        (("x" * 2001,), 2, "2000"),
        (("a \udcff fox",), 2, "no text in UTF-8"),
        ((PROMPT, "--size", "15"), 2, "16"),
        ((PROMPT, "--size", "1025x1024"), 2, "1024"),
        ((PROMPT, "--size", "200x64"), 2, "2:1"),
        ((PROMPT, "--size", "big"), 2, "such as 320x240"),
        ((PROMPT, "--from", "x.png"), 2, "needs a PROMPT, or --from PICTURE"),
        (("--from", "x.png", "--seed", "1"), 2, "leave the other settings out"),
        (("--from", "x.png", "--strength", "50"), 2, "leave the other settings out"),
        ((PROMPT, "--strength", "50"), 2, "strength must be 100 for the model 'tiny'"),
        (("--from", "missing.png"), 6, "missing.png"),
        (("--from", "PLAIN"), 6, "plain.png"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    tmp_path: Path, args: tuple[str, ...], code: int, words: str
) -> None:
    plain = plain_picture(tmp_path)
    args = tuple(plain if arg == "PLAIN" else arg for arg in args)
    if "--from" not in args:
        args = (*args, "--model", "tiny")
    result = imagine(*args, "--out", str(tmp_path / "deep" / "out"))
    assert_refused(result, code, words)
    assert not (tmp_path / "deep").exists()


def assert_refused(result: Result, code: int, words: str) -> None:
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert words in result.stderr
    assert len(result.stderr) < 400, "a message is one or two sentences"


def test_an_unknown_model_is_named_with_the_nearest(tmp_path: Path) -> None:
    result = imagine(PROMPT, "--model", "tinny", "--out", str(tmp_path / "out"))
    assert_refused(result, 4, "No model is named 'tinny'. Did you mean 'tiny'?")
    assert not (tmp_path / "out").exists()


def test_an_error_is_json_when_json_is_asked_for(tmp_path: Path) -> None:
    result = imagine("", "--model", "tiny", "--json", "--out", str(tmp_path / "out"))
    assert json.loads(result.stdout)["error"] == "bad_prompt"
    assert (result.exit_code, result.stderr) == (2, "")


def test_damaged_weights_are_refused(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(home / "models" / "tiny", folder)
    weights = bytearray((folder / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(weights)
    result = imagine(PROMPT, "--model", str(folder), "--out", str(tmp_path / "out"))
    assert_refused(result, 5, "weights.safetensors is damaged")
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    result = imagine(PROMPT, "--model", "tiny", "--out", str(tmp_path / "out"))
    assert_refused(result, 9, str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "mine"


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path) -> None:
    """No file may pass 1000 bytes: for the writer the same as a disk that is full after that."""
    code = "from pictura.cli import main; main()"
    few = ("--model", "tiny", "--n", "2", "--steps", "1", "--out", str(tmp_path / "out"))
    result = subprocess.run(
        [sys.executable, "-c", code, "imagine", PROMPT, *few],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert result.returncode == 9, result.stderr
    assert result.stderr.startswith(f"Error: Cannot write {tmp_path}/out/a-red-apple-")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
