"""ONNX Runtime and torch are one model; neither lets a picture depend on its neighbours."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pictura.core.errors import DeviceError, ModelError
from pictura.core.types import Backend
from pictura.families.flow.backend import TorchBackend
from pictura.runtime.onnx_backend import Floats, OnnxBackend, available_cores
from pictura.store.models import ModelInfo, read_model


@pytest.fixture(scope="module")
def model(tiny_home: Path) -> ModelInfo:
    return read_model(tiny_home / "models" / "tiny")


@pytest.fixture(scope="module")
def onnx(model: ModelInfo) -> OnnxBackend:
    return OnnxBackend(model, num_threads=1)


def latents(h: int, w: int, num: int = 3) -> Floats:
    return np.random.default_rng(h * w).standard_normal((num, 4, h, w), dtype=np.float32)


def run(backend: Backend, x: Floats, token_ids: list[int]) -> list[Floats]:
    """Text features, velocities and pictures."""
    cond = backend.encode_text(np.array(token_ids))
    x_t, t = backend.asarray(x), backend.asarray(np.linspace(0.1, 1, len(x), dtype=np.float32))
    made = (cond.tokens, backend.velocity(x_t, t, cond), backend.decode(x_t))
    return [backend.numpy(array) for array in made]


@pytest.mark.parametrize(
    ("h", "w", "token_ids"), [(8, 8, [1]), (6, 10, [1, 200, 17, 5]), (3, 5, [1, *range(15)])]
)
def test_onnx_and_torch_agree(
    model: ModelInfo, onnx: OnnxBackend, h: int, w: int, token_ids: list[int]
) -> None:
    x = latents(h, w)
    there = run(TorchBackend(model, device="cpu"), x, token_ids)
    for mine, theirs in zip(run(onnx, x, token_ids), there, strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
    assert there[2].shape == (3, 4, 4 * h, 4 * w)
    assert there[1].std() > 0.1


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_a_row_does_not_depend_on_its_neighbours(model: ModelInfo, onnx: OnnxBackend, kind: str) -> None:
    backend: Backend = onnx if kind == "onnx" else TorchBackend(model, device="cpu")
    cond = backend.encode_text(np.array([1, 5]))
    x_t, t = backend.asarray(latents(8, 8)), backend.asarray(np.full(3, 0.5, dtype=np.float32))
    together = backend.velocity(x_t, t, cond)
    for b in range(3):
        alone = backend.velocity(x_t[b : b + 1], t[b : b + 1], cond)
        np.testing.assert_array_equal(backend.numpy(alone)[0], backend.numpy(together)[b])


def test_the_number_of_threads_changes_no_bit(model: ModelInfo, onnx: OnnxBackend) -> None:
    x = latents(8, 8)
    for mine, theirs in zip(
        run(onnx, x, [1, 2, 3]), run(OnnxBackend(model, num_threads=3), x, [1, 2, 3]), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_the_probe_takes_no_more_threads_than_cores(model: ModelInfo) -> None:
    assert 1 <= OnnxBackend(model).num_threads <= available_cores()


def test_low_rank_changes_reach_both_backends(model: ModelInfo, tmp_path: Path) -> None:
    folder = shutil.copytree(model.path, tmp_path / "tiny")
    name = "network.patch_out.weight"
    weight = load_file(folder / "weights.safetensors")[name]
    rng = np.random.default_rng(0)
    up, down = (
        rng.standard_normal(shape).astype(np.float16) for shape in ((len(weight), 2), (2, weight.shape[1]))
    )
    save_file({f"{name}.up": up, f"{name}.down": down}, folder / "delta.safetensors")
    changed = read_model(folder)
    x = latents(8, 8)
    plain, mine, theirs, off = (
        run(backend, x, [1, 5])[1]
        for backend in (
            OnnxBackend(model, num_threads=1),
            OnnxBackend(changed, num_threads=1, strength=10.0),
            TorchBackend(changed, device="cpu", strength=10.0),
            OnnxBackend(changed, num_threads=1, strength=0.0),
        )
    )
    np.testing.assert_allclose(mine, theirs, atol=1e-4)
    np.testing.assert_array_equal(off, plain)
    assert np.abs(mine - plain).max() > 0.01


def test_a_graph_without_its_weights_is_refused(model: ModelInfo, tmp_path: Path) -> None:
    folder = shutil.copytree(model.path, tmp_path / "tiny")
    weights = load_file(folder / "weights.safetensors")
    del weights["network.patch_in.bias"]
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(ModelError, match=r"network\.onnx cannot be loaded with the weights beside it"):
        OnnxBackend(read_model(folder), num_threads=1)
    with pytest.raises(ModelError, match=r"do not fit its model\.json"):
        TorchBackend(read_model(folder), device="cpu")


def test_a_device_that_is_not_there_is_refused(model: ModelInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"^Device 'cuda' was asked for, but torch finds no CUDA device"):
        TorchBackend(model, device="cuda")


@pytest.mark.gpu
def test_cuda_paints_what_the_cpu_paints_up_to_bf16(model: ModelInfo, onnx: OnnxBackend) -> None:
    x = latents(8, 8)
    here, there = run(onnx, x, [1, 5]), run(TorchBackend(model, device="cuda"), x, [1, 5])
    np.testing.assert_allclose(here[2], there[2], atol=0.01)
    assert np.abs(here[1] - there[1]).mean() < 0.05 * np.abs(here[1]).mean()
