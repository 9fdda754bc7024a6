"""Which pictures a report shows, and what every judge says about each: chosen by rule, not by score."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pictura.evaluate.benchmark import Prompt
from pictura.evaluate.pictures import load_pictures
from pictura.evaluate.runner import Scored
from pictura.evaluate.scorers import BATCH, JudgeScorer

_LOOKED_AT = 512
"""Disagreements among which the widest are looked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exhibit:
    """One picture with all that is said about it."""

    number: int
    """Its place in its set."""
    source: str
    path: Path
    prompt: Prompt
    verdicts: Mapping[str, bool]
    """Judge to whether it accepts the picture."""
    confidence: Mapping[str, float]
    saw: Mapping[str, str]
    """Judge to what it saw, in words."""


def exhibit(scored: Scored, numbers: Iterable[int], judges: Sequence[JudgeScorer]) -> list[Exhibit]:
    """Gather what is said about some pictures of a set.

    Args:
        scored: the set.
        numbers: of the pictures.
        judges: which look once more, to say what they see.

    Raises:
        DataError: a picture cannot be read.
    """
    chosen = list(numbers)
    paths = [scored.source.paths[i] for i in chosen]
    prompts = [scored.pictures.prompts[i] for i in chosen]
    saw: dict[str, list[str]] = {judge.name: [] for judge in judges}
    sure: dict[str, list[float]] = {judge.name: [] for judge in judges}
    for start in range(0, len(chosen), BATCH):
        images = load_pictures(paths[start : start + BATCH])
        for judge in judges:
            saw[judge.name] += judge.judge.read(images)
            sure[judge.name] += judge.confidence(images, prompts[start : start + BATCH]).tolist()
    return [
        Exhibit(
            number=i,
            source=scored.source.name,
            path=path,
            prompt=prompts[place],
            verdicts={name: bool(found["accepts"][i]) for name, found in scored.verdicts.items()},
            confidence={name: numbers[place] for name, numbers in sure.items()},
            saw={name: words[place] for name, words in saw.items()},
        )
        for place, (i, path) in enumerate(zip(chosen, paths, strict=True))
    ]


def first_of_tasks(scored: Scored, *, prompts: int) -> dict[str, list[int]]:
    """Task to the numbers of the pictures of its first prompts, of the first seed, in file order."""
    chosen: dict[str, list[int]] = {}
    seen: dict[str, list[str]] = {}
    for i, prompt in enumerate(scored.pictures.prompts):
        mine = seen.setdefault(prompt.task, [])
        if prompt.id not in mine:
            mine.append(prompt.id)
        if len(mine) <= prompts and scored.pictures.seeds[i] == 0:
            chosen.setdefault(prompt.task, []).append(i)
    return chosen


def disagreements(scored: Scored, judges: Sequence[JudgeScorer], *, most: int) -> list[Exhibit]:
    """Pictures about which the first two judges disagree, those first of which both are surest."""
    if len(judges) < 2:
        return []
    first, second = judges[:2]
    said = scored.verdicts
    differ = np.flatnonzero(said[first.name]["accepts"] != said[second.name]["accepts"])[:_LOOKED_AT]
    shown = exhibit(scored, differ.tolist(), judges)
    shown.sort(key=lambda one: -abs(one.confidence[first.name] - one.confidence[second.name]))
    return shown[:most]


def draw_evenly(scored: Sequence[Scored], num: int, *, seed: int) -> list[tuple[int, int]]:
    """Draw pictures at random, equally many of every set and task.

    Returns:
        (which set, which picture of it), in random order; fewer where there are not enough.
    """
    random = np.random.Generator(np.random.Philox(seed))
    piles = []
    for place, one in enumerate(scored):
        tasks: dict[str, list[tuple[int, int]]] = {}
        for i, prompt in enumerate(one.pictures.prompts):
            tasks.setdefault(prompt.task, []).append((place, i))
        piles += [[rows[i] for i in random.permutation(len(rows))] for rows in tasks.values()]
    turns = [pile[turn] for turn in range(max(map(len, piles))) for pile in piles if turn < len(pile)]
    chosen = turns[:num]
    return [chosen[i] for i in random.permutation(len(chosen))]
