"""Pictures say how they were painted, and say it back."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import ExifTags, Image

from pictura.core.errors import ConfigError, MetadataError
from pictura.store.metadata import read_metadata, save_picture

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
METADATA: dict[str, Any] = {
    "prompt": "ein schöner Fuchs, 狐\nund mehr",
    "seed": 2**40,
    "index": 2,
    "settings": {"num_steps": 12, "solver": "ab2", "guidance_scale": 2.5, "size": [6, 4]},
    "model": "flow",
    "model_hash": "0123456789abcdef",
    "version": "0.1.0",
}


@pytest.fixture
def image() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 4), dtype=np.uint8)
    pixels[0, 0] = (9, 8, 7, 0)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("format_", ["png", "webp", "jpeg"])
def test_what_is_written_is_read_back(image: Image.Image, tmp_path: Path, format_: str) -> None:
    save_picture(image, tmp_path / "a", METADATA, format=format_)
    assert read_metadata(tmp_path / "a") == METADATA


@pytest.mark.parametrize("format_", ["png", "webp"])
def test_alpha_and_colours_are_kept(image: Image.Image, tmp_path: Path, format_: str) -> None:
    save_picture(image, tmp_path / "a", METADATA, format=format_)
    with Image.open(tmp_path / "a") as saved:
        np.testing.assert_array_equal(np.asarray(saved), np.asarray(image))


def test_jpeg_shows_transparency_as_white(tmp_path: Path) -> None:
    save_picture(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), tmp_path / "a", METADATA, format="jpeg")
    with Image.open(tmp_path / "a") as saved:
        assert saved.getpixel((4, 4)) == (255, 255, 255)


def test_other_programs_read_their_own_form(image: Image.Image, tmp_path: Path) -> None:
    save_picture(image, tmp_path / "a.png", METADATA)
    with Image.open(tmp_path / "a.png") as saved:
        assert saved.info["parameters"] == (
            "ein schöner Fuchs, 狐\nund mehr\nSteps: 12, Sampler: ab2, CFG scale: 2.5, Seed: 1099511627776, "
            "Image: 3, Size: 6x4, Model hash: 0123456789, Model: flow, Version: Pictura 0.1.0"
        )


@pytest.mark.parametrize("format_", ["png", "webp", "jpeg"])
@pytest.mark.parametrize("quality", [None, 60])
def test_programs_that_know_nothing_of_us_are_told_that_a_machine_painted_it(
    image: Image.Image, tmp_path: Path, format_: str, quality: int | None
) -> None:
    word = "http://cv.iptc.org/newscodes/digitalsourcetype/{}rainedAlgorithmicMedia"
    given = {**METADATA["settings"], "from_picture": "ab"}
    own = {"source_image_ids": ["a-0"]}
    for more, start in (
        ({}, "t"),
        ({"settings": given}, "compositeWithT"),
        ({"settings": given, "origin": own}, "t"),
    ):
        save_picture(image, tmp_path / "a", {**METADATA, **more}, format=format_, quality=quality)
        with Image.open(tmp_path / "a") as saved:
            xmp = saved.info["XML:com.adobe.xmp" if format_ == "png" else "xmp"]
        found = next(ElementTree.fromstring(xmp).iter(f"{RDF}Description"))
        assert found.get(f"{IPTC}DigitalSourceType") == word.format(start)
        assert read_metadata(tmp_path / "a") == {**METADATA, **more}


def test_pictures_of_others_are_refused(image: Image.Image, tmp_path: Path) -> None:
    image.save(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("no picture")
    save_picture(image, tmp_path / "wrong.png", {**METADATA, "seed": "1"})
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "on the beach"
    image.convert("RGB").save(tmp_path / "photo.jpg", exif=exif)
    for name, words in (
        ("plain.png", r"plain\.png does not say how it was painted\. Only pictures that Pictura saved"),
        ("photo.jpg", r"photo\.jpg does not say how it was painted\. Only pictures that Pictura saved"),
        ("text.png", r"text\.png is no picture that can be read\.$"),
        ("missing.png", r"missing\.png does not exist\.$"),
        ("wrong.png", r"its 'seed' is missing or wrong\.$"),
    ):
        with pytest.raises(MetadataError, match=words):
            read_metadata(tmp_path / name)


def test_a_cut_file_is_refused(image: Image.Image, tmp_path: Path) -> None:
    save_picture(image, tmp_path / "a.png", METADATA)
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:60])
    with pytest.raises(MetadataError):
        read_metadata(tmp_path / "a.png")


def test_other_formats_are_refused(image: Image.Image, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^Pictures are saved as png, webp, jpeg; got 'gif'\.$"):
        save_picture(image, tmp_path / "a", METADATA, format="gif")
