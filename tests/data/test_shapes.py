"""Pictures wider and taller than square: their shapes, and scenes composed in them."""

from collections import Counter

import numpy as np
import pytest

from pictura.core.errors import ConfigError
from pictura.data.scenes.source import SceneSource
from pictura.data.shapes import ShapedScenes, shapes_near
from tests.data.scene_kit import open_holdouts, tiny_pack, tiny_world

RATIOS = (4 / 3, 3 / 2, 16 / 9, 2.0)


def shaped(share: float, seed: int = 3) -> ShapedScenes:
    square = SceneSource(tiny_pack(), world=tiny_world(), holdouts=open_holdouts(), size=(32, 32), seed=seed)
    return ShapedScenes(square, share)


def test_shapes_have_their_ratio_and_nearly_the_area_of_the_square() -> None:
    shapes = shapes_near(64)
    assert shapes[4:] == tuple((w, h) for h, w in shapes[:4])
    for (height, width), ratio in zip(shapes, RATIOS, strict=False):
        assert width / height == pytest.approx(ratio, rel=0.05)
        assert width * height == pytest.approx(64**2, rel=1 / 8)
        assert not (width % 8)
        assert not (height % 8)


def test_a_side_without_eighths_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"multiple of 8; got 60"):
        shapes_near(60)


def test_a_share_of_the_batches_is_not_square_and_every_shape_comes() -> None:
    shapes = Counter(np.shape(shaped(0.5).batch(position, 1).images)[2:] for position in range(300))
    assert shapes.pop((32, 32)) == pytest.approx(150, abs=30)
    assert set(shapes) == set(shapes_near(32))
    assert min(shapes.values()) > 8


def test_a_batch_is_the_same_again_and_of_one_shape_with_whole_things_in_it() -> None:
    source = shaped(1.0)
    for position in range(20):
        batch, again = source.batch(position, 6), shaped(1.0).batch(position, 6)
        assert np.array_equal(np.asarray(batch.images), np.asarray(again.images))
        assert batch.captions == again.captions
        for scene in batch.scenes:
            for thing in scene.objects:
                assert min(thing.box) > -0.05  # pixels are whole, places are not
                assert max(thing.box) < 1.05


def test_square_batches_are_those_of_the_square_source() -> None:
    source = shaped(0.5)
    positions = [p for p in range(20) if np.shape(source.batch(p, 1).images)[2:] == (32, 32)]
    assert positions
    for position in positions:
        expected = source.square.batch(position, 2)
        assert np.array_equal(np.asarray(source.batch(position, 2).images), np.asarray(expected.images))
