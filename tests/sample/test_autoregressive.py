"""Tokens are drawn as their probabilities say, and what is said of them is what the network says at once."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pictura.core.errors import ConfigError
from pictura.encode.tokenizer import pad
from pictura.families.dalle.backend import DalleParts
from pictura.families.dalle.cache import TokenCache
from pictura.sample.autoregressive import Drawn, TokenLaw, draw_codes, no_better_than_chance, pick
from pictura.sample.randomness import uniforms
from tests.tiny_dalle import GRID, TOKENS, make_parts, sharpen

TEXT = np.array([1, 40, 50, 60])
NO_TEXT = np.array([1])
LENGTH = GRID[0] * GRID[1]


class OnTorch:
    """The tiny networks as a `core.types.TokenBackend`; counts its calls."""

    grid, device, strength = GRID, "cpu", 100.0

    def __init__(self, parts: DalleParts, group: int = 4) -> None:
        self.parts, self.group = parts, group
        self.num_codes = parts.transformer.config.num_codes
        self.calls: list[tuple[str, int]] = []
        """What was called, and for how many pictures."""

    def start(self, token_ids: NDArray[np.int64], num: int) -> tuple[NDArray[np.float32], TokenCache]:
        self.calls.append(("start", num))
        ids, mask = pad([token_ids.tolist()], TOKENS)
        cache = TokenCache(self.parts.transformer, torch.from_numpy(ids), torch.from_numpy(mask), num=num)
        return cache.logits.numpy(), cache

    def step(self, codes: NDArray[np.int64], index: int, cache: TokenCache) -> NDArray[np.float32]:
        self.calls.append(("step", len(codes)))
        return cache.step(torch.from_numpy(codes), index).numpy()

    def decode(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        raise NotImplementedError

    def encode(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        raise NotImplementedError


@pytest.fixture(scope="module")
def parts() -> DalleParts:
    return sharpen(make_parts())


def draw(parts: DalleParts, law: TokenLaw, *, group: int = 4, **more: Any) -> Drawn:
    given: dict[str, Any] = {"seed": 5, "numbers": range(3), **more}
    return draw_codes(OnTorch(parts, group), TEXT, NO_TEXT, law=law, **given)


def at_once(parts: DalleParts, text: NDArray[np.int64], codes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Logits (B, L, V) of all tokens in one call, teacher-forced."""
    ids, mask = (torch.from_numpy(x).repeat(len(codes), 1) for x in pad([text.tolist()], TOKENS))
    return parts.transformer(ids, mask, torch.from_numpy(codes)).image.numpy()


@pytest.mark.parametrize(
    "law",
    [
        TokenLaw(),
        TokenLaw(temperature=0.7, top_k=9),
        TokenLaw(guidance_scale=3.0),
        TokenLaw(temperature=1.3, top_k=5, guidance_scale=0.5),
    ],
)
def test_log_probs_are_those_of_the_network_asked_at_once(parts: DalleParts, law: TokenLaw) -> None:
    drawn = draw(parts, law)
    guided = law.guide(at_once(parts, TEXT, drawn.codes), at_once(parts, NO_TEXT, drawn.codes))
    expected = law.log_probs(guided if law.guidance_scale != 1 else at_once(parts, TEXT, drawn.codes))
    picked = np.take_along_axis(expected, drawn.codes[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(drawn.log_probs, picked, atol=1e-5)
    assert drawn.log_probs.std() > 0.3


def test_at_temperature_1_they_are_torchs_own(parts: DalleParts) -> None:
    drawn = draw(parts, TokenLaw())
    scores = torch.from_numpy(at_once(parts, TEXT, drawn.codes)).log_softmax(dim=-1)
    expected = scores.gather(-1, torch.from_numpy(drawn.codes)[..., None])[..., 0]
    np.testing.assert_allclose(drawn.log_probs, expected.numpy(), atol=1e-5)


def test_every_token_is_drawn_as_often_as_it_is_likely() -> None:
    law = TokenLaw(temperature=0.5)
    logits = np.log(np.array([0.5, 0.3, 0.2]), dtype=np.float32)
    expected = np.array([0.25, 0.09, 0.04]) / 0.38
    np.testing.assert_allclose(np.exp(law.log_probs(logits)), expected, rtol=1e-6)
    numbers = (np.arange(10_000) + 0.5) / 10_000
    drawn = pick(np.repeat(law.log_probs(logits)[None], 10_000, axis=0), numbers)
    np.testing.assert_allclose(np.bincount(drawn) / 10_000, expected, atol=1e-4)
    assert (np.diff(drawn) >= 0).all()  # by the running sum


@pytest.mark.parametrize("number", [0.0, 0.5, np.nextafter(1, 0)])
def test_what_has_no_probability_is_never_drawn(number: float) -> None:
    log_p = np.array([[-np.inf, math.log(0.5), -np.inf, math.log(0.5), -np.inf]])
    assert pick(log_p, np.array([number]))[0] == (1 if number < 0.5 else 3)


def test_guidance_extrapolates_from_what_is_likely_anyway() -> None:
    given, without = np.array([1.0, 4.0], dtype=np.float32), np.array([3.0, 2.0], dtype=np.float32)
    assert TokenLaw(guidance_scale=1.5).guide(given, without).tolist() == [0.0, 5.0]
    assert TokenLaw(guidance_scale=0.0).guide(given, without).tolist() == [3.0, 2.0]
    assert TokenLaw(guidance_scale=1.0).guide(given, None).tolist() == [1.0, 4.0]


def test_top_k_keeps_k_even_of_equals() -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4, 50)).astype(np.float32)
    for k in (1, 7, 50):
        kept = np.isfinite(TokenLaw(top_k=k).log_probs(logits))
        assert (kept.sum(axis=1) == k).all()
        assert (np.sort(logits, axis=1)[:, -k:] == np.sort(logits[kept].reshape(4, k), axis=1)).all()
    assert np.isfinite(TokenLaw(top_k=0).log_probs(logits)).all()
    equal = np.isfinite(TokenLaw(top_k=2).log_probs(np.array([0.0, 3.0, 1.0, 1.0, 1.0])))
    assert equal.tolist() == [False, True, True, False, False]


def test_temperature_0_takes_the_likeliest(parts: DalleParts) -> None:
    drawn = draw(parts, TokenLaw(temperature=0))
    np.testing.assert_array_equal(drawn.codes, at_once(parts, TEXT, drawn.codes).argmax(axis=-1))
    assert (drawn.log_probs == 0).all()
    assert (drawn.codes == drawn.codes[0]).all()


def test_without_guidance_the_network_is_called_once_a_token(parts: DalleParts) -> None:
    calls = {}
    for scale in (1.0, 2.0):
        backend = OnTorch(parts, group=2)
        draw_codes(backend, TEXT, NO_TEXT, seed=1, numbers=range(3), law=TokenLaw(guidance_scale=scale))
        calls[scale] = backend.calls
    once = [("start", 2), *[("step", 2)] * (LENGTH - 1), ("start", 1), *[("step", 1)] * (LENGTH - 1)]
    assert calls[1.0] == once
    assert sorted(calls[2.0]) == sorted(once * 2)


def test_a_picture_does_not_depend_on_its_neighbours(parts: DalleParts) -> None:
    law = TokenLaw(guidance_scale=2.0)
    many = draw(parts, law, numbers=range(5), group=4)
    some = draw(parts, law, numbers=[4, 1], group=1)
    np.testing.assert_array_equal(some.codes, many.codes[[4, 1]])
    assert len({row.tobytes() for row in many.codes}) == 5


def test_a_token_has_its_own_number_of_the_pictures_stream() -> None:
    numbers = uniforms(7, 2, 64)
    assert ((numbers >= 0) & (numbers < 1)).all()
    np.testing.assert_array_equal(uniforms(7, 2, 10), numbers[:10])
    assert not np.isin(uniforms(7, 3, 64), numbers).any()
    assert not np.isin(uniforms(8, 2, 64), numbers).any()
    with pytest.raises(ConfigError, match=r"^The seed must be a whole number from 0"):
        uniforms(-1, 0, 4)


def test_given_tokens_stay_and_are_seen(parts: DalleParts) -> None:
    free = draw(parts, TokenLaw())
    start = [int(code) for code in free.codes[0, :5]]
    drawn = draw(parts, TokenLaw(), given=start)
    assert (drawn.codes[:, :5] == start).all()
    np.testing.assert_array_equal(drawn.codes[0], free.codes[0])  # its own beginning leads to its own end
    assert (drawn.log_probs[1, 5:] != free.log_probs[1, 5:]).all()
    assert (drawn.log_probs[:, :5] == 0).all()
    scores = TokenLaw().log_probs(at_once(parts, TEXT, drawn.codes))
    picked = np.take_along_axis(scores, drawn.codes[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(drawn.log_probs[:, 5:], picked[:, 5:], atol=1e-5)


def test_progress_counts_the_tokens_of_all_pictures(parts: DalleParts) -> None:
    seen: list[tuple[int, int]] = []
    draw(parts, TokenLaw(), group=2, given=[0] * 9, on_step=lambda *step: seen.append(step))
    assert seen == [(2, 9), (4, 9), (6, 9), (7, 9), (8, 9), (9, 9)]


def test_a_network_without_an_opinion_is_no_better_than_chance(parts: DalleParts) -> None:
    num_codes = parts.transformer.config.num_codes
    sharp = draw(parts, TokenLaw())
    assert not no_better_than_chance(sharp, num_codes)
    flat = draw(make_parts(), TokenLaw(temperature=0, guidance_scale=2.0))  # the law does not matter
    assert no_better_than_chance(flat, num_codes)
    scores = TokenLaw().log_probs(at_once(parts, TEXT, sharp.codes))
    np.testing.assert_allclose(sharp.entropy, -(np.exp(scores) * scores).sum(axis=-1).mean(axis=1), atol=1e-5)


@pytest.mark.parametrize(
    ("law", "more", "words"),
    [
        (
            {"temperature": 0.001},
            {},
            r"^temperature must be 0 \(the likeliest token\) or from 0\.01 to 10; got 0\.001\.$",
        ),
        ({"temperature": 11.0}, {}, r"from 0\.01 to 10; got 11\.$"),
        ({"temperature": math.nan}, {}, r"from 0\.01 to 10; got nan\.$"),
        ({"top_k": -1}, {}, r"^top_k must be at least 0 \(0 = all tokens\); got -1\.$"),
        ({"top_k": 33}, {}, r"^top_k must be from 0 \(all\) to 32, the number of .* image tokens; got 33\.$"),
        ({"guidance_scale": 51.0}, {}, r"^guidance_scale must be from 0 to 50 \(1 = off\); got 51\.0\.$"),
        ({}, {"given": [0] * 12}, r"must lack tokens: at most 11 of 12 may be given; got 12\.$"),
        ({}, {"given": [0, 32]}, r"^Given tokens must be whole numbers from 0 to 31; got 32\.$"),
        ({}, {"numbers": [-1]}, r"^The number of a picture must be at least 0; got -1\.$"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    parts: DalleParts, law: dict[str, Any], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        draw(parts, TokenLaw(**law), **more)
