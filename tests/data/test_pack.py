"""Packs: what goes in comes out smaller, once each, with its loss told."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pictura.cli.data import app
from pictura.core.errors import ConfigError, DataError
from pictura.core.images import pil_of_uint8, uint8_of
from pictura.data.batches import load_captioned
from pictura.data.layouts.parquet import pack_note
from pictura.data.pack import CAP_DB, encode, pack, psnr, summary
from pictura.data.sources import open_source

Draw = Callable[..., bytes]


def soft_picture(size: int = 32) -> Image.Image:
    """A drawing with smooth colour and smooth alpha, which lossless coding does not like."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 6, 4), dtype=np.uint8)
    return Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC)


def test_a_lossless_pack_gives_back_every_pixel(text_folder: Callable[..., Path], tmp_path: Path) -> None:
    source = open_source(text_folder(5, mode="RGBA", size=(20, 14)))
    report = pack(source, tmp_path / "p.parquet", size=16)
    before, after = load_captioned(source, size=16), load_captioned(tmp_path / "p.parquet", size=16)
    assert np.array_equal(before.images, after.images)
    assert (before.captions, before.ids) == (after.captions, after.ids)
    assert (report.num_pictures, report.num_enlarged, report.num_bad) == (5, 0, 0)
    assert report.loss.colour_worst_db == report.loss.alpha_worst_db == CAP_DB


def test_equal_pictures_become_one_with_the_captions_of_all(
    parquet_file: Callable[..., Path], tmp_path: Path, draw: Draw
) -> None:
    path = parquet_file(
        image=[draw(1), draw(2), draw(1, kind="BMP")],
        text=["a car", "a boat", "a red car"],
        licence=["MIT", None, "MIT"],
        keywords=[["fast"], [], None],
    )
    report = pack(open_source(path), tmp_path / "p.parquet", size=8)
    first, second = open_source(tmp_path / "p.parquet")
    assert (report.num_pictures, report.num_duplicates) == (2, 1)
    assert first.captions == ("a car", "a red car")
    assert (first.fields["licence"], first.fields["keywords"]) == ("MIT", ["fast"])
    assert (second.captions, second.fields["licence"]) == (("a boat",), None)


def test_a_lossy_pack_is_smaller_and_its_loss_is_measured() -> None:
    pixels = uint8_of(soft_picture())
    sizes, losses = [], []
    for quality in (None, 95, 50):
        data, lossless = encode(pixels, quality)
        sizes.append(len(data))
        losses.append(psnr(pixels, data))
        assert lossless == (quality is None)
    assert sizes == sorted(sizes, reverse=True)
    assert losses[0] == (CAP_DB, CAP_DB)
    assert losses[1][0] > losses[2][0] > 15
    assert 20 < losses[2][1] < losses[1][1] < CAP_DB


def test_flat_drawings_stay_lossless_when_that_is_smaller() -> None:
    data, lossless = encode(uint8_of(Image.new("RGBA", (32, 32), "red")), 80)
    assert lossless
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.mode == "RGB"


def test_psnr_is_that_of_the_formula() -> None:
    pixels = np.full((4, 8, 8), 255, dtype=np.uint8)
    darker = pixels.copy()
    darker[:3] -= 51  # a fifth of white
    buffer = io.BytesIO()
    pil_of_uint8(darker).save(buffer, "PNG")
    colour, alpha = psnr(pixels, buffer.getvalue())
    assert colour == pytest.approx(-20 * np.log10(0.2), abs=1e-4)
    assert alpha == CAP_DB


def test_the_worst_one_percent_is_averaged() -> None:
    loss = summary([(float(n), 40.0) for n in range(200)])
    assert (loss.colour_mean_db, loss.colour_worst_db, loss.alpha_worst_db) == (99.5, 0.5, 40.0)


def test_how_a_pack_was_made_is_written_into_it(text_folder: Callable[..., Path], tmp_path: Path) -> None:
    pack(open_source(text_folder(3)), tmp_path / "p.parquet", size=16, quality=80)
    note = pack_note(tmp_path / "p.parquet")
    assert (note["size_px"], note["quality"], note["num_enlarged"]) == (16, 80, 3)
    assert note["loss"]["colour_mean_db"] > 20


def test_impossible_settings_are_refused(text_folder: Callable[..., Path], tmp_path: Path) -> None:
    source = open_source(text_folder(1))
    for size, quality in ((4, 80), (64, 0)):
        with pytest.raises(ConfigError, match=f"8 to 1024 pixels .* got {size} and {quality}"):
            pack(source, tmp_path / "p.parquet", size=size, quality=quality)


@pytest.fixture
def shared_glyphs(shared_data: Path) -> Path:
    return shared_data / "glyphs"


def test_the_glyphs_fit_their_budget_with_lossy_colour_and_alpha(shared_glyphs: Path, tmp_path: Path) -> None:
    """The packs are shuffled, so 60 rows foretell the bytes of all 23,435 pictures."""
    report = pack(open_source(shared_glyphs), tmp_path / "p.parquet", size=64, quality=80, limit=60)
    num_bytes = [len(record.read()) for record in open_source(tmp_path / "p.parquet")]
    assert sum(num_bytes) / len(num_bytes) * 23_435 < 32e6
    assert report.loss.colour_mean_db > 35
    assert report.loss.alpha_mean_db > 40


def test_the_command_writes_the_pack_whole_or_not_at_all(
    text_folder: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "out" / "p.parquet"
    run = CliRunner().invoke(app, ["pack", str(text_folder(4)), "--size", "8", "--out", str(out), "--json"])
    assert run.exit_code == 0
    told = json.loads(run.stdout)
    assert (told["num_pictures"], told["num_bytes"]) == (4, out.stat().st_size)
    before = out.read_bytes()
    bad = text_folder(4, 1)
    for target in (out, out.with_name("new.parquet")):
        failed = CliRunner().invoke(app, ["pack", str(bad), "--out", str(target)])
        assert isinstance(failed.exception, DataError)
    assert out.read_bytes() == before
    assert [path.name for path in out.parent.iterdir()] == ["p.parquet"]


@pytest.mark.parametrize(("quality", "out"), [("best", "p.parquet"), ("0", "p.parquet"), ("90", "p.zip")])
def test_the_command_refuses_what_it_cannot_write(tmp_path: Path, quality: str, out: str) -> None:
    run = CliRunner().invoke(app, ["pack", str(tmp_path), "--quality", quality, "--out", str(tmp_path / out)])
    assert isinstance(run.exception, ConfigError)
    assert "got " in str(run.exception)
