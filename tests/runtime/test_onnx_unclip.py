"""Painting by imagination: ONNX Runtime and torch are one model; no row depends on its neighbours."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pictura.core.errors import DeviceError, ModelError
from pictura.encode.clip.load import clip_of
from pictura.runtime.onnx_clip import OnnxClip
from pictura.runtime.onnx_unclip import OnnxUnclip
from pictura.runtime.open import TORCH_BACKENDS, open_on_cpu
from pictura.store import clips
from pictura.store.models import ModelInfo, read_model, resolve

Floats = NDArray[np.float32]
IDS = np.array([1, 40, 50, 60])


@pytest.fixture
def model(unclip_home: Path) -> ModelInfo:
    return read_model(unclip_home / "models" / "unclip")


@pytest.fixture
def here(model: ModelInfo) -> OnnxUnclip:
    return OnnxUnclip(model, num_threads=1)


def on_torch(model: ModelInfo) -> Any:
    return TORCH_BACKENDS.get(model.family)(model, device="cpu")


def answers(backend: Any, rows: int = 3, ids: NDArray[np.int64] = IDS) -> dict[str, Floats]:
    """What every network says of the same things."""
    rng = np.random.default_rng(0)
    z, x_t, low, large = (
        rng.standard_normal(shape, dtype=np.float32)
        for shape in ((5, 256), (5, 4, 8, 8), (5, 4, 8, 8), (5, 4, 32, 32))
    )
    t = rng.random(5, dtype=np.float32)
    z, x_t, low, large, t = (backend.asarray(one[:rows]) for one in (z, x_t, low, large, t))
    text = backend.encode_text(ids)
    found = {f"prior {keep}": backend.prior(z, t, text, keep) for keep in (True, False)}
    for keep in ((True, True), (True, False), (False, True), (False, False)):
        found[f"decoder {keep}"] = backend.decoder(x_t, t, z, text, keep)
    found["upsampler"] = backend.upsampler(large, t, low)
    found["decode"] = backend.decode(x_t)
    return {name: backend.numpy(one) for name, one in found.items()}


def test_onnx_and_torch_agree(model: ModelInfo, here: OnnxUnclip) -> None:
    mine, theirs = answers(here), answers(on_torch(model))
    for name, one in mine.items():
        assert one.std() > 0.05, name
        np.testing.assert_allclose(one, theirs[name], atol=1e-4 * np.abs(one).max(), err_msg=name)
    assert len({one.tobytes() for one in mine.values()}) == len(mine)
    assert (mine["decode"].min(), mine["decode"].max()) == (0, 1)


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_a_row_does_not_depend_on_its_neighbours(model: ModelInfo, kind: str) -> None:
    backend = OnnxUnclip(model, num_threads=1) if kind == "onnx" else on_torch(model)
    alone, together = answers(backend, 1), answers(backend, 5)
    for name, one in alone.items():
        np.testing.assert_array_equal(one[0], together[name][0], err_msg=name)


def test_a_text_that_is_not_told_does_not_matter(here: OnnxUnclip) -> None:
    one, other = answers(here), answers(here, ids=np.array([1, 70]))
    for name in one:
        told = name in ("prior True", "decoder (True, True)", "decoder (False, True)")
        assert (np.abs(one[name] - other[name]).max() > 1e-4) == told, (
            name
        )  # lengths differ, and so do roundings


def test_prompts_are_read_as_its_clip_reads_them(here: OnnxUnclip) -> None:
    clip = OnnxClip(resolve("clip-plain").path)
    ids = np.array(clip._tokenizer.encode("a red apple"), dtype=np.int64)
    text = here.encode_text(ids)
    assert text.tokens.shape == (1, len(ids), 192)
    np.testing.assert_allclose(np.asarray(text.sentence), clip.embed_text(["a red apple"]), atol=1e-5)
    both = clips.reading_weights(here._model)
    theirs = {f"clip.{name}" for name in clip_of(resolve("clip-plain")).state_dict()}
    assert set(both) == {name for name in theirs if name.startswith(("clip.text_encoder.", "clip.text_out."))}


def test_the_folder_is_opened_by_its_way_of_painting(model: ModelInfo) -> None:
    backend = open_on_cpu(model, num_threads=1)
    assert isinstance(backend, OnnxUnclip)
    there = on_torch(model)
    for mine, theirs in zip(backend.space, there.space, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert backend.untrained == there.untrained == ("prior", "decoder", "upsampler")


def test_a_clip_that_is_gone_or_damaged_is_told(
    model: ModelInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        ModelInfo, "verify", lambda self: (_ for _ in ()).throw(ModelError(f"bad {self.name}"))
    )
    with pytest.raises(ModelError, match=r"^bad clip-plain$"):
        OnnxUnclip(model, num_threads=1)
    monkeypatch.setattr("pictura.store.models.EMBEDDED", tmp_path)
    with pytest.raises(ModelError, match=r"^The model 'unclip' listens to the CLIP 'clip-plain' with hash"):
        on_torch(model)


def test_a_device_that_is_not_there_is_refused(model: ModelInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"^Device 'cuda' was asked for, but torch finds no CUDA device"):
        TORCH_BACKENDS.get(model.family)(model, device="cuda")


@pytest.mark.gpu
def test_cuda_says_what_the_cpu_says(model: ModelInfo, here: OnnxUnclip) -> None:
    there = TORCH_BACKENDS.get(model.family)(model, device="cuda")
    mine, theirs = answers(here), answers(there)
    for name, one in mine.items():
        np.testing.assert_allclose(one, theirs[name], atol=0.03 * np.abs(one).max(), err_msg=name)
    alone, together = answers(there, 1), answers(there, 5)
    for name, one in alone.items():
        np.testing.assert_array_equal(one[0], together[name][0], err_msg=name)
