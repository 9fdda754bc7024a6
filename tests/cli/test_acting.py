"""Commands that act on pictures: files, numbers for programs, and refusals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import pictura
from pictura.cli.app import app
from pictura.store.metadata import read_metadata

RUNNER = CliRunner()


@pytest.fixture
def painted(tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture that says its prompt."""
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))
    painter = pictura.load("tiny", device="cpu", num_threads=1)
    (one,) = painter.paint("a red fox", seed=3, num_images=1, size=(64, 64))
    return one.save(tmp_path / "fox.png")


def ran(*args: str) -> dict[str, Any]:
    result = RUNNER.invoke(app, [*args, "--json"])
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def refused(*args: str) -> str:
    result = RUNNER.invoke(app, list(args))
    assert result.exit_code == 2, result.output
    return result.stderr


def test_flow_varies_zooms_pans_and_blends(painted: Path, tmp_path: Path) -> None:
    out = ["--model", "tiny", "--seed", "7", "--n", "2", "--out", str(tmp_path / "out")]
    told = ran("vary", str(painted), "--strength", "subtle", *out)
    assert Path(told["grid"]).name == "vary-fox-7-grid.png"
    said = read_metadata(Path(told["pictures"][1]))
    assert said["prompt"] == "a red fox"
    made = {"command": "vary", "strength": "subtle", "of": ["fox.png"], "noise_level": 0.8}
    assert said["settings"]["made_by"] == made
    told = ran("pan", str(painted), "left", *out)
    with Image.open(told["pictures"][0]) as wide, Image.open(painted) as image:
        assert wide.size == (96, 64)
        np.testing.assert_array_equal(np.asarray(wide)[:, 32:], np.asarray(image))
    told = ran("zoom", str(painted), "--factor", "1.5", "--prompt", "a blue ball", *out)
    assert read_metadata(Path(told["pictures"][0]))["prompt"] == "a blue ball"
    assert told["settings"]["noise_level"] == 0.95
    told = ran("blend", str(painted), str(painted), *out)
    assert told["settings"]["made_by"]["of"] == ["fox.png", "fox.png"]


def test_a_picture_is_enlarged_and_keeps_what_it_says(painted: Path, tmp_path: Path) -> None:
    told = ran("upscale", str(painted), "--model", "tiny", "--out", str(tmp_path / "out"))
    with Image.open(told["pictures"][0]) as large:
        assert large.size == (128, 128)
    said = read_metadata(Path(told["pictures"][0]))
    assert (said["prompt"], said["seed"], said["settings"]["scaling"]) == ("a red fox", 3, "lanczos")
    assert "adds no detail" in told["notices"][0]


def test_a_clip_describes_and_shortens(painted: Path) -> None:
    told = ran("describe", str(painted), "--or", "a red fox")
    assert len(told["captions"]) == 4
    result = RUNNER.invoke(app, ["shorten", "a red fox"])
    assert len(result.stdout.splitlines()) == 3
    assert ran("shorten", "a red fox")["tokens"][1]["word"] == "red"


def test_what_cannot_be_is_refused(painted: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.png"
    Image.new("RGB", (64, 64), "red").save(plain)
    tiny = ["--model", "tiny"]
    assert "does not say by which prompt it was painted: add --prompt" in refused("zoom", str(plain), *tiny)
    assert "takes 2 to 5 pictures; got 1" in refused("blend", str(plain))
    both = ["--strength", "subtle", "--eta", "0.5"]
    assert "--strength and --eta both say" in refused("vary", str(painted), *both, *tiny)
    assert "--eta is of models that imagine" in refused("vary", str(painted), "--eta", "0.5", *tiny)
    assert "enlarged 2 or 4 times; got 3" in refused("upscale", str(painted), "--factor", "3", *tiny)
    assert "a single word already" in refused("shorten", "fox")
