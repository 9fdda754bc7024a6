"""A picture to begin with: how much of it stays, and what a mask keeps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import pictura
from pictura.core.errors import ConfigError, MetadataError, SizeError
from pictura.pipeline import Painter, repaint
from pictura.sample.from_picture import Given, put_back, times_from
from pictura.sample.schedules import time_grid

SIDE = 32
"""What the tiny model paints, 8 x 8 latent pixels of 4 x 4."""


@pytest.fixture(autouse=True)
def _home(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))


@pytest.fixture(scope="module")
def painter(tiny_home: Path) -> Painter:
    return pictura.load(tiny_home / "models" / "tiny", device="cpu")


@pytest.fixture
def image(painter: Painter) -> Image.Image:
    side = painter.model.factor * 8
    picture = Image.new("RGBA", (side, side), (40, 90, 200, 255))
    ImageDraw.Draw(picture).ellipse((4, 4, side - 5, side - 5), fill=(230, 120, 20, 255))
    return picture


def paint(painter: Painter, **more: Any) -> NDArray[np.int64]:
    side = painter.model.factor * 8
    (picture,) = painter.paint("a fish", seed=3, num_images=1, num_steps=6, size=(side, side), **more)
    return np.asarray(picture.image).astype(np.int64)


def mask(image: Image.Image) -> Image.Image:
    """New on the right half."""
    lit = Image.new("L", image.size, 0)
    lit.paste(255, (image.width // 2, 0, image.width, image.height))
    return lit


def test_all_noise_is_as_without_a_picture(painter: Painter, image: Image.Image) -> None:
    np.testing.assert_array_equal(paint(painter, image=image, noise_level=1.0), paint(painter))


def test_the_less_noise_the_more_of_the_picture_stays(painter: Painter, image: Image.Image) -> None:
    other = Image.new("RGBA", image.size, (10, 200, 10, 255))

    def apart(level: float) -> float:
        one, two = (paint(painter, image=begun, noise_level=level) for begun in (image, other))
        return float(np.abs(one - two).mean())

    assert apart(0.02) > apart(0.5) > apart(0.95) > apart(1.0) == 0


def test_what_the_mask_keeps_keeps_every_pixel(painter: Painter, image: Image.Image) -> None:
    half = image.width // 2
    made = paint(painter, image=image, noise_level=1.0, mask=mask(image))
    np.testing.assert_array_equal(made[:, :half], np.asarray(image)[:, :half])
    assert np.abs(made[:, half + 3 :] - np.asarray(image)[:, half + 3 :]).max() > 20
    nothing = paint(painter, image=image, noise_level=1.0, mask=Image.new("L", image.size, 0))
    np.testing.assert_array_equal(nothing, np.asarray(image))


def test_kept_parts_guide_what_is_new(painter: Painter, image: Image.Image) -> None:
    other = Image.new("RGBA", image.size, (10, 200, 10, 255))
    half = image.width // 2
    made = [paint(painter, image=one, noise_level=1.0, mask=mask(one)) for one in (image, other)]
    assert np.abs(made[0][:, half + 3 :] - made[1][:, half + 3 :]).max() > 0


def test_the_edge_between_new_and_kept_is_soft() -> None:
    image = Image.new("RGBA", (32, 32), "black")
    given = Given(image=image, noise_level=1.0, mask=mask(image))
    new, old = np.ones((1, 4, 32, 32), dtype=np.float32), np.zeros((1, 4, 32, 32), dtype=np.float32)
    row = put_back(new, given, old)[0, 0, 16]
    assert (row[:16] == 0).all()
    assert (np.diff(row) >= 0).all()
    assert 0 < row[17] < 1
    np.testing.assert_allclose(row[24:28], 1, atol=1e-2)


def test_the_way_begins_at_the_level_and_goes_on_as_always() -> None:
    times = time_grid(4)
    assert times_from(times, 0.6) == [0.6, 0.5, 0.25, 0.0]
    assert times_from(times, 0.5) == [0.5, 0.25, 0.0]
    assert times_from(times, 1.0) == list(times)


def test_what_cannot_be_is_refused(painter: Painter, image: Image.Image) -> None:
    with pytest.raises(ConfigError, match=r"noise_level must be from 0.02 .* to 1 .*; got 1.5"):
        paint(painter, image=image, noise_level=1.5)
    with pytest.raises(ConfigError, match="belong to a picture to begin with: give image too"):
        paint(painter, noise_level=0.5)
    with pytest.raises(SizeError, match=r"The mask must be as large as its picture, 64x64; got 3x3"):
        paint(painter, image=image.resize((64, 64)), mask=Image.new("L", (3, 3)))


def test_such_a_picture_says_that_it_cannot_be_painted_again_from_itself(
    painter: Painter, image: Image.Image, tmp_path: Path
) -> None:
    (picture,) = painter.paint("a fish", seed=3, num_images=1, image=image, mask=mask(image))
    assert picture.settings["noise_level"] == 0.7
    assert len(picture.settings["from_picture"]) == len(picture.settings["mask"]) == 64
    path = picture.save(tmp_path / "new.png")
    with pytest.raises(MetadataError, match="Paint from that picture again, with seed 3"):
        repaint(path)


def test_only_painters_by_steps_begin_with_a_picture(dalle_home: Path, image: Image.Image) -> None:
    dalle = pictura.load(dalle_home / "models" / "sharp", device="cpu")
    with pytest.raises(ConfigError, match="leave a picture to begin with"):
        dalle.paint("a fish", image=image)
