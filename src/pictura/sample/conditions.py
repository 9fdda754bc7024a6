"""What a network is told, of every picture alike or each by itself: conditionings in, network calls out.

Letters B pictures, C channels, h w latent size, T text tokens, D width.
"""

from collections.abc import Mapping, Sequence

from array_api_compat import array_namespace

from pictura.core.types import Array, Conditioning
from pictura.sample.calls import Call
from pictura.sample.chaos import Chaos
from pictura.store.models import ModelInfo

_NUM_COMMON = 32


def common_words(model: ModelInfo) -> str:
    """The words that a model saw most often, as one line."""
    words = (model.path / "words.txt").read_text(encoding="utf-8").split()
    return " ".join(words[:_NUM_COMMON])


def usual(cond: Conditioning) -> Conditioning:
    """The mean of the features of many words (1, T, D), as one token (1, 1, D)."""
    xp = array_namespace(cond.tokens)
    return Conditioning(tokens=xp.mean(cond.tokens, axis=1, keepdims=True), mask=cond.mask[:, :1])


class Conditions:
    """Features by number: those of the parts of a prompt from 0, others below it."""

    def __init__(
        self,
        features: Mapping[int, Conditioning],
        chaos: Chaos | None = None,
        *,
        scales: Array | None = None,
        method: str = "velocity",
    ) -> None:
        """Keep them.

        Args:
            features: (1, T, D) each.
            chaos: what every picture is told of the parts; None tells all the same.
            scales: (B, 1, 1, 1) guidance scales of the pictures; None is that of the request for all.
            method: of the backend, which gives the velocities.
        """
        self._method = method
        self._features, self._chaos, self.scales = features, chaos, scales

    def calls(self, wanted: Sequence[int], x_t: Array, t: Array, time: float) -> tuple[Call, ...]:
        """The calls that give velocities of x_t (B, C, h, w) at times t (B,).

        Args:
            wanted: numbers of the features, such as `Mix.wanted` gives.
            x_t: latents.
            t: their times.
            time: which all of these are.
        """
        found = []
        for i in wanted:
            if self._chaos is None or i < 0:
                found.append(Call(self._method, (x_t, t, self._features[i])))
                continue
            for b, cond in enumerate(self._chaos.told(i, self._features[i], time)):
                found.append(Call(self._method, (x_t[b : b + 1, ...], t[b : b + 1], cond)))
        return tuple(found)

    def gather(self, wanted: Sequence[int], answers: Sequence[Array], num: int) -> dict[int, Array]:
        """Answers to `calls` of `num` pictures, by number: (B, C, h, w) each."""
        found, rest = {}, list(answers)
        for i in wanted:
            of_one = 1 if self._chaos is None or i < 0 else num
            mine, rest = rest[:of_one], rest[of_one:]
            found[i] = mine[0] if of_one == 1 else array_namespace(*mine).concat(mine)
        return found
