"""Parquet: plain binary columns, the layout of the hub, and our own packs."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from pictura.core.errors import DataError
from pictura.data.sources import open_source

Draw = Callable[..., bytes]
WriteParquet = Callable[..., Path]


def test_a_binary_column_and_a_name_column_are_enough(parquet_file: WriteParquet, draw: Draw) -> None:
    path = parquet_file(
        image=[draw(0), draw(1)], id=["x:0", "x:1"], name=["a car", "a boat"], style=["flat"] * 2
    )
    records = list(open_source(path))
    assert [(record.id, record.captions) for record in records] == [("x:0", ("a car",)), ("x:1", ("a boat",))]
    assert records[0].fields == {"name": "a car", "style": "flat"}


def test_the_layout_of_the_hub_is_read_with_its_splits(parquet_file: WriteParquet, draw: Draw) -> None:
    for split in ("train", "validation"):
        file = parquet_file(
            f"hub/data/{split}-00000-of-00001.parquet",
            image=[{"bytes": draw(n), "path": f"{n}.png"} for n in range(3)],
            text=[f"thing {n}" for n in range(3)],
        )
    source = open_source(file.parents[1])
    assert (len(source), source.layout) == (6, "2 Parquet files")
    assert len({record.id for record in source}) == 6
    assert [record.fields["split"] for record in source] == ["train"] * 3 + ["validation"] * 3
    assert sum(1 for _ in source.pictures()) == 6


def test_pictures_may_lie_beside_the_file(parquet_file: WriteParquet, draw: Draw) -> None:
    file = parquet_file(image=[{"bytes": None, "path": "cat.png"}], caption=["a cat"])
    (file.parent / "cat.png").write_bytes(draw(5))
    assert [picture.size for _, picture in open_source(file).pictures()] == [(12, 10)]


def test_numbered_and_listed_captions_are_all_taken(parquet_file: WriteParquet, draw: Draw) -> None:
    numbered = parquet_file("a.parquet", jpg=[draw()], caption_0=["a car"], caption_1=["a red car"])
    listed = parquet_file("b.parquet", jpg=[draw()], captions=[["a car", "a red car"]])
    for path in (numbered, listed):
        assert [record.captions for record in open_source(path)] == [("a car", "a red car")]


def test_a_row_without_picture_is_a_bad_picture(parquet_file: WriteParquet, draw: Draw) -> None:
    source = open_source(parquet_file(image=[draw(0), None], text=["a car", "a boat"]))
    with pytest.raises(DataError, match=r"set\.parquet, row 1: expected a PNG.*an empty file came"):
        list(source.pictures())


def test_missing_columns_are_named_with_what_is_there(parquet_file: WriteParquet, draw: Draw) -> None:
    with pytest.raises(DataError, match=r"expected one of the text columns captions, .*; found label\."):
        open_source(parquet_file(image=[draw()], label=[3]))
    with pytest.raises(
        DataError, match=r"expected a column of image bytes named image, .*; found text, url\."
    ):
        open_source(parquet_file(text=["a car"], url=["https://example.org/car.png"]))


def test_a_damaged_file_is_named(tmp_path: Path, parquet_file: WriteParquet, draw: Draw) -> None:
    whole = parquet_file(image=[draw()], text=["a car"]).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-20])
    with pytest.raises(DataError, match=r"cut\.parquet: expected a Parquet file, but it is damaged"):
        open_source(tmp_path / "cut.parquet")


@pytest.mark.parametrize(("pack", "size"), [("glyphs", 23_435), ("photos", 10_330)])
def test_the_shared_packs_are_read(shared_data: Path, pack: str, size: int) -> None:
    source = open_source(shared_data / pack)
    assert len(source) == size
    rows = list(islice(source.pictures(), 50))
    assert all(
        picture.size == (128, 128) and record.captions and record.fields["licence"]
        for record, picture in rows
    )
    assert source.errors == 0
