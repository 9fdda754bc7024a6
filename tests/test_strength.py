"""Strength: 0 is the base, 100 as learnt, and a picture remembers which it was."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pictura
from pictura.core.errors import ConfigError, ModelError
from pictura.pipeline import Picture
from pictura.store.models import ModelInfo, read_model, resolve
from pictura.train.export.part import write_manifest
from tests.tiny_model import make_learnt

PROMPT = "a red fox"


@pytest.fixture(scope="module")
def learnt_home(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of `tiny` and of `learnt`, which is `tiny` with a delta."""
    home = tmp_path_factory.mktemp("learnt-home")
    shutil.copytree(tiny_home / "models", home / "models")
    make_learnt(read_model(home / "models" / "tiny"), home / "models" / "learnt")
    return home


@pytest.fixture(autouse=True)
def home(learnt_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(learnt_home))


def paint(name: str, **load: float) -> Picture:
    return pictura.load(name, device="cpu", **load).paint(PROMPT, seed=3, num_images=1, size=(32, 32))[0]  # type: ignore[arg-type]


def pixels(picture: Picture) -> bytes:
    return picture.image.tobytes()


def test_at_0_the_base_paints_bit_for_bit() -> None:
    base, off = paint("tiny"), paint("learnt", strength=0)
    assert pixels(off) == pixels(base)
    assert off.model_hash != base.model_hash


def test_at_100_it_paints_as_learnt_and_above_differs_more() -> None:
    pictures = [paint("learnt", strength=strength) for strength in (0, 50, 100, 200)]
    assert pixels(paint("learnt")) == pixels(pictures[2])
    base, *others = (np.asarray(picture.image, dtype=float) for picture in pictures)
    far = [np.abs(other - base).mean() for other in others]
    assert 0 < far[0] < far[1] < far[2]


def test_a_strength_is_that_share_of_the_change(tmp_path: Path) -> None:
    """Twice the delta at 50 is the delta: halving is exact in floating point."""
    model = resolve("learnt")
    once = paint("learnt")
    folder = shutil.copytree(model.path, tmp_path / "twice")
    shutil.copy(folder / "delta.safetensors", folder / "delta-2.safetensors")
    relist(folder)
    assert pixels(paint(str(folder), strength=50)) == pixels(once)


def relist(folder: Path) -> None:
    """List the files that are there now."""
    write_manifest(folder, json.loads((folder / "model.json").read_text()))


def test_what_was_learnt_says_its_strength_and_a_base_says_none(tmp_path: Path) -> None:
    assert paint("learnt").settings["strength"] == 100
    assert "strength" not in paint("tiny").settings
    with Image.open(paint("learnt", strength=37.5).save(tmp_path / "a.png")) as saved:
        assert ", Strength: 37.5, Seed: 3," in saved.info["parameters"]


def test_a_picture_is_painted_again_at_its_strength_byte_for_byte(tmp_path: Path) -> None:
    first = paint("learnt", strength=37.5).save(tmp_path / "first.png")
    again = pictura.repaint(first)
    assert again.settings["strength"] == 37.5
    assert again.save(tmp_path / "again.png").read_bytes() == first.read_bytes()


def test_a_picture_from_before_strengths_is_painted_as_learnt(tmp_path: Path) -> None:
    picture = paint("learnt")
    old = {name: value for name, value in picture.settings.items() if name != "strength"}
    Picture(image=picture.image, **{**picture.metadata(), "settings": old}).save(tmp_path / "old.png")
    assert pixels(pictura.repaint(tmp_path / "old.png")) == pixels(picture)


WITHOUT_TORCH = """
import sys
for name in ("torch", "onnx", "onnxscript", "pyarrow"):
    sys.modules[name] = None  # as if it were not installed
import pictura
painter = pictura.load("learnt", strength=50)
painter.paint("a red fox", seed=3, num_images=1, size=(32, 32))[0].save(sys.argv[1])
"""


def test_strength_needs_no_torch(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, str(tmp_path / "there.png")]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (made.returncode, made.stderr) == (0, "")
    here = paint("learnt", strength=50).save(tmp_path / "here.png")
    assert (tmp_path / "there.png").read_bytes() == here.read_bytes()


@pytest.mark.parametrize("strength", [-1, 200.5, float("nan"), float("inf")])
def test_a_strength_out_of_range_is_refused(strength: float) -> None:
    words = r"^strength must be from 0 \(the base\) over 100 \(as learnt\) to 200; got"
    with pytest.raises(ConfigError, match=words):
        pictura.load("learnt", strength=strength)


def test_a_base_has_no_strength_to_choose() -> None:
    words = r"^strength must be 100 for the model 'tiny', for nothing was learnt on top of it; got 50\."
    with pytest.raises(ConfigError, match=words):
        pictura.load("tiny", strength=50)


def test_a_delta_that_nobody_listed_is_refused(tmp_path: Path) -> None:
    model: ModelInfo = resolve("tiny")
    folder = shutil.copytree(model.path, tmp_path / "tiny")
    shutil.copy(resolve("learnt").path / "delta.safetensors", folder / "delta-mine.safetensors")
    with pytest.raises(ModelError, match=r"delta-mine\.safetensors is not listed in model\.json\. Remove it"):
        pictura.load(folder)
