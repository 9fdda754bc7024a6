"""How painted pictures become as large as was asked, from the library, the command line and the API."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from typer.testing import CliRunner

import pictura
from pictura.api.asking.wishes import Wish
from pictura.api.schemas.native import JobsAsked
from pictura.cli.app import app
from pictura.core import images
from pictura.core.errors import ConfigError
from pictura.pipeline import Painter, repaint
from pictura.runtime.onnx_enlarger import open_enlarger
from pictura.sample.calls import Asked, Painted
from tests.tiny_model import ENLARGED

PROMPT = "a red fox"


@pytest.fixture(autouse=True)
def home(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))


@pytest.fixture(scope="module")
def painter(tiny_home: Path) -> Painter:
    return pictura.load(tiny_home / "models" / "tiny", device="cpu", num_threads=1)


def pixels(picture: pictura.Picture) -> np.ndarray:
    return np.asarray(picture.image)


def test_pictures_are_enlarged_by_what_learnt_it_unless_asked_otherwise(painter: Painter) -> None:
    (small,) = painter.paint(PROMPT, num_images=1, seed=3, size=(32, 32))
    assert small.settings["scaling"] == "none"
    (learnt,) = painter.paint(PROMPT, num_images=1, seed=3, size=(128, 128))
    assert learnt.settings.items() >= ENLARGED.items()
    assert "enlarge" not in learnt.settings
    (plain,) = painter.paint(PROMPT, num_images=1, seed=3, size=(128, 128), enlarge="lanczos")
    assert plain.settings["scaling"] == "lanczos"
    assert "enlarged_by" not in plain.settings
    with pytest.raises(ConfigError, match="enlarge must be 'learnt' or 'lanczos'; got 'more'"):
        painter.paint(PROMPT, num_images=1, enlarge="more")


def test_what_was_painted_goes_through_the_enlarger_as_it_is_and_round_its_edges(painter: Painter) -> None:
    array = np.random.default_rng(0).random((2, 4, 8, 12), dtype=np.float32)
    array[:, :3] *= array[:, 3:]
    enlarger, size = open_enlarger(), (48, 32)
    expected = {
        (): enlarger(array),
        (("enlarge", "lanczos"),): images.resize(array, size),
        (("tile", True),): enlarger(array, wrapped=True),
    }
    assert len({one.tobytes() for one in expected.values()}) == 3
    for settings, large in expected.items():
        asked = Asked(PROMPT, 3, range(2), {"size": list(size), **dict(settings)})
        found = painter.frame(Painted(array), asked)
        for one, other in zip(found, images.to_pil(large), strict=True):
            np.testing.assert_array_equal(pixels(one), np.asarray(other))


def test_pictures_are_painted_again_as_they_were_enlarged(painter: Painter, tmp_path: Path) -> None:
    for way in ("learnt", "lanczos"):
        (one,) = painter.paint(PROMPT, num_images=1, seed=5, size=(96, 96), enlarge=way)
        again = repaint(one.save(tmp_path / f"{way}.png"))
        np.testing.assert_array_equal(pixels(again), pixels(one))
        assert again.settings == one.settings
        assert again.notices == one.notices


def test_who_enlarged_a_picture_and_is_gone_is_told(painter: Painter, tmp_path: Path) -> None:
    (one,) = painter.paint(PROMPT, num_images=1, seed=5, size=(96, 96))
    one.settings["enlarged_by"] = "enlarger 0123456789"
    told = repaint(one.save(tmp_path / "old.png")).notices[-1]
    assert told == "It was enlarged by enlarger 0123456789, which is not here: its edges may differ."


def test_the_command_line_takes_the_choice(tmp_path: Path) -> None:
    args = ["imagine", PROMPT, "--model", "tiny", "--n", "1", "--seed", "3", "--size", "96", "--local"]
    found = {}
    for way in ("learnt", "lanczos"):
        out = CliRunner().invoke(app, [*args, "--enlarge", way, "--out", str(tmp_path / way), "--json"])
        assert out.exit_code == 0, out.output
        told = json.loads(out.stdout)
        found[told["settings"]["scaling"]] = np.asarray(Image.open(told["pictures"][0]))
    assert set(found) == {"enlarger", "lanczos"}
    assert (found["enlarger"] != found["lanczos"]).any()


def test_the_api_takes_the_choice_and_no_other() -> None:
    asked = JobsAsked.model_validate({"prompt": PROMPT, "enlarge": "lanczos"})
    assert Wish(prompt=asked.prompt, enlarge=asked.enlarge).enlarge == "lanczos"
    with pytest.raises(ValidationError, match="'learnt' or 'lanczos'"):
        JobsAsked.model_validate({"prompt": PROMPT, "enlarge": "nearest"})
