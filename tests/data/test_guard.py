"""Bytes of unknown origin: what is read, what is refused, and when a whole set is refused."""

import io
import logging
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pictura.core.errors import DataError
from pictura.data.guard import MAX_BYTES, decode, read_file
from pictura.data.sources import open_source

Draw = Callable[..., bytes]


def png_claiming(width: int, height: int) -> bytes:
    """A small valid PNG file whose header claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_each_format_is_read_as_rgb(kind: str, draw: Draw) -> None:
    picture = decode(draw(3, kind=kind), "x")
    assert (picture.mode, picture.size, picture.format) == ("RGB", (12, 10), kind)


def test_transparency_is_kept_also_in_palettes() -> None:
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([255, 0, 0, 0, 255, 0])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=0)
    assert decode(buffer.getvalue(), "x").getpixel((0, 0)) == (255, 0, 0, 0)


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), 0x8000, dtype=np.uint16)).save(buffer, "PNG")
    assert decode(buffer.getvalue(), "x").getpixel((0, 0)) == (128, 128, 128)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert decode(buffer.getvalue(), "x").getpixel((0, 0)) == (255, 0, 0)


def test_a_photo_is_turned_upright_by_its_exif_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    buffer = io.BytesIO()
    Image.new("RGB", (8, 4)).save(buffer, "JPEG", exif=exif)
    assert decode(buffer.getvalue(), "x").size == (4, 8)


@pytest.mark.parametrize("size", [(60_000, 60_000), (9_000, 9_000), (40_000, 10)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=r"^bomb\.png: the image claims .* pixels; at most 64 million"):
        decode(png_claiming(*size), "bomb.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_truncated_file_is_refused_in_every_format(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind)
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(DataError, match=r"^cut: (the \w+ image is truncated|expected a PNG)"):
            decode(buffer.getvalue()[: int(len(buffer.getvalue()) * share)], "cut")


@pytest.mark.parametrize(
    ("data", "came"),
    [
        (b"", "an empty file came"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "41 bytes of something else came"),
        (b"P6 1 1 255 abc", "14 bytes of something else came"),  # a PPM, which Pillow could read
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "24 bytes of something else came"),  # would start another program
    ],
)
def test_other_formats_are_refused(data: bytes, came: str) -> None:
    with pytest.raises(DataError, match=rf"^cat\.png: expected a PNG, JPEG, .* image, {came}\.$"):
        decode(data, "cat.png")


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # a hole: takes no disk
    with pytest.raises(DataError, match=r"huge\.png: the image file is 64\.0 MB; at most 64\.0 MB"):
        read_file(tmp_path / "huge.png")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png: the image cannot be read \(No such file"):
        read_file(tmp_path / "gone.png")


def test_one_bad_picture_in_two_hundred_is_named_skipped_and_counted(
    text_folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    source = open_source(text_folder(199, 1))
    with caplog.at_level(logging.WARNING, "pictura.data"):
        assert len(list(source.pictures())) == 199
    assert source.errors == 1
    assert "0199.png: expected a PNG" in caplog.text


def test_one_bad_picture_in_fifty_stops_the_run(text_folder: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"1 of 50 pictures cannot be used, and at most 1 % .*0049\.png"):
        list(open_source(text_folder(49, 1)).pictures())


def test_the_run_stops_as_soon_as_it_is_certain(tmp_path: Path, text_folder: Callable[..., Path]) -> None:
    folder = text_folder(100)
    for name in ("0000", "0001"):
        (folder / f"{name}.png").write_bytes(b"")
    source = open_source(folder)
    with pytest.raises(DataError, match=r"2 of the first 2 \(of at most 100\) pictures"):
        next(source.pictures())


def test_a_picture_without_caption_is_bad(text_folder: Callable[..., Path]) -> None:
    folder = text_folder(20)
    (folder / "0007.txt").unlink()
    with pytest.raises(DataError, match=r"0007\.png: the picture has no caption"):
        list(open_source(folder).pictures())


def test_bad_pictures_of_other_splits_do_not_count(text_folder: Callable[..., Path]) -> None:
    source = open_source(text_folder(10, 10))
    good = [record.id for record, _ in source.pictures(keep=lambda record: record.id < "0010")]
    assert len(good) == 10
