"""Pictures made larger, learnt or not, as one and not as tiles."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import pictura
from pictura.actions import work
from pictura.actions.enlarging import (
    LANCZOS,
    LEARNT,
    NOTICE,
    TOO_LARGE,
    enlarge,
    enlarged_size,
    learner,
    starts,
)
from pictura.core import images
from pictura.core.errors import ConfigError, SizeError
from pictura.pipeline import Painter, Picture
from pictura.sample.calls import drive
from pictura.store.models import read_model, resolve


@pytest.fixture(scope="module")
def flow(tiny_home: Path) -> Painter:
    return pictura.load(tiny_home / "models" / "tiny", device="cpu", num_threads=1)


def noisy(size: tuple[int, int]) -> Image.Image:
    rows = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    return Image.fromarray(rows)


def make(painter: Painter, image: Image.Image, **action: Any) -> Picture:
    task = work({"action": "upscale", **action}, {"image": image})
    (one,) = drive(task.making(painter, "a fox", seed=5), painter.backend)
    return one


def test_without_an_upsampler_it_is_lanczos_and_said_so(flow: Painter) -> None:
    said = {"prompt": "a dog", "seed": 9, "index": 2, "model": "other", "model_hash": "ab", "version": "0"}
    said["settings"] = {"solver": "ab2", "guidance_scale": 2.0}
    one = make(flow, noisy((40, 30)), factor=2, by=LANCZOS, said=said)
    expected = noisy((40, 30)).resize((80, 60), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(np.asarray(one.image), np.asarray(expected))
    assert one.notices == (NOTICE,)
    assert NOTICE.startswith("Enlarged by Lanczos, which adds no detail")
    assert (one.prompt, one.seed, one.index, one.model) == ("a dog", 9, 2, "other")
    assert one.settings["scaling"] == "lanczos"
    assert one.settings["size"] == [80, 60]
    assert one.settings["made_by"] == {"command": "upscale", "factor": 2, "by": "lanczos"}


def test_a_learnt_enlargement_shows_the_same_picture() -> None:
    """The embedded upsampler, on a picture of another size than it paints."""
    painter = pictura.load("unclip", device="cpu", num_threads=1)
    drawn = Image.new("RGBA", (960, 640), "navy")
    for i, colour in enumerate(("orange", "white", "red")):
        ImageDraw.Draw(drawn).ellipse((40 + 300 * i, 60, 300 + 300 * i, 560), fill=colour)
    big = images.from_pil([drawn.resize((240, 160), Image.Resampling.BOX)])
    small = big.reshape(1, 4, 40, 4, 60, 4).mean(axis=(3, 5))
    found = drive(enlarge(painter, small, seed=1), painter.backend)
    assert found.shape == big.shape
    again = found.reshape(1, 4, 40, 4, 60, 4).mean(axis=(3, 5))
    assert np.abs(again - small).mean() < 0.02
    plain = images.resize(small, (240, 160))
    assert np.square(found - big).mean() < np.square(plain - big).mean()


def test_a_picture_that_was_scaled_up_before_is_enlarged_from_what_was_painted() -> None:
    painter = pictura.load("unclip", device="cpu", num_threads=1)
    side = painter.model.manifest["upsampler"]["size"] // painter.model.factor
    painted = noisy((side, side))
    shown = painted.resize((4 * side, 4 * side), Image.Resampling.LANCZOS)
    settings = {"solver": "ab2", "guidance_scale": 1.0, "scaling": "lanczos", "painted_size": [side, side]}
    said = {"settings": settings, "prompt": "a"}
    one = make(painter, shown, factor=2, by=LEARNT, said=said)
    other = make(painter, shown, factor=2, by=LEARNT, said={"settings": {**settings, "scaling": "none"}})
    assert one.image.size == other.image.size == (8 * side, 8 * side)
    assert np.abs(np.asarray(one.image).astype(int) - np.asarray(other.image)).mean() > 1
    assert one.notices == ()
    assert one.settings["scaling"] == "upsampler"


def test_tiles_cover_a_side_overlap_and_end_with_it() -> None:
    for length in range(32, 140):
        found = starts(length, 32)
        assert found[0] == 0
        assert found[-1] == length - 32
        assert all(0 < b - a <= 24 for a, b in pairwise(found)) or length == 32


def test_no_picture_becomes_larger_than_any_can_be() -> None:
    assert enlarged_size((256, 200), 4) == (1024, 800)
    with pytest.raises(SizeError, match="4 times 300x200 is 1200x800; sides have at most 1024"):
        enlarged_size((300, 200), 4)
    with pytest.raises(ConfigError, match="2 or 4 times; got 3"):
        enlarged_size((64, 64), 3)


def test_a_picture_that_is_too_large_for_the_upsampler_is_told() -> None:
    painter = pictura.load("unclip", device="cpu", num_threads=1)
    one = make(painter, noisy((500, 300)), factor=2, by=LEARNT)
    assert one.settings["scaling"] == one.settings["made_by"]["by"] == "lanczos"
    assert one.notices == (TOO_LARGE,)
    assert TOO_LARGE.endswith("the picture is too large for the upsampler.")


def test_what_learnt_to_enlarge_is_found_among_models(tiny_home: Path) -> None:
    tiny, unclip = read_model(tiny_home / "models" / "tiny"), resolve("unclip")
    assert learner([tiny]) is None
    found = learner([tiny, unclip])
    assert found is not None
    assert found.hash == unclip.hash
