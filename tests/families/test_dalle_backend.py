"""A DALL-E model folder on torch."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from pictura.core.errors import DeviceError, ModelError
from pictura.families.dalle.backend import DalleParts, TorchBackend
from pictura.store.models import ModelInfo, read_model

TEXT = np.array([1, 5, 9, 30])


@pytest.fixture(scope="module")
def model(dalle_home: Path) -> ModelInfo:
    return read_model(dalle_home / "models" / "sharp")


@pytest.fixture(scope="module")
def backend(model: ModelInfo) -> TorchBackend:
    return TorchBackend(model, device="cpu")


def codes_of(backend: TorchBackend, num: int) -> np.ndarray:
    rows, cols = backend.grid
    return np.random.default_rng(0).integers(0, backend.num_codes, (num, rows * cols))


def guesses(backend: TorchBackend, codes: np.ndarray) -> np.ndarray:
    """Logits (B, L, V) along given codes."""
    logits, cache = backend.start(TEXT, len(codes))
    steps = [backend.step(codes[:, k], k, cache) for k in range(codes.shape[1] - 1)]
    return np.stack([logits, *steps], axis=1)


def test_what_it_says_step_by_step_is_what_the_network_says_at_once(
    model: ModelInfo, backend: TorchBackend
) -> None:
    codes, parts = codes_of(backend, 6), DalleParts.from_folder(model)
    ids = np.zeros((6, parts.transformer.config.max_tokens), dtype=np.int64)
    ids[:, : len(TEXT)] = TEXT
    mask = np.arange(ids.shape[1]) < len(TEXT)
    given = (torch.from_numpy(ids), torch.from_numpy(mask).expand(6, -1), torch.from_numpy(codes))
    at_once = parts.transformer(*given).image.numpy()
    np.testing.assert_allclose(guesses(backend, codes), at_once, atol=1e-5, rtol=1e-5)


def test_a_picture_does_not_depend_on_what_is_painted_beside_it(backend: TorchBackend) -> None:
    codes = codes_of(backend, backend.group + 2)
    many = guesses(backend, codes)
    for i in (0, backend.group + 1):
        np.testing.assert_array_equal(guesses(backend, codes[i : i + 1])[0], many[i])
    rows = codes.reshape(-1, *backend.grid)
    np.testing.assert_array_equal(backend.decode(rows)[1:2], backend.decode(rows[1:2]))


def test_pictures_and_codes_have_the_sides_that_the_folder_names(
    model: ModelInfo, backend: TorchBackend
) -> None:
    rows, cols = backend.grid
    images = backend.decode(codes_of(backend, 2).reshape(2, rows, cols))
    assert images.shape == (2, 4, rows * model.factor, cols * model.factor)
    assert images.dtype == np.float32
    codes = backend.encode(images)
    assert codes.shape == (2, rows, cols)
    assert codes.dtype == np.int64


def test_weights_that_do_not_fit_are_refused(model: ModelInfo, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model.path, tmp_path / "other"))
    weights = load_file(folder / "weights.safetensors")
    weights["transformer.image_start"] = np.zeros(3, dtype=np.float16)
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(ModelError, match=r"(?s)do not fit its model\.json.*image_start"):
        DalleParts.from_folder(read_model(folder))


def test_a_device_that_is_not_there_is_refused(model: ModelInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError, match="torch finds no CUDA device"):
        TorchBackend(model, device="cuda")


@pytest.mark.gpu
def test_on_cuda_it_says_what_it_says_on_a_cpu(model: ModelInfo, backend: TorchBackend) -> None:
    codes = codes_of(backend, 3)
    cuda = TorchBackend(model, device="cuda")
    np.testing.assert_allclose(guesses(cuda, codes), guesses(backend, codes), atol=1e-3, rtol=1e-3)
