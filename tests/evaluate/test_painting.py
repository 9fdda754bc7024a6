"""A model paints a benchmark: at its own size, in any number of sittings, nothing twice."""

import os
from pathlib import Path

import pytest
from PIL import Image

from pictura.evaluate.painting import noise_seed, paint_benchmark
from pictura.evaluate.sources import PictureSet, read_folder
from pictura.store.metadata import read_metadata
from pictura.store.models import ModelInfo, read_model
from tests.evaluate.eval_kit import few

ASKED = few(2)


@pytest.fixture
def model(tiny_home: Path) -> ModelInfo:
    return read_model(tiny_home / "models" / "tiny")


def paint(
    model: ModelInfo, folder: Path, *, images: int = 2, seeds: int = 1, processes: int = 1
) -> PictureSet:
    return paint_benchmark(
        model, ASKED, folder, images=images, seeds=seeds, device="cpu", processes=processes
    )


def painted(found: PictureSet) -> int:
    assert found.painting is not None
    number: int = found.painting["num_painted"]
    return number


def test_pictures_are_painted_at_the_trained_size_and_say_how(model: ModelInfo, tmp_path: Path) -> None:
    found = paint(model, tmp_path, seeds=2)
    assert len(found.paths) == len(ASKED.prompts) * 4 == painted(found)
    h, w = model.grids[0]
    assert found.size == (w * model.factor, h * model.factor)
    with Image.open(found.paths[0]) as image:
        assert image.size == found.size
    said = read_metadata(found.paths[3])
    assert (said["prompt"], said["index"]) == (ASKED.prompts[0].text, 1)
    assert said["seed"] == noise_seed(ASKED.prompts[0], 1)


def test_nothing_is_painted_twice(model: ModelInfo, tmp_path: Path) -> None:
    first = paint(model, tmp_path)
    times = [path.stat().st_mtime_ns for path in first.paths]
    again = paint(model, tmp_path)
    assert painted(again) == 0
    assert (again.hash, again.paths) == (first.hash, first.paths)
    assert [path.stat().st_mtime_ns for path in first.paths] == times


def test_only_what_is_missing_or_of_another_prompt_is_painted(model: ModelInfo, tmp_path: Path) -> None:
    first = paint(model, tmp_path)
    first.paths[1].unlink()
    first.paths[2].write_bytes(first.paths[5].read_bytes())
    again = paint(model, tmp_path)
    assert painted(again) == 2
    assert again.hash == first.hash


def test_more_pictures_go_on_where_the_first_ended(model: ModelInfo, tmp_path: Path) -> None:
    first = paint(model, tmp_path, images=2)
    more = paint(model, tmp_path, images=3)
    assert painted(more) == len(ASKED.prompts)
    assert set(first.paths) < set(more.paths)


def test_another_process_paints_the_same(model: ModelInfo, tmp_path: Path) -> None:
    one, two = paint(model, tmp_path / "1"), paint(model, tmp_path / "2", processes=2)
    assert two.hash == one.hash
    assert two.painting is not None
    assert two.painting["processes"] == 2


def test_a_painter_in_one_pass_paints_it_too(gan_home: Path, tmp_path: Path) -> None:
    model = read_model(gan_home / "models" / "attngan")
    one, two = paint(model, tmp_path / "1"), paint(model, tmp_path / "2", processes=2)
    assert two.hash == one.hash
    assert one.painting is not None
    assert one.painting["settings"]["solver"] == "one_pass"
    assert one.size == (16, 16)
    assert painted(paint(model, tmp_path / "1")) == 0


def test_a_painted_folder_is_found_like_any_other(model: ModelInfo, tmp_path: Path) -> None:
    found = paint(model, tmp_path, seeds=2)
    folder = Path(os.path.commonpath(found.paths))
    assert read_folder(folder, ASKED, images=2, seeds=2).paths == found.paths


def test_progress_counts_what_was_there(model: ModelInfo, tmp_path: Path) -> None:
    paint(model, tmp_path).paths[0].unlink()
    told: list[tuple[str, int, int]] = []
    paint_benchmark(
        model,
        ASKED,
        tmp_path,
        images=2,
        seeds=1,
        device="cpu",
        processes=1,
        on_progress=lambda *words: told.append(words),
    )
    assert told == [("painting with tiny", 7, 8), ("painting with tiny", 8, 8)]


def test_every_prompt_has_noise_of_its_own() -> None:
    seeds = {noise_seed(prompt, seed) for prompt in ASKED.prompts for seed in (0, 1)}
    assert len(seeds) == 2 * len(ASKED.prompts)
