"""Painting in one pass: ONNX Runtime and torch are one model; no picture depends on its neighbours."""

from pathlib import Path

import numpy as np
import pytest

from pictura.core.errors import DeviceError
from pictura.core.types import OnePass, OnePassBackend
from pictura.runtime.onnx_backend import Floats, available_cores
from pictura.runtime.onnx_one_pass import OnnxOnePass
from pictura.runtime.open import TORCH_BACKENDS, open_on_cpu
from pictura.store.models import ModelInfo, read_model

FAMILIES = ("attngan", "stackgan")


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest, gan_home: Path) -> ModelInfo:
    return read_model(gan_home / "models" / request.param)


def on_torch(model: ModelInfo) -> OnePassBackend:
    backend: OnePassBackend = TORCH_BACKENDS.get(model.family)(model, device="cpu")
    return backend


def noise_of(backend: OnePassBackend, num: int = 3) -> Floats:
    return np.random.default_rng(7).standard_normal((num, backend.noise_size), dtype=np.float32)


def run(backend: OnePassBackend, token_ids: list[int]) -> OnePass:
    cond = backend.encode_text(np.array(token_ids))
    return backend.paint(noise_of(backend), cond)


@pytest.mark.parametrize("num_tokens", [1, 2, 16])
def test_onnx_and_torch_agree(model: ModelInfo, num_tokens: int) -> None:
    token_ids = [1, *range(40, 39 + num_tokens)]
    mine, theirs = run(OnnxOnePass(model, num_threads=1), token_ids), run(on_torch(model), token_ids)
    np.testing.assert_allclose(mine.images, theirs.images, atol=1e-4)
    assert mine.images.shape == (3, 4, 16, 16)
    assert mine.images.std() > 0.05
    assert (mine.attention is None) == (theirs.attention is None) == (model.family == "stackgan")
    if mine.attention is not None and theirs.attention is not None:
        assert mine.attention.shape == (3, num_tokens, 8, 8)
        np.testing.assert_allclose(mine.attention, theirs.attention, atol=1e-4)
        np.testing.assert_allclose(mine.attention.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_a_row_does_not_depend_on_its_neighbours(model: ModelInfo, kind: str) -> None:
    backend: OnePassBackend = OnnxOnePass(model, num_threads=1) if kind == "onnx" else on_torch(model)
    cond = backend.encode_text(np.array([1, 50]))
    together = backend.paint(noise_of(backend), cond)
    for b in range(3):
        alone = backend.paint(noise_of(backend)[b : b + 1], cond)
        np.testing.assert_array_equal(alone.images[0], together.images[b])


def test_words_and_noise_both_matter(model: ModelInfo) -> None:
    backend = OnnxOnePass(model, num_threads=1)
    fox, ball = run(backend, [1, 50]), run(backend, [1, 60])
    assert np.abs(fox.images - ball.images).max() > 0.01
    assert np.abs(fox.images[0] - fox.images[1]).max() > 0.01


def test_the_number_of_threads_changes_no_bit(model: ModelInfo) -> None:
    one, three = (run(OnnxOnePass(model, num_threads=num), [1, 50, 51]) for num in (1, 3))
    np.testing.assert_array_equal(one.images, three.images)


def test_the_probe_takes_no_more_threads_than_cores(model: ModelInfo) -> None:
    backend = open_on_cpu(model)
    assert isinstance(backend, OnnxOnePass)
    assert 1 <= backend.num_threads <= available_cores()


def test_a_device_that_is_not_there_is_refused(model: ModelInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"^Device 'cuda' was asked for, but torch finds no CUDA device"):
        TORCH_BACKENDS.get(model.family)(model, device="cuda")


@pytest.mark.gpu
def test_cuda_paints_what_the_cpu_paints(model: ModelInfo) -> None:
    here, there = OnnxOnePass(model), TORCH_BACKENDS.get(model.family)(model, device="cuda")
    np.testing.assert_allclose(run(here, [1, 50]).images, run(there, [1, 50]).images, atol=0.01)
