"""How good a judge is: real renders that fit their claims and claims that do not fit them, counted both ways.

A judge is right when it accepts a picture of what is claimed and rejects the same picture under a claim that
is false in one point: another thing, one more or less, another colour, the other side, colours exchanged.

Letters N pictures.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pictura.core.images import on_background
from pictura.core.types import Claim
from pictura.data.scenes.renders import Renders
from pictura.data.vocabulary.colours import COLOURS
from pictura.encode.judges.judge import Judge

_OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
_ACROSS = {"left of": "above", "right of": "below", "above": "left of", "below": "right of"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """What a judge gave pictures of true claims, and the same pictures under false ones."""

    claims: tuple[Claim, ...]
    true: NDArray[np.float64]
    """(N,) chances under the true claims."""
    false: NDArray[np.float64]
    """(N,) chances under the false ones."""

    def accuracy(self, threshold: float) -> tuple[float, float, float]:
        """Mean of both, share of true claims accepted, share of false ones rejected."""
        accepted, rejected = float((self.true >= threshold).mean()), float((self.false < threshold).mean())
        return (accepted + rejected) / 2, accepted, rejected

    def best_threshold(self) -> float:
        """Where the mean of both shares is highest, in the middle of the widest such stretch."""
        edges = np.unique(np.concatenate([self.true, self.false]))
        middles = (edges[1:] + edges[:-1]) / 2
        if not len(middles):
            return 0.5
        scores = np.array([self.accuracy(t)[0] for t in middles])
        best = np.flatnonzero(scores >= scores.max() - 1e-9)
        return float(middles[best[len(best) // 2]])


def falsify(claim: Claim, task: str, things: Sequence[str], rng: np.random.Generator) -> Claim:
    """The claim with one point wrong: half the time a thing, half the time what the task is about.

    Were it always what the task is about, thresholds would ask for the colour alone, and any red blob would
    pass for a red cat (docs/log.md, 2026-11-23).

    Args:
        claim: of a GlyphBench task.
        task: decides which other point.
        things: what may stand in another thing's place.
        rng: chooses.
    """
    objects = list(claim.objects)
    if task in ("single", "two") or rng.random() < 0.5:
        which = int(rng.integers(len(objects)))
        taken: set[str | None] = {demand.thing for demand in objects}
        objects[which] = replace(objects[which], thing=_other(things, taken, rng))
    elif task == "count":
        numbers = [n for n in (1, 2, 3, 4) if n != objects[0].count]
        objects[0] = replace(objects[0], count=int(rng.choice(numbers)))
    elif task == "colour":
        objects[0] = replace(objects[0], colour=_other(tuple(COLOURS), {objects[0].colour}, rng))
    elif task == "position":
        wrong = _OPPOSITE if rng.random() < 0.5 else _ACROSS
        return replace(claim, relation=wrong[str(claim.relation)])
    elif rng.random() < 0.5:  # binding: colours exchanged …
        first, second = objects
        objects = [replace(first, colour=second.colour), replace(second, colour=first.colour)]
    else:  # … or one of them another
        which = int(rng.integers(2))
        colours = {demand.colour for demand in objects}
        objects[which] = replace(objects[which], colour=_other(tuple(COLOURS), colours, rng))
    return replace(claim, objects=tuple(objects))


def _other(options: Sequence[str], taken: Collection[str | None], rng: np.random.Generator) -> str:
    return str(rng.choice([option for option in options if option not in taken]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Questions:
    """Pictures of one task, each with what is true of it and what is not."""

    images: NDArray[np.float32]
    """(N, 3, H, W) in [0, 1], on light grey."""
    true: tuple[Claim, ...]
    false: tuple[Claim, ...]


def set_questions(
    renders: Renders,
    claims: Mapping[str, Sequence[Claim]],
    *,
    seed: int,
    things: Sequence[str],
    repeats: int = 4,
) -> dict[str, Questions]:
    """Paint what judges are examined on.

    Args:
        renders: of glyphs that the judges have never seen.
        claims: for each task; those that the renders cannot show are left out.
        seed: of pictures and false claims.
        things: what false claims may name.
        repeats: pictures of each claim.
    """
    out = {}
    for number, (task, given) in enumerate(claims.items()):
        rng = np.random.default_rng([seed, number])
        shown = [claim for claim in given if renders.shows(claim)] * repeats
        if not shown:
            continue
        images = on_background(renders.paint(shown, seed * 100 + number))
        wrong = tuple(falsify(claim, task, things, rng) for claim in shown)
        out[task] = Questions(images=images, true=tuple(shown), false=wrong)
    return out


def examine(judge: Judge, questions: Mapping[str, Questions]) -> dict[str, Examination]:
    """Examine a judge on every task."""
    return {
        task: Examination(
            claims=asked.true,
            true=judge.verify(asked.images, asked.true),
            false=judge.verify(asked.images, asked.false),
        )
        for task, asked in questions.items()
    }
