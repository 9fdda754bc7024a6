"""A prompt that was read: parts with their weights, and parameters. Frozen, comparable, printable.

Source  Midjourney's multi-prompts: weights count by their ratio, `--no x` is a part of weight -0.5. As the
        prompts of compositional diffusion (Liu et al. 2022, arXiv:2206.01714), parts meet as velocities.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from pictura.core.errors import ConfigError, PromptError
from pictura.prompt.parameters import Parameters

MAX_WEIGHT = 10_000
MAX_PARTS = 16
"""With those of --no. Each costs a network call at every step."""
MAX_SHARE = 100
"""Of a part in all, whose weights others may almost cancel."""
NO_WEIGHT = Fraction(-1, 2)
"""Of all that --no names, together."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some words and how much they weigh."""

    text: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.text or self.text != self.text.strip():
            raise ConfigError(
                f"A part of a prompt needs words without spaces around them; got {self.text!r}."
            )
        if not -MAX_WEIGHT <= self.weight <= MAX_WEIGHT:
            raise ConfigError(f"Weights must be from -{MAX_WEIGHT} to {MAX_WEIGHT}; got {self.weight}.")


@dataclass(frozen=True, slots=True)
class ParsedPrompt:
    """What one line asks for."""

    parts: tuple[Part, ...]
    """In the order in which they were typed, without those of --no."""
    parameters: Parameters = field(default_factory=Parameters)
    typed: str = field(default="", compare=False)
    """The text that it was read from, with all choices that its braces gave."""

    def __post_init__(self) -> None:
        if not self.parts:
            raise PromptError("The prompt is empty. Say what to paint, such as 'a red fox'.")
        if (num := len(self.parts) + len(self.parameters.no)) > MAX_PARTS:
            raise PromptError(f"A prompt may have {MAX_PARTS} parts, those of --no included; got {num}.")
        total = sum(weight for _, weight in self._weighed())
        least = max(abs(weight) for _, weight in self._weighed()) / MAX_SHARE
        if total <= 0 or total < least:
            raise PromptError(
                "The weights of the prompt's parts must add up to more than 0, and to "
                f"{float(least):g} or more beside its heaviest part; got {float(total):g} "
                "(what --no names weighs -0.5)."
            )

    def shares(self) -> tuple[tuple[str, float], ...]:
        """Every part with its share of the whole, those of --no included: shares add up to 1.

        Exact in the decimal numbers that weights are written in, so that 0.2 : 0.1 is 2 : 1 to the last bit.
        """
        weighed = self._weighed()
        total = sum(weight for _, weight in weighed)
        return tuple((text, float(weight / total)) for text, weight in weighed)

    @property
    def words(self) -> str:
        """What shall be seen, in plain words."""
        return ", ".join(part.text for part in self.parts if part.weight > 0)

    def _weighed(self) -> list[tuple[str, Fraction]]:
        no = self.parameters.no
        return [
            *((part.text, Fraction(repr(float(part.weight)))) for part in self.parts),
            *((item, NO_WEIGHT / len(no)) for item in no),
        ]
