"""What `pictura data inspect` finds out about a set."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from pictura.cli.app import app as pictura_app
from pictura.cli.data import app
from pictura.core.errors import DataError
from pictura.data.inspect import inspect, spread
from pictura.data.sources import open_source

Draw = Callable[..., bytes]


@pytest.fixture
def mixed(parquet_file: Callable[..., Path], draw: Draw) -> Path:
    """Four pictures of three formats, one of them twice."""
    return parquet_file(
        image=[draw(1), draw(1, kind="BMP"), draw(2, kind="WEBP", mode="RGBA"), draw(3, size=(300, 40))],
        captions=[["a red car", "the car"], ["a red car"], ["café, blue"], ["red red red"]],
        split=["train", "train", "val", None],
        licence=["MIT", "MIT", "CC0-1.0", None],
    )


def test_the_counts_are_right(mixed: Path) -> None:
    found, _ = inspect(open_source(mixed))
    assert (found.num_pictures, found.bad, found.num_transparent, found.num_duplicate_pictures) == (
        4,
        (),
        1,
        1,
    )
    assert found.formats == {"PNG": 2, "BMP": 1, "WEBP": 1}
    assert (found.width_px.lowest, found.width_px.median, found.width_px.highest) == (12, 12, 300)
    assert (found.num_captions, found.num_distinct_captions) == (5, 4)
    assert found.captions_per_picture.mean == 1.25
    assert found.words_per_caption.highest == 3
    assert found.common_words == {"red": 5, "car": 3, "café": 1, "blue": 1}
    assert found.repeated_captions == {"a red car": 2}
    assert found.licences == {"MIT": 2, "CC0-1.0": 1, "not stated": 1}
    assert found.splits["train"] >= 2
    assert found.splits_are == "partly random 80/10/10 by id, seed 0"


def test_the_contact_sheet_shows_pictures_from_the_whole_set(text_folder: Callable[..., Path]) -> None:
    _, sheet = inspect(open_source(text_folder(50)))  # every third of 50: 17 tiles in rows of six
    assert sheet.size == (6 * 136 + 8, 3 * 180 + 8)
    colours = {sheet.getpixel((8 + 136 * n + 64, 8 + 64)) for n in range(6)}
    assert colours == {(3 * n * 37 % 256, 3 * n * 91 % 256, 3 * n * 7 % 256) for n in range(6)}


def test_bad_pictures_are_all_listed_before_the_command_fails(
    text_folder: Callable[..., Path], tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.png"
    run = CliRunner().invoke(app, ["inspect", str(text_folder(5, 3)), "--sheet", str(sheet)])
    assert "5 (0 with transparency)" in run.stdout
    assert sum("0005.png" in line or "0006.png" in line for line in run.stdout.splitlines()) >= 2
    assert isinstance(run.exception, DataError)
    assert "3 of 8 pictures cannot be used" in str(run.exception)
    assert sheet.is_file()


def test_the_command_prints_json_and_names_the_sheet(mixed: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    run = CliRunner().invoke(app, ["inspect", str(mixed), "--json", "--sheet", str(sheet)])
    told = json.loads(run.stdout)
    assert (told["num_pictures"], told["contact_sheet"]) == (4, str(sheet))
    with Image.open(sheet) as picture:
        assert picture.format == "PNG"


def test_a_bad_set_is_reported_as_one_json_and_fails(text_folder: Callable[..., Path]) -> None:
    options = ["data", "inspect", str(text_folder(5, bad=2)), "--no-sheet", "--json"]
    run = CliRunner().invoke(pictura_app, options)
    assert len(json.loads(run.stdout)["bad"]) == 2
    assert run.exit_code == DataError.exit_code
    assert "2 of 7 pictures cannot be used" in run.stderr


def test_no_sheet_is_written_when_none_is_wanted(mixed: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    run = CliRunner().invoke(app, ["inspect", str(mixed), "--no-sheet", "--sheet", str(sheet)])
    assert run.exit_code == 0
    assert not sheet.exists()
    assert "a red car 2" in " ".join(run.stdout.split())


def test_a_spread_is_five_numbers() -> None:
    found = spread([*range(1, 101)])
    assert (found.lowest, found.median, found.mean, found.p95, found.highest) == (1, 50.5, 50.5, 95, 100)
