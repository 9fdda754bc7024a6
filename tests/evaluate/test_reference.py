"""Real pictures as floors and ceilings: two sets without a common glyph, rendered once and kept."""

import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pictura.core.errors import DataError
from pictura.core.types import Claim, Demand
from pictura.data.glyphs import GlyphSet
from pictura.data.vocabulary.holdouts import Holdouts
from pictura.evaluate.benchmark import Benchmark, Prompt
from pictura.evaluate.reference import load_reference, shrunk

COLOURS = {"train": (250, 0, 0), "test": (0, 0, 250)}


def asked(*things: str) -> Benchmark:
    prompts = tuple(
        Prompt(id=thing, task="single", text=thing, claim=Claim(objects=(Demand(thing=thing),)))
        for thing in things
    )
    return Benchmark(name="glyphbench", prompts=prompts, total=len(prompts))


def write_pack(folder: Path, things: tuple[str, ...] = ("fox", "key", "bell")) -> Path:
    """Squares: red ones among the ids for training, blue ones among those for tests."""
    rule, rows = Holdouts.load(), []
    for thing in things:
        for split, colour in COLOURS.items():
            picture = io.BytesIO()
            Image.new("RGBA", (16, 16), colour).save(picture, "PNG")
            name = next(f"{thing}{k}" for k in range(999) if rule.split(f"{thing}{k}") == split)
            rows.append({"image": picture.getvalue(), "id": name, "name": thing, "style": "noto"})
    for row in rows:
        row |= {"keywords": [], "group": "things"}
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "pack.parquet")
    return folder


def test_the_reference_and_the_ceiling_share_no_glyph(tmp_path: Path) -> None:
    found = load_reference(
        write_pack(tmp_path / "pack"), asked("fox", "key"), per_prompt=2, cache=tmp_path / "cache"
    )
    for pictures, channel in ((found.compared_with, 0), (found.real, 2)):
        images = pictures.load()
        assert images.shape == (4, 3, 64, 64)
        assert [prompt.id for prompt in pictures.prompts] == ["fox", "fox", "key", "key"]
        assert images[:, channel].max() > 0.9
        assert images[:, 2 - channel].max() < 0.9  # the grey around it, and none of the other colour
        assert (np.abs(images - 0.8) < 1e-6).all(axis=1).any()
    assert "4 of glyphs for training to compare with, 4 of glyphs that no painter learnt from" in found.about


def test_renders_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = write_pack(tmp_path / "pack")
    first = load_reference(pack, asked("fox", "key"), per_prompt=2, cache=tmp_path / "cache")
    monkeypatch.setattr(GlyphSet, "load", None)
    for file in pack.glob("*.parquet"):
        os.utime(file, ns=(1, 1))  # as a copy of the pack has it, or a checkout
    again = load_reference(pack, asked("fox", "key"), per_prompt=2, cache=tmp_path / "cache")
    assert (again.real.hash, again.compared_with.hash) == (first.real.hash, first.compared_with.hash)


def test_a_prompt_that_no_glyph_shows_is_left_out(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack")
    found = load_reference(pack, asked("fox", "whale", "key"), per_prompt=1, cache=tmp_path / "cache")
    assert [prompt.id for prompt in found.real.prompts] == ["fox", "fox", "key"]  # as many as are asked for
    assert "show 2 of the 3 prompts" in found.about
    with pytest.raises(DataError, match="split show none of the prompts"):
        load_reference(pack, asked("whale", "lion"), per_prompt=1, cache=tmp_path / "cache")


def test_small_pictures_lose_what_lay_within_a_pixel(tmp_path: Path) -> None:
    found = load_reference(
        write_pack(tmp_path / "pack"), asked("fox", "key"), per_prompt=1, cache=tmp_path / "cache"
    )
    images, worse = found.real.load(), shrunk(found.real, 4)
    assert worse.name == "real renders, from 16 pixels"
    assert 0 < np.abs(worse.load() - images).mean() < 0.1


def test_a_missing_pack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        load_reference(tmp_path / "nowhere", asked("fox", "key"), per_prompt=1, cache=tmp_path / "cache")
