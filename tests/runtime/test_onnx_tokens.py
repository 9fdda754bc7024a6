"""Painting by tokens: ONNX Runtime and torch are one model; no picture depends on its neighbours."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pictura.core.errors import DeviceError, PromptError
from pictura.core.types import TokenBackend
from pictura.runtime.onnx_backend import available_cores
from pictura.runtime.onnx_tokens import GROUP, PADDED, OnnxTokens
from pictura.runtime.open import TORCH_BACKENDS, open_on_cpu
from pictura.sample.autoregressive import TokenLaw, draw_codes
from pictura.store.models import ModelInfo, read_model
from tests.tiny_dalle import GRID, TOKENS

Floats = NDArray[np.float32]
NUM_CODES = 32


@pytest.fixture
def model(dalle_home: Path) -> ModelInfo:
    return read_model(dalle_home / "models" / "sharp")


@pytest.fixture
def here(model: ModelInfo) -> OnnxTokens:
    return OnnxTokens(model, num_threads=1)


def on_torch(model: ModelInfo) -> TokenBackend:
    backend: TokenBackend = TORCH_BACKENDS.get(model.family)(model, device="cpu")
    return backend


def codes_of(num: int) -> NDArray[np.int64]:
    return np.random.default_rng(7).integers(NUM_CODES, size=(num, GRID[0] * GRID[1]))


def logits(backend: TokenBackend, token_ids: list[int], codes: NDArray[np.int64]) -> Floats:
    """(B, L, V) of pictures that are written with a cache."""
    first, cache = backend.start(np.array(token_ids), len(codes))
    steps = [backend.step(codes[:, k], k, cache) for k in range(codes.shape[1] - 1)]
    return np.stack([first, *steps], axis=1)


@pytest.mark.parametrize("num_tokens", [1, 5, TOKENS])
def test_onnx_and_torch_agree(model: ModelInfo, here: OnnxTokens, num_tokens: int) -> None:
    token_ids, codes = [1, *range(40, 39 + num_tokens)], codes_of(3)
    mine, theirs = logits(here, token_ids, codes), logits(on_torch(model), token_ids, codes)
    assert mine.shape == (3, 12, NUM_CODES)
    assert mine.std() > 0.3
    np.testing.assert_allclose(mine, theirs, atol=1e-4 * np.abs(theirs).max())


def test_both_draw_the_same_pictures(model: ModelInfo, here: OnnxTokens) -> None:
    law = TokenLaw(temperature=0.9, top_k=20, guidance_scale=2.0)
    text, no_text = np.array([1, 40, 50]), np.array([1])
    mine, theirs = (
        draw_codes(backend, text, no_text, seed=3, numbers=range(4), law=law)
        for backend in (here, on_torch(model))
    )
    np.testing.assert_array_equal(mine.codes, theirs.codes)
    np.testing.assert_allclose(mine.log_probs, theirs.log_probs, atol=1e-4)


def test_codes_become_pictures_and_pictures_codes(model: ModelInfo, here: OnnxTokens) -> None:
    codes, torch_backend = codes_of(2).reshape(2, *GRID), on_torch(model)
    images = here.decode(codes)
    assert images.shape == (2, 4, 12, 16)
    assert (images[:, :3] <= images[:, 3:]).all()
    assert images.std() > 0.01
    np.testing.assert_allclose(images, torch_backend.decode(codes), atol=1e-5)
    pictures = np.random.default_rng(1).random((3, 4, 8, 16), dtype=np.float32)  # fewer rows than a picture
    seen = here.encode(pictures)
    assert seen.shape == (3, 2, 4)
    np.testing.assert_array_equal(seen, torch_backend.encode(pictures))


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_a_row_does_not_depend_on_its_neighbours(model: ModelInfo, kind: str) -> None:
    backend = OnnxTokens(model, num_threads=1) if kind == "onnx" else on_torch(model)
    codes = codes_of(GROUP)
    together = logits(backend, [1, 50], codes)
    for b in range(GROUP):
        np.testing.assert_array_equal(logits(backend, [1, 50], codes[b : b + 1])[0], together[b])


def test_words_and_earlier_tokens_both_matter(here: OnnxTokens) -> None:
    codes = codes_of(1)
    fox, ball = logits(here, [1, 50], codes), logits(here, [1, 60], codes)
    assert np.abs(fox - ball).max() > 0.01
    changed = codes.copy()
    changed[0, 5] = (codes[0, 5] + 1) % NUM_CODES
    other = logits(here, [1, 50], changed)
    np.testing.assert_array_equal(fox[:, :6], other[:, :6])
    assert (fox[:, 6] != other[:, 6]).any()


def test_two_prompts_are_remembered_apart(here: OnnxTokens) -> None:
    """As guidance needs it: steps of both take turns."""
    codes, prompts = codes_of(2), ([1, 50], [1])
    started = [here.start(np.array(ids), 2) for ids in prompts]
    found = [[first] for first, _ in started]
    for k in range(codes.shape[1] - 1):
        for one, (_, cache) in zip(found, started, strict=True):
            one.append(here.step(codes[:, k], k, cache))
    for one, ids in zip(found, prompts, strict=True):
        np.testing.assert_array_equal(np.stack(one, axis=1), logits(here, ids, codes))


def test_no_call_copies_what_is_remembered(here: OnnxTokens) -> None:
    _, memory = here.start(np.array([1, 50]), 2)
    given = here._inputs(np.array([3, 4]), 2, memory)
    arrays = {f"keys_{i}": one for i, one in enumerate(memory.keys)}
    arrays |= {f"values_{i}": one for i, one in enumerate(memory.values)}
    assert len(arrays) == 6
    for name, array in arrays.items():
        assert array.flags.c_contiguous
        assert given[name] is array
        assert len(array) == 2  # no more rows than pictures


def test_where_rows_depend_on_their_number_every_call_has_the_same(
    model: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = codes_of(3)
    expected = logits(OnnxTokens(model, num_threads=1), [1, 50], codes)
    add = OnnxTokens._inputs

    def by_number(self: OnnxTokens, rows: NDArray[np.int64], *rest: Any) -> dict[str, Any]:
        """As if a machine had another result for one row than for many."""
        given = add(self, rows, *rest)
        return {**given, "keys_0": given["keys_0"] * np.float32(1 + 1e-5 * (len(rows) == 1))}

    monkeypatch.setattr(OnnxTokens, "_inputs", by_number)
    backend = OnnxTokens(model, num_threads=1)
    assert backend.group == PADDED < GROUP
    _, memory = backend.start(np.array([1, 50]), 1)
    assert len(memory.keys[0]) == PADDED
    for b in range(3):
        np.testing.assert_array_equal(logits(backend, [1, 50], codes[b : b + 1])[0], expected[b])


def test_the_number_of_threads_changes_no_bit(model: ModelInfo) -> None:
    one, three = (logits(OnnxTokens(model, num_threads=num), [1, 50], codes_of(3)) for num in (1, 3))
    np.testing.assert_array_equal(one, three)


def test_the_probe_takes_no_more_threads_than_cores(model: ModelInfo) -> None:
    backend = open_on_cpu(model)
    assert isinstance(backend, OnnxTokens)
    assert 1 <= backend.num_threads <= available_cores()


def test_a_prompt_without_a_place_is_refused(here: OnnxTokens) -> None:
    with pytest.raises(
        PromptError, match=r"^The model reads at most 12 tokens; got 13\. Shorten the prompt\."
    ):
        here.start(np.ones(13, dtype=np.int64), 1)


def test_a_device_that_is_not_there_is_refused(model: ModelInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"^Device 'cuda' was asked for, but torch finds no CUDA device"):
        TORCH_BACKENDS.get(model.family)(model, device="cuda")


@pytest.mark.gpu
def test_cuda_guesses_what_the_cpu_guesses(model: ModelInfo, here: OnnxTokens) -> None:
    there: TokenBackend = TORCH_BACKENDS.get(model.family)(model, device="cuda")
    mine, theirs = (logits(backend, [1, 50], codes_of(3)) for backend in (here, there))
    np.testing.assert_allclose(mine, theirs, atol=0.01 * np.abs(mine).max())
