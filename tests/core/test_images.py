"""Pictures become arrays and come back, with alpha treated right on the way."""

import numpy as np
import pytest
import torch
from PIL import Image

from pictura.core import images


def test_files_hold_straight_alpha_and_arrays_premultiplied() -> None:
    picture = Image.new("RGBA", (3, 2), (200, 100, 0, 51))
    x = images.from_pil([picture])
    assert x.shape == (1, 4, 2, 3)
    np.testing.assert_allclose(x[0, :, 0, 0], np.array([200, 100, 0, 255]) / 255 * 0.2, atol=1e-6)
    (back,) = images.to_pil(x)
    assert back.getpixel((1, 1)) == (200, 100, 0, 51)


def test_opaque_pictures_pass_unchanged() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    (back,) = images.to_pil(images.from_pil([Image.fromarray(pixels)], channels=3))
    np.testing.assert_array_equal(np.asarray(back), pixels)


def test_a_background_shows_through_by_what_alpha_leaves() -> None:
    x = torch.zeros(1, 4, 1, 1)
    x[:, 3], x[:, 0] = 0.25, 0.25  # a quarter of red
    np.testing.assert_allclose(images.on_background(x)[0, :, 0, 0], [0.85, 0.6, 0.6], atol=1e-6)
    np.testing.assert_allclose(images.on_background(x, (0, 0, 1))[0, :, 0, 0], [0.25, 0, 0.75], atol=1e-6)
    np.testing.assert_array_equal(images.on_background(x[:, :3]), x[:, :3])


def test_scaling_keeps_flat_colours_and_the_range() -> None:
    flat = np.full((2, 4, 6, 4), 0.3, dtype=np.float32)
    assert images.resize(flat, (4, 6)) is flat
    np.testing.assert_allclose(images.resize(flat, (9, 20)), np.full((2, 4, 20, 9), 0.3), atol=1e-6)
    edge = np.zeros((1, 3, 4, 4), dtype=np.float32)
    edge[..., 2:] = 1
    scaled = images.resize(edge, (16, 16))
    assert (scaled.min(), scaled.max()) == (0, 1)


def test_hidden_colours_do_not_bleed_when_scaled() -> None:
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 0))  # invisible red beside blue
    picture.paste((0, 0, 255, 255), (4, 0, 8, 8))
    (scaled,) = images.to_pil(images.resize(images.from_pil([picture]), (32, 32)))
    pixels = np.asarray(scaled)
    assert pixels[..., 0].max() == 0
    assert pixels[pixels[..., 3] > 8][:, 2].min() == pytest.approx(255, abs=2)
