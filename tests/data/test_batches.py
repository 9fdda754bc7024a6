"""Loading a set into memory and drawing batches from it."""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import array_api_strict
import numpy as np
import pytest
from PIL import Image

from pictura.core.errors import ConfigError, DataError
from pictura.core.images import pil_of_uint8, uint8_of
from pictura.data.batches import CaptionedBatches, load_captioned
from pictura.data.resize import to_square

Draw = Callable[..., bytes]


@pytest.fixture
def batches() -> CaptionedBatches:
    """Ten pictures, each of one colour and half dark to the left, with one to three captions."""
    images = np.repeat(np.arange(10, dtype=np.uint8), 4 * 8 * 8).reshape(10, 4, 8, 8) * 25
    images[:, :, :, :4] = 0
    return CaptionedBatches(images, [tuple(f"{n} {c}" for c in range(1 + n % 3)) for n in range(10)], seed=3)


def test_a_set_is_loaded_square_premultiplied_and_in_order(
    text_folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    folder = text_folder(6, mode="RGBA")
    with caplog.at_level(logging.WARNING, "pictura.data"):
        images, captions, ids, _ = load_captioned(folder, size=16)
    assert images.shape == (6, 4, 16, 16)
    assert images.dtype == np.uint8
    assert (images[:, :3] <= images[:, 3:]).all()
    assert captions[5] == ("thing number 5", "item 5")
    assert ids == tuple(f"{n:04}.png" for n in range(6))
    assert "6 of 6 pictures were enlarged to 16 px" in caplog.text


def test_three_channels_lay_the_picture_on_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert (to_square(clear, 8, channels=3) == 255).all()


def test_colours_of_transparent_pixels_do_not_bleed() -> None:
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (0, 0, 4, 8))
    assert (to_square(picture, 4)[0] == 0).all()


def test_no_colour_exceeds_its_alpha_where_the_filter_overshoots() -> None:
    picture = Image.new("RGBA", (64, 64), (0, 0, 0, 128))
    picture.paste((255, 255, 255, 128), (0, 0, 27, 64))
    square = to_square(picture, 16)
    assert (square[:3] <= square[3:]).all()
    assert square[0].max() == 128


def test_opaque_pictures_are_cropped_and_drawings_padded() -> None:
    wide = Image.new("RGB", (30, 10), "red")
    wide.paste("blue", (0, 0, 10, 10))
    assert (to_square(wide, 10)[0] == 255).all()
    drawing = Image.new("RGBA", (30, 10), (255, 0, 0, 254))
    alpha = to_square(drawing, 30)[3]
    assert (alpha[:10] == 0).all()
    assert (alpha[10:20] == 254).all()


def test_bytes_survive_the_way_through_straight_alpha() -> None:
    alpha, colour = np.meshgrid(np.arange(256), np.arange(256))
    image = np.stack([np.minimum(colour, alpha)] * 3 + [alpha]).astype(np.uint8)
    assert np.array_equal(uint8_of(pil_of_uint8(image)), image)


def test_the_splits_of_a_set_are_disjoint_and_complete(text_folder: Callable[..., Path]) -> None:
    folder = text_folder(60)
    parts = [load_captioned(folder, size=8, split=name).ids for name in ("train", "val", "test")]
    assert sorted(id_ for part in parts for id_ in part) == [f"{n:04}.png" for n in range(60)]
    assert len(parts[0]) > 40


def test_an_empty_split_says_which_there_are(parquet_file: Callable[..., Path], draw: Draw) -> None:
    path = parquet_file(image=[draw()], text=["a"], split=["train"])
    with pytest.raises(DataError, match=r"no picture is in the split 'test'\. It has 1 in 'train'\."):
        load_captioned(path, size=8, split="test")


def test_impossible_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs channels 3 or 4, .*; got channels=1, size=8, limit=None"):
        load_captioned(tmp_path, size=8, channels=1)


def test_a_batch_depends_on_seed_and_position_alone(batches: CaptionedBatches) -> None:
    later = batches.batch(7, 4)
    for position in (0, 100, 3):
        batches.batch(position, 4)
    other = CaptionedBatches(batches._images, batches._captions, seed=4)
    assert [other.batch(p, 4).captions for p in range(5)] != [batches.batch(p, 4).captions for p in range(5)]
    again = batches.batch(7, 4)
    assert later.captions == again.captions
    assert np.array_equal(later.images, again.images)
    assert later.images.dtype == np.float32
    assert later.images.max() <= 1


@pytest.mark.parametrize("size", [1, 4, 7, 25])
def test_an_epoch_shows_every_picture_once_whatever_the_batch_size(
    batches: CaptionedBatches, size: int
) -> None:
    shown = [c.split()[0] for position in range(100 // size) for c in batches.batch(position, size).captions]
    for epoch in range(len(shown) // 10):
        assert len(set(shown[10 * epoch : 10 * epoch + 10])) == 10
    assert shown[:10] != shown[10:20]


def test_pictures_and_captions_stay_together(batches: CaptionedBatches) -> None:
    batch = batches.batch(2, 10)
    for image, caption in zip(batch.images, batch.captions, strict=True):
        assert image.max() == pytest.approx(int(caption[0]) * 25 / 255)


def test_each_caption_of_a_picture_is_drawn_equally_often(batches: CaptionedBatches) -> None:
    counts = Counter(c for position in range(600) for c in batches.batch(position, 10).captions)
    for variant in range(3):
        assert counts[f"2 {variant}"] == pytest.approx(200, abs=50)


def test_half_of_the_visits_are_mirrored_on_request_only(batches: CaptionedBatches) -> None:
    assert (batches.batch(0, 10).images[:, :, :, 0] == 0).all()
    mirrored = CaptionedBatches(batches._images, batches._captions, 3, flip=True)
    lit = [image[3, 0, 0] > 0 for p in range(40) for image in mirrored.batch(p, 10).images if image.max() > 0]
    assert np.mean(lit) == pytest.approx(0.5, abs=0.1)


def numbered() -> CaptionedBatches:
    """One picture of 6 pixels in which every pixel has its own number, cut to windows of 4."""
    image = np.arange(36, dtype=np.uint8).reshape(1, 1, 6, 6).repeat(4, axis=1)
    return CaptionedBatches(image, [("a",)], seed=1, window=4)


def test_a_window_is_cut_at_random_and_is_a_whole_part_of_the_picture() -> None:
    images = np.rint(numbered().batch(0, 300).images * 255).astype(int)
    assert images.shape == (300, 4, 4, 4)
    whole = np.arange(36).reshape(6, 6)
    starts = Counter(int(image[0, 0, 0]) for image in images)
    assert set(starts) == {6 * y + x for y in range(3) for x in range(3)}  # every place comes, none other
    assert min(starts.values()) > 15
    for image in images:
        y, x = divmod(int(image[0, 0, 0]), 6)
        assert (image == whole[y : y + 4, x : x + 4]).all()
    assert (
        np.rint(numbered().batch(7, 3).images * 255) == np.rint(numbered().batch(0, 24).images[21:] * 255)
    ).all()


def test_windows_change_neither_order_nor_captions_nor_flips(batches: CaptionedBatches) -> None:
    plain = CaptionedBatches(batches._images, batches._captions, 3, flip=True)
    small = CaptionedBatches(batches._images, batches._captions, 3, flip=True, window=7).batch(0, 8)
    assert small.captions == plain.batch(0, 8).captions
    whole = plain.batch(0, 8).images
    assert (small.images.max(axis=(1, 2, 3)) == whole.max(axis=(1, 2, 3))).all()
    # The dark half is on the same side.
    assert ((small.images[:, 0, 0, 0] == 0) == (whole[:, 0, 0, 0] == 0)).all()


def test_a_window_larger_than_the_picture_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cuts windows of 1 to 8 pixels here; got 9\."):
        CaptionedBatches(np.zeros((1, 4, 8, 8), dtype=np.uint8), [("a",)], 0, window=9)


def test_any_array_library_will_do(batches: CaptionedBatches) -> None:
    strict = CaptionedBatches(
        array_api_strict.asarray(batches._images), batches._captions, 3, flip=True, window=6
    )
    numpy_ = CaptionedBatches(batches._images, batches._captions, 3, flip=True, window=6)
    assert np.array_equal(np.asarray(strict.batch(5, 6).images), numpy_.batch(5, 6).images)


def test_captions_must_match_pictures() -> None:
    images = np.zeros((2, 3, 4, 4), dtype=np.uint8)
    with pytest.raises(ConfigError, match="got 2 pictures and 1 tuples"):
        CaptionedBatches(images, [("a",)], 0)
    with pytest.raises(ConfigError, match="picture 1 has none"):
        CaptionedBatches(images, [("a",), ()], 0)
