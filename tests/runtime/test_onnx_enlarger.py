"""The embedded enlarger: sharper than Lanczos, faithful, the same for everybody; and where it is asked."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pictura.core import images
from pictura.core.errors import ConfigError, ModelError
from pictura.runtime.onnx_enlarger import (
    LANCZOS,
    Floats,
    OnnxEnlarger,
    check_way,
    open_enlarger,
    scaled,
)
from pictura.sample.tiling import resize_wrapped
from pictura.store.models import EMBEDDED, read_model


def drawn(width: int = 160, height: int = 96) -> Floats:
    """(1, 4, H, W): shapes with sharp edges on nothing."""
    picture = Image.new("RGBA", (4 * width, 4 * height))
    pen = ImageDraw.Draw(picture)
    for i, colour in enumerate(("orange", "navy", "red", "green")):
        x = width * i
        pen.ellipse((x + 30, 60, x + width - 20, 4 * height - 90), fill=colour, outline="black", width=12)
        pen.rectangle((x + 60, 150, x + 90, 190), fill="white")
    return images.from_pil([picture.resize((width, height), Image.Resampling.BOX)])


def shrink(large: Floats) -> Floats:
    b, c, h, w = large.shape
    return large.reshape(b, c, h // 4, 4, w // 4, 4).mean(axis=(3, 5))


def test_edges_come_nearer_to_the_truth_than_by_lanczos() -> None:
    large = drawn()
    small = shrink(large)
    found, told = scaled(small, (160, 96))
    plain, told_plain = scaled(small, (160, 96), way=LANCZOS)
    assert found.shape == large.shape
    np.testing.assert_array_equal(plain, images.resize(small, (160, 96)))
    assert np.square(found - large).mean() < 0.85 * np.square(plain - large).mean()
    assert np.abs(shrink(found) - small).mean() < 0.01
    name = f"enlarger {read_model(EMBEDDED / 'enlarger').hash[:10]}"
    assert told == {"scaling": "enlarger", "enlarged_by": name}
    assert told_plain == {"scaling": "lanczos"}


def test_what_is_transparent_or_opaque_stays_so_and_no_colour_passes_its_alpha() -> None:
    enlarger, small = open_enlarger(), shrink(drawn())
    found = enlarger(small)
    assert (found[:, :3] <= found[:, 3:]).all()
    assert found[:, 3, :10].max() < 0.02
    opaque = np.asarray(images.on_background(small, 1.0), dtype=np.float32)
    on_white = enlarger(opaque)
    assert on_white.shape == (1, 3, 96, 160)
    assert np.abs(on_white[:, :, :10] - 1).max() < 0.03


def test_a_picture_is_the_same_beside_others_and_of_any_size() -> None:
    enlarger, small = open_enlarger(), shrink(drawn())
    two = np.concatenate([small[..., ::-1], small])
    np.testing.assert_array_equal(enlarger(two)[1:], enlarger(small))
    odd = small[:, :, :7, :13]
    assert enlarger(odd).shape == (1, 4, 28, 52)
    np.testing.assert_array_equal(enlarger(odd), enlarger(odd.copy()))
    size = (50, 30)  # not a multiple: enlarged, then scaled
    found, told = scaled(odd, size)
    np.testing.assert_array_equal(found, images.resize(enlarger(odd), size))
    assert told["scaling"] == "enlarger"


def test_edges_that_meet_before_meet_after() -> None:
    enlarger, small = open_enlarger(), shrink(drawn())
    rolled = np.roll(small, (12, 20), axis=(2, 3))
    back = np.roll(enlarger(rolled, wrapped=True), (-48, -80), axis=(2, 3))
    plain = np.roll(enlarger(rolled), (-48, -80), axis=(2, 3))
    whole = enlarger(small, wrapped=True)
    assert np.abs(back - whole).max() < 0.1
    assert np.abs(back - whole).max() < np.abs(plain - whole).max()


def test_little_is_scaled_by_lanczos_and_nothing_not_at_all() -> None:
    small = shrink(drawn())
    same, told = scaled(small, (40, 24))
    assert same is small
    assert told == {"scaling": "none"}
    for size in ((79, 47), (20, 12)):
        found, told = scaled(small, size, wrapped=True)
        np.testing.assert_array_equal(found, resize_wrapped(small, size))
        assert told == {"scaling": "lanczos"}
    assert scaled(small, (80, 24))[1]["scaling"] == "enlarger"


def test_what_is_no_enlarger_and_no_way_is_refused() -> None:
    with pytest.raises(ModelError, match="should hold an enlarger; it holds 'clip'"):
        OnnxEnlarger(EMBEDDED / "clip-guide")
    with pytest.raises(ConfigError, match="enlarge must be 'learnt' or 'lanczos'; got 'nearest'"):
        check_way("nearest")
    check_way(None)
