"""Folders: metadata files, text files, and what is said when nothing fits."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pictura.core.errors import DataError
from pictura.data.sources import open_source

Draw = Callable[..., bytes]


@pytest.fixture
def folder(tmp_path: Path, draw: Draw) -> Path:
    """A folder with two pictures, not yet captioned."""
    folder = tmp_path / "set"
    folder.mkdir()
    for index in (1, 2):
        (folder / f"{index}.png").write_bytes(draw(index))
    return folder


def test_metadata_jsonl_names_files_and_captions(folder: Path) -> None:
    rows = [
        {"file_name": "1.png", "text": "a  red\ncar", "licence": "CC0-1.0"},
        {"file_name": "2.png", "text": ["a boat", "", "a boat", "a ship"]},
    ]
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    source = open_source(folder)
    first, second = source
    assert (first.id, first.captions, first.fields) == ("1.png", ("a red car",), {"licence": "CC0-1.0"})
    assert second.captions == ("a boat", "a ship")
    assert "metadata.jsonl" in source.layout
    assert [record.id for record, _ in source.pictures()] == ["1.png", "2.png"]


@pytest.mark.parametrize("columns", ["file_name,text", "file_name,Caption", "image,prompt"])
def test_metadata_csv_is_understood_with_the_usual_column_names(folder: Path, columns: str) -> None:
    (folder / "metadata.csv").write_text(f'\ufeff{columns}\n1.png,"a car, red"\n2.png,a boat\n', "utf-8")
    assert [record.captions for record in open_source(folder)] == [("a car, red",), ("a boat",)]


def test_a_metadata_file_in_each_split_folder_names_the_splits(folder: Path, draw: Draw) -> None:
    for split in ("train", "val"):
        (folder / split).mkdir()
        (folder / split / "x.png").write_bytes(draw())
        (folder / split / "metadata.csv").write_text("file_name,text\nx.png,a thing\n")
    records = list(open_source(folder))
    assert {record.id: record.fields["split"] for record in records} == {
        "train/x.png": "train",
        "val/x.png": "validation",
    }


def test_each_line_of_a_text_file_is_a_caption(folder: Path) -> None:
    (folder / "1.txt").write_text("a café\n\na coffee house\n", "utf-8")
    (folder / "2.txt").write_text("a boat")
    captions = {record.id: record.captions for record in open_source(folder)}
    assert captions == {"1.png": ("a café", "a coffee house"), "2.png": ("a boat",)}


def test_a_damaged_line_is_named(folder: Path) -> None:
    (folder / "metadata.jsonl").write_text('{"file_name": "1.png", "text": "a"}\n{"file_name": \n')
    with pytest.raises(DataError, match=r"metadata\.jsonl, line 2: expected a JSON object, got '"):
        open_source(folder)


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"file_name": "1.png", "label": 3}, "captions, caption, text"),
        ({"text": "a car"}, "file_name, filename"),
    ],
)
def test_a_missing_column_is_named_with_what_is_there(
    folder: Path, row: dict[str, object], wanted: str
) -> None:
    (folder / "metadata.jsonl").write_text(json.dumps(row))
    with pytest.raises(
        DataError, match=rf"expected one of the columns {wanted}.*found {', '.join(sorted(row))}"
    ):
        open_source(folder)


def test_a_table_with_a_cell_beyond_reason_is_named(folder: Path) -> None:
    (folder / "metadata.csv").write_text(f"file_name,text\n1.png,{'x' * 10**6}\n")
    with pytest.raises(
        DataError, match=r"metadata\.csv: expected rows of comma-separated values \(field larger"
    ):
        open_source(folder)


def test_text_of_another_encoding_is_refused(folder: Path) -> None:
    (folder / "1.txt").write_bytes("a café".encode("latin-1"))
    with pytest.raises(DataError, match=r"1\.txt: expected text in UTF-8"):
        list(open_source(folder))


def test_pictures_without_any_caption_are_no_set(folder: Path) -> None:
    with pytest.raises(
        DataError, match=r"no captioned pictures were found; looked for metadata\.jsonl .* COCO"
    ):
        open_source(folder)


def test_an_empty_folder_a_wrong_file_and_a_missing_path_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no captioned pictures were found"):
        open_source(tmp_path)
    (tmp_path / "set.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"a file ending in '\.zip' came"):
        open_source(tmp_path / "set.zip")
    with pytest.raises(DataError, match="there is no such file or folder"):
        open_source(tmp_path / "gone")


def test_a_metadata_file_without_rows_is_an_empty_set(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,text\n")
    with pytest.raises(DataError, match=r"the set is empty \(image folder with metadata\.csv\)"):
        open_source(tmp_path)
