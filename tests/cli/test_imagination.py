"""`pictura vary`, `interpolate`, `edit` and `reconstruct`: files, numbers for programs, and refusals."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from pictura.cli.app import app
from pictura.cli.reconstruct import parse_counts
from pictura.core.errors import ConfigError
from pictura.store.metadata import read_metadata

RUNNER = CliRunner()
QUICK = ["--steps", "2", "--seed", "7", "--size", "32"]


@pytest.fixture(autouse=True)
def home(unclip_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(unclip_home))


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name, colour in (("red", (220, 30, 30)), ("blue", (30, 30, 220))):
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{name}.jpg")
    return [str(tmp_path / "red.jpg"), str(tmp_path / "blue.jpg")]


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def ran(out: Path, *args: str) -> dict[str, Any]:
    result = RUNNER.invoke(app, [*args, *QUICK, "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    for path in told["pictures"]:
        assert size_of(path) == (32, 32)
    return told


def test_variations_are_written_with_a_grid(files: list[str], tmp_path: Path) -> None:
    told = ran(tmp_path / "out", "vary", files[0], "--n", "3", "--eta", "0.8")
    assert [Path(path).name for path in told["pictures"]] == [f"vary-red-7-{i}.png" for i in (1, 2, 3)]
    assert Path(told["grid"]).name == "vary-red-7-grid.png"
    assert (told["seed"], told["model"], told["settings"]["eta"]) == (7, "unclip", 0.8)
    assert told["notices"][1] == "red.jpg has 40x40 pixels; it was scaled to 32x32."
    said = read_metadata(Path(told["pictures"][2]))
    assert (said["index"], said["settings"]["made_by"]) == (2, {"command": "vary", "of": ["red.jpg"]})
    again = ran(tmp_path / "out", "vary", files[0], "--n", "1")
    assert Path(again["pictures"][0]).name == "vary-red-7-run2-1.png"
    assert "grid" not in again


def test_a_strip_is_written(files: list[str], tmp_path: Path) -> None:
    told = ran(tmp_path / "out", "interpolate", *files, "--n", "4", "--same-noise")
    assert Path(told["strip"]).name == "from-red-to-blue-7-strip.png"
    assert size_of(told["strip"])[0] > 4 * 32
    assert told["settings"]["made_by"]["same_noise"] is True
    told = ran(tmp_path / "out", "edit", files[0], "a blue ball", "--from", "a red ball", "--n", "2")
    assert Path(told["pictures"][1]).name == "red-a-blue-ball-7-2.png"
    assert told["settings"]["made_by"]["thetas"] == [0, 0.4]
    assert "strip" not in ran(tmp_path / "out", "edit", files[0], "a ball", "--theta", "0.2")


def test_a_reconstruction_says_how_near_it_came(files: list[str], tmp_path: Path) -> None:
    told = ran(tmp_path / "out", "reconstruct", files[0])
    assert len(told["pictures"]) == 2
    assert told["psnr_db"] > 0
    assert told["psnr_small_db"] > 0
    told = ran(tmp_path / "out", "reconstruct", files[0], "--components", "3,256")
    assert (told["components"], len(told["pictures"])) == ([3, 256], 2)
    args = ["reconstruct", files[0], "--components", "some", *QUICK, "--out", str(tmp_path / "o")]
    result = RUNNER.invoke(app, args)
    assert "2, 5, 10, 20, 40, 256 components · seed 7" in result.stdout
    assert "Note: red.jpg has" not in result.stderr  # only what is found again must have a size
    result = RUNNER.invoke(app, ["reconstruct", files[0], *QUICK, "--out", str(tmp_path / "o")])
    assert "dB before it was enlarged" in result.stdout
    assert "Note: red.jpg has 40x40 pixels; it was scaled to 32x32." in result.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ["vary", "{red}", "--model", "flow"],
            "does not say by which prompt it was painted: add --prompt",
        ),
        (["vary", "{red}", "--model", "nuclip"], "No model is named 'nuclip'. Did you mean 'unclip'?"),
        (["vary", "{none}"], "the image cannot be read (No such file or directory)"),
        (["vary", "{red}", "--size", "big"], "--size is WIDTHxHEIGHT or one side in pixels"),
        (["edit", "{red}", " "], "The prompt is empty"),
        (["reconstruct", "{red}", "--components", "1;2"], "--components are whole numbers with commas"),
        (["interpolate", "{red}", "{red}", "--model", "clip-guide"], "is a clip part and does not paint"),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_is_written(
    files: list[str], tmp_path: Path, args: list[str], words: str
) -> None:
    given = [one.format(red=files[0], none=tmp_path / "none.png") for one in args]
    result = RUNNER.invoke(app, [*given, "--out", str(tmp_path / "out")])
    assert result.exit_code not in (0, 1)
    assert words in result.stderr
    assert not (tmp_path / "out").exists()


def test_such_a_picture_is_not_painted_again(files: list[str], tmp_path: Path) -> None:
    told = ran(tmp_path / "out", "vary", files[0], "--n", "1")
    result = RUNNER.invoke(app, ["imagine", "--from", told["pictures"][0], "--out", str(tmp_path / "x")])
    assert "by `pictura vary` of red.jpg. Run that command again, with --seed 7." in result.stderr


def test_counts_are_read() -> None:
    assert parse_counts(" 5, 20,256") == [5, 20, 256]
    assert parse_counts("some") == []
    with pytest.raises(ConfigError, match=r"got 'all'\.$"):
        parse_counts("all")
