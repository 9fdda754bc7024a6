"""WebDataset: shards written by the library itself."""

from collections.abc import Callable
from pathlib import Path

import pytest
import webdataset

from pictura.core.errors import DataError
from pictura.data.sources import open_source

Draw = Callable[..., bytes]


def write_shard(path: Path, samples: list[dict[str, object]]) -> Path:
    with webdataset.TarWriter(str(path)) as writer:
        for sample in samples:
            writer.write(sample)
    return path


def test_two_shards_are_one_set(tmp_path: Path, draw: Draw) -> None:
    for shard in range(2):
        write_shard(
            tmp_path / f"part-{shard:06}.tar",
            [{"__key__": f"{n:03}", "png": draw(n), "txt": f"thing {n}"} for n in range(3)],
        )
    source = open_source(tmp_path)
    assert (len(source), source.layout) == (6, "2 WebDataset shards")
    ids = [record.id for record in source]
    assert ids[0] == "part-000000/000"
    assert len(set(ids)) == 6
    assert ids == [record.id for record, _ in source.pictures()]


def test_captions_may_be_lines_or_a_field_of_json(tmp_path: Path, draw: Draw) -> None:
    path = write_shard(
        tmp_path / "a.tar",
        [
            {"__key__": "a", "png": draw(), "txt": "a car\na red car"},
            {"__key__": "b", "png": draw(), "json": {"caption": "a boat", "licence": "CC0-1.0"}},
            {"__key__": "photos/c", "left.JPG": draw(kind="JPEG"), "txt": "a plane", "json": {"width": 12}},
        ],
    )
    first, second, third = open_source(path)
    assert first.captions == ("a car", "a red car")
    assert (second.captions, second.fields) == (("a boat",), {"licence": "CC0-1.0"})
    assert (third.id, third.captions, third.fields) == ("a/photos/c", ("a plane",), {"width": 12})
    assert third.picture().format == "JPEG"


def test_a_sample_without_picture_is_a_bad_picture(tmp_path: Path, draw: Draw) -> None:
    samples: list[dict[str, object]] = [{"__key__": "a", "txt": "a car"}]
    with pytest.raises(DataError, match=r"a\.tar, sample a: expected a PNG"):
        list(open_source(write_shard(tmp_path / "a.tar", samples)).pictures())


def test_a_cut_or_false_shard_is_named(tmp_path: Path, draw: Draw) -> None:
    samples: list[dict[str, object]] = [
        {"__key__": str(n), "png": draw(n, size=(200, 200), kind="BMP"), "txt": "x"} for n in range(3)
    ]
    whole = write_shard(tmp_path / "whole.tar", samples).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "false.tar").write_bytes(b"no tar at all" * 100)
    for name in ("cut", "false"):
        with pytest.raises(DataError, match=rf"{name}\.tar: expected a whole tar shard, but it is damaged"):
            list(open_source(tmp_path / f"{name}.tar"))
