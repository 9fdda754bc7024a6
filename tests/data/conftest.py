"""Tiny pictures and sets, drawn on the spot."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Draw = Callable[..., bytes]


def draw(index: int = 0, *, size: tuple[int, int] = (12, 10), kind: str = "PNG", mode: str = "RGB") -> bytes:
    """An encoded picture of one colour that depends on `index`."""
    shade = (index * 37 % 256, index * 91 % 256, index * 7 % 256, 128)
    buffer = io.BytesIO()
    Image.new(mode, size, shade[: len(mode)] if mode in ("RGB", "RGBA") else shade[0]).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(name="draw")
def _draw() -> Draw:
    return draw


@pytest.fixture
def text_folder(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder of captioned pictures, some of them bad."""

    def make(good: int, bad: int = 0, **settings: Any) -> Path:
        folder = tmp_path / f"set-{good}-{bad}"
        folder.mkdir()
        for index in range(good + bad):
            data = draw(index, **settings) if index < good else b"this is no picture"
            (folder / f"{index:04}.png").write_bytes(data)
            (folder / f"{index:04}.txt").write_text(f"thing number {index}\nitem {index}\n")
        return folder

    return make


@pytest.fixture
def parquet_file(tmp_path: Path) -> Callable[..., Path]:
    """Write columns as a real Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(file: str = "set.parquet", /, **columns: Any) -> Path:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
        return path

    return write
