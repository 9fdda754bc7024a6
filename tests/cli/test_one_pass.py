"""`pictura imagine` with painters in one pass: what it writes with `--explain`, and how it refuses steps."""

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from pictura.cli.app import app


@pytest.fixture(autouse=True)
def home(gan_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(gan_home))


def imagine(out: Path, *args: str) -> Result:
    return CliRunner().invoke(app, ["imagine", "a red apple", "--seed", "7", "--out", str(out), *args])


def test_pictures_are_painted_and_named(tmp_path: Path) -> None:
    result = imagine(tmp_path / "out", "--model", "stackgan", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    names = [*(f"a-red-apple-7-{i}.png" for i in (1, 2, 3, 4)), "a-red-apple-7-grid.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert said["settings"]["solver"] == "one_pass"
    assert said["explain"] is None


def test_explain_writes_one_more_picture(tmp_path: Path) -> None:
    plain = imagine(tmp_path / "plain", "--model", "attngan", "--n", "2")
    result = imagine(tmp_path / "out", "--model", "attngan", "--n", "2", "--explain")
    assert (plain.exit_code, result.exit_code) == (0, 0), result.output
    *paths, facts = result.stdout.strip().splitlines()
    ends = ("1", "2", "grid", "explain")
    assert paths == [str(tmp_path / "out" / f"a-red-apple-7-{end}.png") for end in ends]
    assert facts.startswith("seed 7 · ")
    with Image.open(paths[-1]) as sheet:
        assert sheet.width > 4 * 256  # the picture and three words
    for path in (tmp_path / "plain").iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
    picture = str(tmp_path / "out" / "a-red-apple-7-1.png")
    again = CliRunner().invoke(app, ["imagine", "--from", picture, "--explain", "--out", str(tmp_path)])
    assert again.exit_code == 0, again.output
    written = again.stdout.strip().splitlines()[:-1]
    assert [Path(path).read_bytes() for path in written] == [Path(paths[i]).read_bytes() for i in (0, 3)]


def test_a_picture_of_a_painter_without_attention_is_not_explained(tmp_path: Path) -> None:
    imagine(tmp_path / "out", "--model", "stackgan", "--n", "1")
    (picture,) = (tmp_path / "out").iterdir()
    again = ["imagine", "--from", str(picture), "--explain", "--out", str(tmp_path / "again")]
    result = CliRunner().invoke(app, again)
    assert result.exit_code == 2
    assert "does not say where it looks for each word" in result.stderr
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ("attngan", "--steps", "4"),
            "'attngan' paints in one pass, without steps and guidance: leave num_steps",
        ),
        (("stackgan", "--guidance", "2"), "leave guidance_scale (--guidance) out."),
        (("stackgan", "--explain"), "does not say where it looks for each word. These do: attngan."),
        (("default", "--explain"), "These do: attngan."),
    ],
)
def test_what_a_model_has_not_is_refused(tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    result = imagine(tmp_path / "out", "--model", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_models_show_their_families() -> None:
    result = CliRunner().invoke(app, ["models", "--json"])
    assert {"attngan", "stackgan"} <= {model["family"] for model in json.loads(result.stdout)}
