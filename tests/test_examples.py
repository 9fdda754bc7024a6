"""The examples that the README does not run."""

import csv
import io
import tomllib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from examples.stamps import HELD_OUT, main
from pictura.data.vocabulary.holdouts import Holdouts
from tests.conftest import ROOT


def test_the_stamps_leave_out_what_is_asked_for_later(tmp_path: Path) -> None:
    holdouts = Holdouts.load()
    buffer = io.BytesIO()
    Image.new("RGBA", (32, 32), (200, 30, 30, 255)).save(buffer, "PNG")
    names = ["octopus", "door", "fox", "no such thing"]
    ids = [next(f"{n}:{i}" for i in range(99) if holdouts.split(f"{n}:{i}") == "train") for n in names]
    rows = [
        {"image": buffer.getvalue(), "id": i, "name": n, "keywords": [n], "style": "noto", "group": "x"}
        for i, n in zip(ids, names, strict=True)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pack.parquet")
    assert main(tmp_path / "pack.parquet", tmp_path / "stamps") == 2
    with (tmp_path / "stamps" / "metadata.csv").open() as file:
        assert [row["text"] for row in csv.DictReader(file)] == [
            "octopus as a postage stamp",
            "door as a postage stamp",
        ]
    with Image.open(tmp_path / "stamps" / "door.png") as picture:
        assert picture.size == (64, 64)
        assert picture.getpixel((4, 30)) == (25, 45, 114)  # the frame, in ink


def test_the_recipe_of_the_stamps_paints_just_the_held_out_things() -> None:
    recipe = tomllib.loads((ROOT / "examples" / "stamps.toml").read_text())
    assert recipe["log"]["prompts"] == [f"{thing} as a postage stamp" for thing in HELD_OUT]
