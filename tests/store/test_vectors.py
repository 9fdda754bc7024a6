"""Vectors come back as they were added, and a file that is not one of theirs counts as empty."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pictura.store.vectors import KEY_BYTES, Vectors

KEYS = [bytes([number]) * KEY_BYTES for number in range(3)]
ROWS = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)


def test_what_is_read_back_equals_what_was_added(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.safetensors"
    vectors = Vectors(path, 5)
    vectors.add(KEYS, ROWS)
    vectors.save()
    again = Vectors(path, 5)
    assert len(again) == 3
    assert KEYS[1] in again
    order = [KEYS[2], KEYS[0]]
    np.testing.assert_array_equal(again.get(order), vectors.get(order))
    np.testing.assert_allclose(again.get(order), ROWS[[2, 0]], rtol=1e-3)
    assert again.get([]).shape == (0, 5)


def test_the_file_is_written_only_when_something_changed(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    vectors = Vectors(path, 5)
    vectors.save()
    assert not path.exists()
    vectors.add(KEYS, ROWS)
    vectors.save()
    path.unlink()
    vectors.keep(KEYS)
    vectors.save()
    assert not path.exists()
    vectors.keep(KEYS[:1])
    vectors.save()
    assert len(Vectors(path, 5)) == 1


@pytest.mark.parametrize(
    "table",
    [
        {"keys": np.zeros((2, KEY_BYTES), np.uint8), "vectors": np.zeros((2, 4), np.float16)},
        {"keys": np.zeros((3, KEY_BYTES), np.uint8), "vectors": np.zeros((2, 5), np.float16)},
        {"keys": np.zeros((2, 9), np.uint8), "vectors": np.zeros((2, 5), np.float16)},
        {"keys": np.zeros((2, KEY_BYTES), np.uint8), "vectors": np.zeros((2, 5), np.float32)},
        {"vectors": np.zeros((2, 5), np.float16)},
        None,
    ],
)
def test_a_file_of_another_kind_counts_as_empty(tmp_path: Path, table: dict[str, np.ndarray] | None) -> None:
    path = tmp_path / "file.safetensors"
    if table is None:
        path.write_bytes(b"nothing")
    else:
        save_file(table, path)
    assert len(Vectors(path, 5)) == 0
