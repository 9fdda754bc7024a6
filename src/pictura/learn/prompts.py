"""What is asked for while learning, and what is kept to test it: two streams of prompts that never meet.

What a sentence asks for (its things, numbers and colours, in whatever words and places) is hashed; a tenth of
all that can be asked for is kept. So no composition that is tested was ever learnt from. The two sides are
types of their own: nothing that takes the one takes the other.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from pictura.core.errors import ConfigError, DataError
from pictura.core.tables import from_table
from pictura.core.types import Prompt
from pictura.data.vocabulary.claims import ClaimMix, ClaimSource
from pictura.data.vocabulary.holdouts import Holdouts
from pictura.data.vocabulary.world import World
from pictura.learn.recipe import PromptSettings

SHARE = 0.1
"""Of what can be asked for, kept for testing."""
HELD_OUT_SEED = 1964
"""Runs of every seed are tested on the same prompts."""
_MOST_TRIES = 10


@dataclass(frozen=True, slots=True)
class HeldOutPrompts:
    """Prompts that are tested on and never learnt from."""

    prompts: tuple[Prompt, ...]


class TrainingPrompts:
    """Prompts to learn from: a pure function of the number of the update."""

    def __init__(self, source: "Claims | Lines", kept: HeldOutPrompts) -> None:
        """Take a source, and what must never come out of it."""
        self._source = source
        self._kept = {asked_for(prompt) for prompt in kept.prompts}

    def batch(self, update: int, size: int) -> tuple[Prompt, ...]:
        """The `size` prompts of an update.

        Raises:
            DataError: one of them is tested on.
        """
        prompts = self._source.prompts(update, size)
        for prompt in prompts:
            if asked_for(prompt) in self._kept:
                raise DataError(
                    f"The prompt {prompt.text!r} is kept for testing, so it cannot be learnt from."
                )
        return prompts


class Claims:
    """Sentences of the world list, but for what is kept."""

    def __init__(self, source: ClaimSource) -> None:
        self._source = source

    def prompts(self, position: int, size: int) -> tuple[Prompt, ...]:
        """Batch number `position`."""
        drawn: list[Prompt] = []
        for more in count(1):
            drawn = [p for p in self._source.prompts(position, 2 * more * size) if place(p) >= SHARE]
            if len(drawn) >= size:
                break
        return tuple(drawn[:size])

    @staticmethod
    def kept(source: ClaimSource, num: int) -> tuple[Prompt, ...]:
        """The first `num` different ones that are kept."""
        found: dict[str, Prompt] = {}
        for position in range(_MOST_TRIES):
            drawn = source.prompts(position, 10 * num)
            found |= {p.text: p for p in drawn if place(p) < SHARE and p.text not in found}
            if len(found) >= num:
                return tuple(found.values())[:num]
        raise ConfigError(
            f"held_out.prompts is {num}, but prompts.mix gives only {len(found)} different ones to keep."
        )


class Lines:
    """Lines of a file, shuffled anew each time that all have come."""

    def __init__(self, lines: Sequence[Prompt], *, seed: int) -> None:
        self._lines, self._seed = lines, seed

    def prompts(self, position: int, size: int) -> tuple[Prompt, ...]:
        """Batch number `position`."""
        return tuple(self._line(number) for number in range(position * size, (position + 1) * size))

    def _line(self, number: int) -> Prompt:
        turn, row = divmod(number, len(self._lines))
        return self._lines[np.random.default_rng([self._seed, turn]).permutation(len(self._lines))[row]]


def split_prompts(
    settings: PromptSettings, root: Path, *, seed: int, num_held_out: int
) -> tuple[TrainingPrompts, HeldOutPrompts]:
    """The two sides.

    Args:
        settings: what is asked for.
        root: folder that a relative path starts from.
        seed: of the training side.
        num_held_out: prompts of the other; of a file's lines at most a tenth.

    Raises:
        ConfigError: there are not so many different prompts to keep.
        DataError: the file of prompts cannot be read, or has too few lines.
    """
    if settings.kind == "lines":
        lines = sorted(_read_lines(root / settings.path), key=place)
        num = min(num_held_out, max(1, int(len(lines) * SHARE)))
        kept = HeldOutPrompts(tuple(lines[:num]))
        return TrainingPrompts(Lines(lines[num:], seed=seed), kept), kept
    world, holdouts = World.load(), Holdouts.load()
    mix = from_table(ClaimMix, settings.mix, "prompts.mix")
    kept = HeldOutPrompts(
        Claims.kept(ClaimSource(world, holdouts, seed=HELD_OUT_SEED, mix=mix), num_held_out)
    )
    return TrainingPrompts(Claims(ClaimSource(world, holdouts, seed=seed, mix=mix)), kept), kept


def asked_for(prompt: Prompt) -> str:
    """What a prompt asks for, whatever its words and places; without a claim its words."""
    if prompt.claim is None:
        return " ".join(prompt.text.lower().split())
    return " + ".join(sorted(f"{d.count or ''} {d.colour or ''} {d.thing}" for d in prompt.claim.objects))


def place(prompt: Prompt) -> float:
    """Where `asked_for` falls between 0 and 1; below `SHARE` it is kept for testing."""
    digest = hashlib.sha256(asked_for(prompt).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _read_lines(path: Path) -> list[Prompt]:
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The file of prompts {path} cannot be read ({error}).") from error
    different = {asked_for(p): p for p in (Prompt(text=t.strip()) for t in texts) if p.text}
    if len(different) < 2:
        raise DataError(
            f"The file of prompts {path} must hold at least 2 different lines, one to learn from and one to "
            f"test on; got {len(different)}."
        )
    return list(different.values())
