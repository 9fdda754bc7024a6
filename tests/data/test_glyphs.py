import io
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pictura.core.errors import DataError
from pictura.data.glyphs import COLUMNS, GlyphSet


def picture(side: int = 8, colour: tuple[int, int, int, int] = (200, 100, 0, 128)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", (side, side), colour).save(buffer, "PNG")
    return buffer.getvalue()


def write_pack(path: Path, images: list[bytes], *, without: str = "") -> Path:
    n = len(images)
    columns = {
        "image": images,
        "id": [f"{path.stem}:{i}" for i in range(n)],
        "name": [f"thing {i}" for i in range(n)],
        "keywords": [["word"]] * n,
        "style": ["noto"] * n,
        "group": ["things"] * n,
    }
    pq.write_table(pa.table({k: v for k, v in columns.items() if k != without}), path)
    return path


def test_pictures_are_premultiplied_and_resized(tmp_path: Path) -> None:
    glyphs = GlyphSet.load(write_pack(tmp_path / "a.parquet", [picture()]), size=4)
    assert glyphs.images.shape == (1, 4, 4, 4)
    assert glyphs.size == 4
    assert glyphs.images[0, :, 0, 0].tolist() == pytest.approx([100, 50, 0, 128], abs=1)


def test_colour_never_exceeds_alpha_after_resizing(tmp_path: Path) -> None:
    image = Image.new("RGBA", (50, 50), (0, 0, 0, 128))
    image.paste((255, 255, 255, 128), (10, 10, 30, 30))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    images = GlyphSet.load(write_pack(tmp_path / "a.parquet", [buffer.getvalue()]), size=16).images
    assert (images[:, :3] <= images[:, 3:]).all()


def test_pixel_art_stays_crisp_at_a_whole_reduction(tmp_path: Path) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (2, 2, 6, 6))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    images = GlyphSet.load(write_pack(tmp_path / "a.parquet", [buffer.getvalue()]), size=4).images
    assert set(np.unique(images[0, 0])) == {0, 255}


def test_a_folder_is_read_in_file_order(tmp_path: Path) -> None:
    write_pack(tmp_path / "b.parquet", [picture()])
    write_pack(tmp_path / "a.parquet", [picture(), picture()])
    assert GlyphSet.load(tmp_path, size=2).ids == ("a:0", "a:1", "b:0")


def test_the_cache_is_used_until_the_pack_changes(tmp_path: Path) -> None:
    pack, cache = write_pack(tmp_path / "a.parquet", [picture()]), tmp_path / "cache"
    decoded: list[tuple[int, int]] = []

    def load() -> GlyphSet:
        return GlyphSet.load(pack, size=4, cache=cache, progress=lambda *n: decoded.append(n))

    first, second = load(), load()
    assert len(decoded) == 1
    assert (first.ids, first.keywords) == (second.ids, second.keywords)
    assert (first.images == second.images).all()
    write_pack(pack, [picture(colour=(0, 0, 255, 255))])
    assert load().images[0, 2, 0, 0] == 255
    os.utime(pack, ns=(1, 1))  # as a copy of the pack has it, or a checkout
    load()
    assert len(decoded) == 2


def test_two_processes_may_write_the_cache_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack, cache = write_pack(tmp_path / "a.parquet", [picture()]), tmp_path / "cache"
    both, savez = threading.Barrier(2, timeout=60), np.savez

    def save_together(file: Path, **arrays: Any) -> None:
        savez(file, **arrays)
        both.wait()

    monkeypatch.setattr(np, "savez", save_together)
    with ThreadPoolExecutor(2) as pool:
        loaded = list(pool.map(lambda _: GlyphSet.load(pack, size=4, cache=cache), range(2)))
    assert [len(glyphs) for glyphs in loaded] == [1, 1]
    assert len(list(cache.iterdir())) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from pictura.data.glyphs import GlyphSet

def savez(path, **arrays):
    Path(path).write_bytes(b"half of it")
    os.kill(os.getpid(), signal.SIGKILL)

np.savez = savez
GlyphSet.load(Path(sys.argv[1]), size=4, cache=Path(sys.argv[2]))
"""


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    pack, cache = write_pack(tmp_path / "a.parquet", [picture()]), tmp_path / "cache"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(pack), str(cache)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = cache.iterdir()
    assert left.name.startswith(".")
    assert len(GlyphSet.load(pack, size=4, cache=cache)) == 1
    (kept,) = cache.iterdir()
    assert kept.name.startswith("glyphs-4-")


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    pack, cache = write_pack(tmp_path / "a.parquet", [picture()]), tmp_path / "cache"
    GlyphSet.load(pack, size=4, cache=cache)
    next(cache.iterdir()).write_bytes(b"PK broken")
    assert len(GlyphSet.load(pack, size=4, cache=cache)) == 1


def test_one_bad_picture_in_two_hundred_is_left_out(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "a.parquet", [picture()] * 199 + [b"no picture"])
    assert len(GlyphSet.load(pack, size=2)) == 199


def test_too_many_bad_pictures_stop_with_the_first_named(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "a.parquet", [picture(), b"no picture"])
    with pytest.raises(DataError, match="1 of 2 pictures cannot be decoded, first 'a:1'"):
        GlyphSet.load(pack, size=2)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    pack = write_pack(tmp_path / "a.parquet", [picture()], without=column)
    with pytest.raises(DataError, match=f"'{column}' is missing"):
        GlyphSet.load(pack, size=2)


def test_a_missing_pack_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a Parquet file or a folder of them; there is none"):
        GlyphSet.load(tmp_path, size=2)


def test_a_file_that_is_not_parquet_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        GlyphSet.load(tmp_path, size=2)


def test_select_takes_a_mask_or_an_order(tmp_path: Path) -> None:
    glyphs = GlyphSet.load(write_pack(tmp_path / "a.parquet", [picture()] * 3), size=2)
    assert glyphs.select(np.array([True, False, True])).ids == ("a:0", "a:2")
    assert glyphs.select([2, 0]).ids == ("a:2", "a:0")


def test_columns_of_another_length_are_refused(tmp_path: Path) -> None:
    glyphs = GlyphSet.load(write_pack(tmp_path / "a.parquet", [picture()] * 3), size=2)
    with pytest.raises(DataError, match="needs images"):
        GlyphSet(
            images=glyphs.images,
            ids=("a",),
            names=("a",),
            keywords=((),),
            styles=("noto",),
            groups=("g",),
        )
