"""`pictura imagine` with painters by tokens: temperature, completion, candidates; what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from pictura.cli.app import app

PROMPT = "a red apple"


@pytest.fixture(autouse=True)
def home(dalle_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(dalle_home))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A file of the size that the model paints, and one that is larger beside it."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (12, 16, 4), dtype=np.uint8))
    image.resize((64, 48)).save(tmp_path / "large.png")
    image.save(tmp_path / "top.png")
    return tmp_path / "top.png"


def imagine(out: Path, *args: str, model: str = "sharp", prompt: str = PROMPT) -> Result:
    given = ("imagine", prompt, "--model", model, "--seed", "7", "--out", str(out))
    return CliRunner().invoke(app, [*given, *args])


def said(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_settings_reach_the_painter(tmp_path: Path) -> None:
    few = ("--n", "1", "--temperature", "0.5", "--top-k", "9", "--guidance", "2", "--json")
    settings = said(imagine(tmp_path / "out", *few))["settings"]
    chosen = {"solver": "autoregressive", "temperature": 0.5, "top_k": 9, "guidance_scale": 2}
    assert chosen.items() <= settings.items()


def test_the_best_candidates_are_written_best_first(tmp_path: Path) -> None:
    found = said(imagine(tmp_path / "out", "--n", "2", "--candidates", "9", "--json"))
    numbers = [int(Path(path).stem.rpartition("-")[2]) for path in found["pictures"]]
    assert len(set(numbers)) == 2
    assert max(numbers) <= 9
    said(imagine(tmp_path / "all", "--n", "9", "--json"))
    for number, path in zip(numbers, found["pictures"], strict=True):
        with Image.open(path) as kept, Image.open(tmp_path / "all" / Path(path).name) as same:
            np.testing.assert_array_equal(np.asarray(kept), np.asarray(same), err_msg=str(number))
    result = imagine(tmp_path / "told", "--n", "2", "--candidates", "9")
    assert " · best of 9 by clip-guide · painted at 16x12, scaled to 256x256" in result.stdout


def test_a_picture_is_completed_and_painted_again(tmp_path: Path, picture: Path) -> None:
    result = imagine(tmp_path / "a", "--complete", str(picture), "--rows", "8", "--n", "2", "--json")
    first = Path(said(result)["pictures"][1])
    assert len(said(result)["settings"]["given"]) == 8
    again = CliRunner().invoke(app, ["imagine", "--from", str(first), "--out", str(tmp_path / "b")])
    assert again.exit_code == 0, again.output
    assert (tmp_path / "b" / first.name).read_bytes() == first.read_bytes()


def test_an_untrained_model_is_told_of_loudly(tmp_path: Path) -> None:
    result = imagine(tmp_path / "out", "--n", "1", model="untrained")
    loud = (
        "Note: THE MODEL 'untrained' SEEMS UNTRAINED: its guesses of the next token are no better than chance"
    )
    assert result.exit_code == 0
    assert loud in result.stderr
    picture = result.stdout.splitlines()[0]
    again = CliRunner().invoke(app, ["imagine", "--from", picture, "--out", str(tmp_path / "again")])
    assert loud in again.stderr
    assert "UNTRAINED" not in imagine(tmp_path / "out", "--n", "1").stderr


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--steps", "4"), 2, "paints token by token, without steps: leave num_steps (--steps) out."),
        (("--temperature", "0.001"), 2, "temperature must be 0 (the likeliest token) or from 0.01 to 10"),
        (("--top-k", "33"), 2, "top_k must be from 0 (all) to 32"),
        (
            ("--candidates", "3"),
            2,
            "candidates must be from 4, the number of pictures to keep, to 128; got 3.",
        ),
        (("--rows", "8"), 2, "--complete PICTURE and --rows N, how much of it is kept, go together"),
        (("--complete", "TOP"), 2, "--complete PICTURE and --rows N, how much of it is kept, go together"),
        (("--complete", "TOP", "--rows", "6"), 2, "rows must be a multiple of 4"),
        (("--complete", "LARGE", "--rows", "8"), 2, "completes pictures of 16x12 pixels; got 64x48."),
        (("--complete", "none.png", "--rows", "8"), 3, "none.png: the image cannot be read"),
        (("--model", "default", "--temperature", "1"), 2, "leave temperature (--temperature) out."),
        (("--model", "default", "--complete", "TOP", "--rows", "8"), 2, "leave given (--complete) out."),
        (("--explain",), 2, "does not say where it looks for each word"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, picture: Path, args: tuple[str, ...], code: int, words: str
) -> None:
    files = {"TOP": str(picture), "LARGE": str(picture.with_name("large.png"))}
    result = imagine(tmp_path / "out", *(files.get(arg, arg) for arg in args))
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("Error: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_prompt_longer_than_the_model_reads_is_refused(tmp_path: Path) -> None:
    result = imagine(tmp_path / "out", prompt="a red apple " * 9)
    assert result.exit_code == 2
    assert "tokens; the model 'sharp' reads at most 12. Shorten it." in result.stderr
    assert not (tmp_path / "out").exists()


def test_from_takes_no_other_settings(tmp_path: Path) -> None:
    few = (("--temperature", "1"), ("--candidates", "4"), ("--complete", "x.png"), ("--rows", "8"))
    for more in few:
        result = CliRunner().invoke(app, ["imagine", "--from", "x.png", *more, "--out", str(tmp_path)])
        assert "leave the other settings out" in result.stderr
