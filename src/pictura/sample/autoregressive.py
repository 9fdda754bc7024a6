"""Image tokens drawn one after another: a network's logits in, codes and their log-probabilities out.

Every picture has its own stream of uniform numbers, one for each token, and a token is where the running sum
of the probabilities passes its number: picture i of a seed is the same whatever is drawn beside it.

Source  Ramesh et al. 2021, DALL-E (arXiv:2102.12092): one token after another. Gafni et al. 2022,
        Make-A-Scene (arXiv:2203.13131), section 3.4: guidance on logits, before temperature and top-k.
Letters B pictures, L tokens of a picture, V codes.
Units   log-probabilities and entropy in nats; guidance_scale 1 = off.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictura.core.errors import ConfigError
from pictura.core.types import TokenBackend
from pictura.sample.calls import Call, Calls, OnStep, Progress, Way, drive
from pictura.sample.guidance import check_guidance
from pictura.sample.randomness import uniforms

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 10.0
CHANCE = 0.97
"""Share of the entropy of a fair draw among all codes, above which guesses are no better than chance."""
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenLaw:
    """How a token is drawn from logits."""

    temperature: float = 1.0
    """Divides logits; 0 takes the likeliest token."""
    top_k: int = 0
    """Draw among so many likeliest tokens; 0 = all."""
    guidance_scale: float = 1.0
    """s in u + s (c - u), where c are the logits given the prompt and u those given nothing; 1 = off."""

    def __post_init__(self) -> None:
        check_guidance(self.guidance_scale)
        if self.temperature != 0 and not MIN_TEMPERATURE <= self.temperature <= MAX_TEMPERATURE:
            raise ConfigError(
                f"temperature must be 0 (the likeliest token) or from {MIN_TEMPERATURE} to "
                f"{MAX_TEMPERATURE:g}; got {self.temperature:g}."
            )
        if self.top_k < 0:
            raise ConfigError(f"top_k must be at least 0 (0 = all tokens); got {self.top_k}.")

    def check(self, num_codes: int) -> None:
        """Refuse a law that a network of so many codes cannot follow.

        Raises:
            ConfigError: top_k is above their number.
        """
        if self.top_k > num_codes:
            raise ConfigError(
                f"top_k must be from 0 (all) to {num_codes}, the number of the model's image tokens; "
                f"got {self.top_k}."
            )

    def guide(self, given: Floats, without: Floats | None) -> Doubles:
        """Logits (..., V) that follow the prompt more closely.

        Args:
            given: (..., V) given the prompt.
            without: (..., V) given nothing; None where guidance is off.
        """
        logits = given.astype(np.float64)
        return logits if without is None else without + self.guidance_scale * (logits - without)

    def log_probs(self, logits: NDArray[Any]) -> Doubles:
        """Log-probabilities (..., V) of every next token; -inf of one that is never drawn.

        Args:
            logits: (..., V), guided already.
        """
        x = logits.astype(np.float64)
        if self.temperature == 0:
            return np.where(_top(x, 1), 0.0, -np.inf)
        x = (x - x.max(axis=-1, keepdims=True)) / self.temperature
        if self.top_k:
            x = np.where(_top(x, self.top_k), x, -np.inf)
        return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


PLAIN = TokenLaw()
"""Temperature 1, all tokens, no guidance."""


class Drawn(NamedTuple):
    """Pictures in tokens."""

    codes: Ints
    """(B, L)."""
    log_probs: Doubles
    """(B, L) of each code under the law that it was drawn from; 0 where it was given."""
    entropy: Doubles
    """(B,) of the guesses given the prompt, at temperature 1 and unguided, mean over what was drawn."""


def draw_codes(
    backend: TokenBackend,
    text: Ints,
    no_text: Ints,
    *,
    seed: int,
    numbers: Sequence[int],
    law: TokenLaw,
    given: Sequence[int] = (),
    on_step: OnStep | None = None,
) -> Drawn:
    """Draw the tokens of pictures, see `drawing`; `on_step` hears of every token, over all pictures."""
    way = drawing(backend, text, no_text, seed=seed, numbers=numbers, law=law, given=given)
    return drive(way, backend, on_step)


def drawing(
    backend: TokenBackend,
    text: Ints,
    no_text: Ints,
    *,
    seed: int,
    numbers: Sequence[int],
    law: TokenLaw,
    given: Sequence[int] = (),
) -> Way[Drawn]:
    """The way to the tokens of pictures, as many pictures at a time as the network takes in one call.

    Args:
        backend: the network, which is not called here.
        text: (T,) token ids of the prompt, without padding.
        no_text: those of the empty prompt, which guidance steers away from; read only where it is on.
        seed: 0 to 2^63 - 1.
        numbers: which of the seed's pictures.
        law: how a token is drawn.
        given: codes that every picture begins with, fewer than it has.

    Raises:
        ConfigError: the seed, a number, top_k or a given code is out of range.
    """
    num_tokens = math.prod(backend.grid)
    law.check(backend.num_codes)
    check_given(given, num_tokens, backend.num_codes)
    prompts = (text,) if law.guidance_scale == 1 else (text, no_text)
    randoms_BL = np.stack([uniforms(seed, i, num_tokens) for i in numbers])
    new = num_tokens - len(given)
    parts = []
    for start in range(0, len(numbers), backend.group):
        group = randoms_BL[start : start + backend.group]
        parts.append((yield from _drawing(prompts, group, law, given, start * new, len(numbers) * new)))
    return Drawn(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _drawing(
    prompts: Sequence[Ints],
    randoms_BL: Doubles,
    law: TokenLaw,
    given: Sequence[int],
    done: int,
    total: int,
) -> Way[Drawn]:
    """Draw pictures side by side; `done` of `total` tokens are drawn. The whole way is here, in order."""
    num, num_tokens = randoms_BL.shape
    codes_BL = np.empty((num, num_tokens), dtype=np.int64)
    log_probs_BL, entropy_B = np.zeros((num, num_tokens)), np.zeros(num)

    # 1. Read the prompt and, for guidance, nothing: logits of the first token, and a cache for each.
    started = yield Calls(tuple(Call("start", (ids, num)) for ids in prompts))
    logits, caches = [one for one, _ in started], [cache for _, cache in started]
    for k in range(num_tokens):
        # 2. The next token: given, or drawn.
        if k < len(given):
            codes_BL[:, k] = given[k]
        else:
            law_BV = law.log_probs(law.guide(logits[0], logits[1] if len(logits) > 1 else None))
            codes_BL[:, k] = pick(law_BV, randoms_BL[:, k])
            log_probs_BL[:, k] = np.take_along_axis(law_BV, codes_BL[:, k, None], axis=1)[:, 0]
            entropy_B += _entropy(law_BV if law == PLAIN else PLAIN.log_probs(logits[0]))
            done += num
            yield Progress(done, total)

        # 3. The network sees it, and guesses the one after.
        if k + 1 < num_tokens:
            logits = yield Calls(tuple(Call("step", (codes_BL[:, k], k, cache)) for cache in caches))
    return Drawn(codes_BL, log_probs_BL, entropy_B / (num_tokens - len(given)))


def pick(log_probs: Doubles, randoms: Doubles) -> Ints:
    """The code at which the running sum of the probabilities (B, V) passes each number (B,) of [0, 1)."""
    sums_BV = np.exp(log_probs).cumsum(axis=1)
    passed_B = randoms * sums_BV[:, -1]  # the last sum is 1 but for rounding; a number below 1 stays below it
    return (sums_BV <= passed_B[:, None]).sum(axis=1)


def no_better_than_chance(drawn: Drawn, num_codes: int) -> bool:
    """Whether the network guessed as one does that learnt nothing."""
    return bool(drawn.entropy.mean() > CHANCE * math.log(num_codes))


def _top(x: Doubles, num: int) -> NDArray[np.bool_]:
    """True for the `num` largest of each row (..., V); of equal ones the first are taken."""
    if num >= x.shape[-1]:
        return np.ones(x.shape, dtype=np.bool_)
    least = np.partition(x, -num, axis=-1)[..., -num, None]
    above, equal = x > least, x == least
    room = num - above.sum(axis=-1, keepdims=True)
    return above | (equal & (equal.cumsum(axis=-1) <= room))


def _entropy(log_p: Doubles) -> Doubles:
    """Of each row (B, V) of log-probabilities, all of them finite."""
    return -(np.exp(log_p) * log_p).sum(axis=-1)


def check_given(given: Sequence[int], num_tokens: int, num_codes: int) -> None:
    """Refuse codes that no picture of `num_tokens` can begin with.

    Raises:
        ConfigError: they are the whole picture, or one is out of range.
    """
    if len(given) >= num_tokens:
        raise ConfigError(
            f"A picture to complete must lack tokens: at most {num_tokens - 1} of {num_tokens} may be given; "
            f"got {len(given)}."
        )
    if wrong := [code for code in given if not 0 <= code < num_codes]:
        raise ConfigError(f"Given tokens must be whole numbers from 0 to {num_codes - 1}; got {wrong[0]}.")
