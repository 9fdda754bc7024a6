"""Weights are read as fp32, with learnt low-rank changes added."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pictura.core.errors import ModelError
from pictura.store.weights import read_weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    weights = {"a": np.arange(6).reshape(2, 3), "b": np.ones(2), "c": np.zeros((2, 3, 1, 1))}
    save_file({k: v.astype(np.float16) for k, v in weights.items()}, tmp_path / "weights.safetensors")
    return tmp_path


def write_delta(folder: Path, name: str, up: list[list[float]], down: list[list[float]]) -> None:
    pair = {f"{name}.up": np.array(up, np.float16), f"{name}.down": np.array(down, np.float16)}
    save_file(pair, folder / f"delta-{name}.safetensors")


def test_weights_are_upcast(folder: Path) -> None:
    weights = read_weights(folder)
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(weights["a"], [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("strength", [0.0, 50.0, 100.0, 200.0])
def test_changes_are_added_with_their_strength(folder: Path, strength: float) -> None:
    write_delta(folder, "a", [[1], [2]], [[1, 0, -1]])
    write_delta(folder, "c", [[1], [2]], [[1, 0, -1]])
    weights = read_weights(folder, strength=strength)
    change = strength / 100 * np.array([[1, 0, -1], [2, 0, -2]])
    np.testing.assert_array_equal(weights["a"], np.arange(6).reshape(2, 3) + change)
    np.testing.assert_array_equal(weights["c"][:, :, 0, 0], change)
    np.testing.assert_array_equal(weights["b"], [1, 1])


def test_changes_that_do_not_fit_are_refused(folder: Path) -> None:
    write_delta(folder, "a", [[1], [2]], [[1, 0]])
    with pytest.raises(ModelError, match=r"the change of a has shapes \(2, 1\) and \(1, 2\), which do not"):
        read_weights(folder)
    (folder / "delta-a.safetensors").unlink()
    write_delta(folder, "x", [[1]], [[1]])
    with pytest.raises(ModelError, match=r"must hold x\.down and x\.up for a weight that the model has"):
        read_weights(folder)


def test_a_file_that_holds_no_weights_is_named(folder: Path) -> None:
    (folder / "weights.safetensors").write_text("nothing")
    with pytest.raises(ModelError, match=r"weights\.safetensors should hold weights, but cannot be read"):
        read_weights(folder)
