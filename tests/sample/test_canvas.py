"""Canvases: what is kept is kept bit for bit, all that is new is in the window, and sizes stay in bounds."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pictura.core.errors import ConfigError, SizeError
from pictura.sample.canvas import DIRECTIONS, Canvas, masked, panned, squared, zoomed
from pictura.sample.sizes import check_size

SIZES = st.tuples(st.integers(32, 120), st.integers(32, 120)).filter(lambda s: max(s) <= 2 * min(s))
MODES = st.sampled_from(["RGB", "RGBA"])
FEW = settings(max_examples=40, deadline=None)


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image)


def noisy(size: tuple[int, int], mode: str = "RGBA", seed: int = 0) -> Image.Image:
    """A picture in which no two places are alike; with transparent places where it has alpha."""
    channels = len(mode)
    rows = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    rows[0, 0] = 0  # colours of transparent pixels count too
    return Image.fromarray(rows)


def painted(canvas: Canvas) -> Image.Image:
    """Another picture, as large as the window."""
    left, top, right, bottom = canvas.window
    return noisy((right - left, bottom - top), seed=1)


def check(canvas: Canvas, kept: Image.Image, at: tuple[int, int]) -> None:
    """What holds for every canvas."""
    assert canvas.mask.size == canvas.image.size
    mask, (x, y) = pixels(canvas.mask), at
    assert set(np.unique(mask)) <= {0, 255}
    expected = np.full_like(mask, 255)
    expected[y : y + kept.height, x : x + kept.width] = 0
    np.testing.assert_array_equal(mask, expected)
    left, top, right, bottom = canvas.window
    outside = mask.copy()
    outside[top:bottom, left:right] = 0
    assert not outside.any(), "all that is new is in the window"
    new = painted(canvas)
    whole = canvas.finished(new)
    box = (x, y, x + kept.width, y + kept.height)
    np.testing.assert_array_equal(pixels(whole.crop(box).convert(kept.mode)), pixels(kept))
    over = pixels(whole)[top:bottom, left:right]
    is_new = mask[top:bottom, left:right] > 0
    np.testing.assert_array_equal(over[is_new], pixels(new.convert(whole.mode))[is_new])


@FEW
@given(size=SIZES, mode=MODES, factor=st.floats(1.01, 2.0))
def test_a_zoomed_picture_is_itself_smaller_in_the_middle(
    size: tuple[int, int], mode: str, factor: float
) -> None:
    image = noisy(size, mode)
    canvas = zoomed(image, factor)
    width, height = (round(side / factor) for side in size)
    small = image.resize((width, height), Image.Resampling.LANCZOS)
    assert canvas.size == size
    check(canvas, small, ((size[0] - width) // 2, (size[1] - height) // 2))


@FEW
@given(size=SIZES, mode=MODES, direction=st.sampled_from(DIRECTIONS))
def test_a_panned_picture_grows_by_half_towards_one_side(
    size: tuple[int, int], mode: str, direction: Any
) -> None:
    image, (width, height) = noisy(size, mode), size
    across = direction in ("left", "right")
    grown = (width + round(width / 2), height) if across else (width, height + round(height / 2))
    if max(grown) > 2 * min(grown):
        with pytest.raises(SizeError, match="at most 2:1 can be painted"):
            panned(image, direction)
        return
    canvas = panned(image, direction)
    assert canvas.size == grown
    check_size(canvas.size)
    at = {"left": (grown[0] - width, 0), "up": (0, grown[1] - height)}.get(direction, (0, 0))
    check(canvas, image, at)


@FEW
@given(size=SIZES, mode=MODES)
def test_a_squared_picture_keeps_its_longer_side(size: tuple[int, int], mode: str) -> None:
    image, side = noisy(size, mode), max(size)
    if size[0] == size[1]:
        with pytest.raises(SizeError, match="is square already"):
            squared(image)
        return
    canvas = squared(image)
    assert canvas.size == (side, side)
    check(canvas, image, ((side - size[0]) // 2, (side - size[1]) // 2))


@FEW
@given(size=SIZES, mode=MODES, seed=st.integers(0, 9))
def test_a_masked_picture_is_new_where_the_mask_is_light(size: tuple[int, int], mode: str, seed: int) -> None:
    image = noisy(size, mode)
    grey = Image.fromarray(np.random.default_rng(seed).integers(0, 256, size[::-1], dtype=np.uint8))
    canvas = masked(image, grey)
    is_new, new = pixels(grey) >= 128, painted(canvas)
    whole = canvas.finished(new).convert(mode)
    np.testing.assert_array_equal(pixels(whole)[~is_new], pixels(image)[~is_new])
    np.testing.assert_array_equal(pixels(whole)[is_new], pixels(new.convert(mode))[is_new])


def test_new_places_begin_with_the_colour_of_the_nearest_edge() -> None:
    image = Image.new("RGB", (64, 64), "blue")
    image.paste("red", (0, 0, 64, 32))
    wide = pixels(panned(image, "right").image)
    np.testing.assert_array_equal(wide[:, 64:], np.repeat(wide[:, 63:64], 32, axis=1))


def test_the_window_of_a_pan_is_half_old_and_as_square_as_may_be() -> None:
    assert panned(Image.new("RGB", (64, 64)), "right").window == (32, 0, 96, 64)
    assert panned(Image.new("RGB", (64, 64)), "up").window == (0, 0, 64, 64)
    assert panned(Image.new("RGB", (96, 64)), "down").window == (0, 0, 96, 96)


def test_what_would_pass_the_longest_side_is_made_smaller_before() -> None:
    canvas = panned(noisy((1024, 900), "RGB"), "left")
    check_size(canvas.size)
    assert max(canvas.size) <= 1024
    left = canvas.size[0] - round(canvas.size[0] * 2 / 3)
    assert pixels(canvas.mask)[:, left + 1 :].max() == 0


def test_what_cannot_be_is_refused() -> None:
    image = Image.new("RGB", (64, 48))
    with pytest.raises(ConfigError, match=r"factor must be above 1 and at most 2; got 2\.1"):
        zoomed(image, 2.1)
    with pytest.raises(ConfigError, match="above 1"):
        zoomed(image, 1.0)
    with pytest.raises(SizeError, match="under 16 pixels a side"):
        zoomed(Image.new("RGB", (24, 24)), 2.0)
    with pytest.raises(ConfigError, match="left, right, up, down; got 'north'"):
        panned(image, "north")  # type: ignore[arg-type]
    with pytest.raises(SizeError, match="The mask must be as large as its picture, 64x48; got 64x64"):
        masked(image, Image.new("L", (64, 64), 255))
    with pytest.raises(ConfigError, match="dark all over"):
        masked(image, Image.new("L", (64, 48), 127))
    with pytest.raises(SizeError, match="takes what was painted of its window, 64x48; got 8x8"):
        zoomed(image, 2.0).finished(Image.new("RGB", (8, 8)))
