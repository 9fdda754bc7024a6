"""GlyphBench: GenEval's six tasks on things of our world, from the frozen hold-outs alone.

553 prompts, four pictures each, in a data file that does not change; the score is the mean of six accuracies.

Source  Ghosh et al. 2023, GenEval (arXiv:2310.11513) for tasks and numbers. Differs: no model that keeps to
        the hold-outs was ever shown what a prompt asks for; judges of our own read the pictures, not a
        detector of photographs.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from pictura.core.errors import DataError
from pictura.core.types import Claim, Demand
from pictura.data.vocabulary import captions
from pictura.data.vocabulary.holdouts import Holdouts
from pictura.data.vocabulary.world import World

TASKS = ("single", "two", "count", "colour", "position", "binding")
NUM_PROMPTS = dict(zip(TASKS, (80, 99, 80, 94, 100, 100), strict=True))
"""GenEval's numbers: 553 in all."""
_SEED = 20261123
_INVERSE = {"left of": "right of", "above": "below"}


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchPrompt:
    """One sentence and what a picture of it must show."""

    id: str
    task: str
    prompt: str
    claim: Claim
    style: str | None = None
    """The style that the sentence names; no judge looks at it, real renders take it."""


def load_glyphbench(version: int = 1) -> tuple[BenchPrompt, ...]:
    """Read the packaged prompts, in the order of `TASKS`.

    Raises:
        DataError: there is no such version.
    """
    resource = files("pictura.evaluate") / f"glyphbench-{version}.json"
    if not resource.is_file():
        raise DataError(f"There is no GlyphBench of version {version}; this Pictura has version 1.")
    return from_json(json.loads(resource.read_text(encoding="utf-8")))


def make(holdouts: Holdouts, world: World, ranking: Sequence[str]) -> tuple[BenchPrompt, ...]:
    """Choose the prompts; the packaged file was made so, once.

    Each task asks about as few things as give it enough prompts, those that the judges know best.

    Args:
        holdouts: what no model is trained on.
        world: how things are called.
        ranking: things that may be asked for, best known first.

    Raises:
        DataError: the hold-outs about these things are too few for a task.
    """
    rng = np.random.default_rng(_SEED)
    prompts: list[BenchPrompt] = []
    for task in TASKS:
        entries = _about_the_best(holdouts, task, ranking)
        chosen = list(_spread(entries, task, rng))[: NUM_PROMPTS[task]]
        for number, entry in enumerate(sorted(chosen), start=1):
            prompts.append(_prompt(f"{task}-{number:03d}", task, entry, world, number))
    return tuple(prompts)


def things_of_tasks(prompts: Sequence[BenchPrompt]) -> dict[str, list[str]]:
    """The things that each task asks about, in alphabetical order."""
    return {
        task: sorted({demand.thing for p in prompts if p.task == task for demand in p.claim.objects})
        for task in TASKS
    }


def _about_the_best(holdouts: Holdouts, task: str, ranking: Sequence[str]) -> list[tuple[Any, ...]]:
    """The hold-outs about the shortest head of the ranking that leaves enough of them."""
    for count in range(1, len(ranking) + 1):
        known = frozenset(ranking[:count])
        entries = [entry for entry in sorted(getattr(holdouts, task)) if _things_of(entry, task) <= known]
        if len(entries) >= NUM_PROMPTS[task]:
            return entries
    raise DataError(
        f"GlyphBench needs {NUM_PROMPTS[task]} hold-outs of the task {task!r}; "
        f"{len(ranking)} things leave too few. Take more things."
    )


def to_json(prompts: Sequence[BenchPrompt], ranking: Sequence[str]) -> dict[str, Any]:
    """What the data file holds."""
    return {"version": 1, "ranking": list(ranking), "prompts": [asdict(prompt) for prompt in prompts]}


def from_json(content: Mapping[str, Any]) -> tuple[BenchPrompt, ...]:
    """The inverse of `to_json`."""
    return tuple(BenchPrompt(**{**row, "claim": _claim(row["claim"])}) for row in content["prompts"])


def _claim(table: Mapping[str, Any]) -> Claim:
    return Claim(objects=tuple(Demand(**demand) for demand in table["objects"]), relation=table["relation"])


def _things_of(entry: tuple[Any, ...], task: str) -> set[str]:
    places = {"two": (0, 1), "position": (0, 2), "binding": (1, 3)}.get(task, (0,))
    return {entry[place] for place in places}


def _spread(
    entries: Iterable[tuple[Any, ...]], task: str, rng: np.random.Generator
) -> Iterator[tuple[Any, ...]]:
    """All entries, such that at any time every thing has come about equally often."""
    left = list(entries)
    rng.shuffle(left)
    taken: Counter[str] = Counter()
    while left:
        best = min(range(len(left)), key=lambda i: sum(taken[thing] for thing in _things_of(left[i], task)))
        entry = left.pop(best)
        taken.update(_things_of(entry, task))
        yield entry


def _prompt(id: str, task: str, entry: tuple[Any, ...], world: World, number: int) -> BenchPrompt:  # noqa: A002
    """The sentence of a hold-out, said in one plain way."""

    def noun(phrase: str, colour: str | None = None) -> str:
        return captions.noun(world.thing(phrase), colour=colour)

    if task == "single":
        thing, style = entry
        words = captions.in_style(noun(thing), style)
        return BenchPrompt(
            id=id, task=task, prompt=words, claim=Claim(objects=(Demand(thing=thing),)), style=style
        )
    if task == "two":
        first, second = entry
        words = f"{noun(first)} and {noun(second)}"
        objects = (Demand(thing=first), Demand(thing=second))
        return BenchPrompt(id=id, task=task, prompt=words, claim=Claim(objects=objects))
    if task == "count":
        thing, count = entry
        words = captions.plural(world.thing(thing), count)
        claim = Claim(objects=(Demand(thing=thing, count=count),))
        return BenchPrompt(id=id, task=task, prompt=words, claim=claim)
    if task == "colour":
        thing, colour = entry
        claim = Claim(objects=(Demand(thing=thing, colour=colour),))
        return BenchPrompt(id=id, task=task, prompt=noun(thing, colour), claim=claim)
    if task == "position":
        first, relation, second = entry
        if number % 2:  # every other one is said from the other thing's side
            first, relation, second = second, _INVERSE[relation], first
        words = f"{noun(first)} {captions.RELATIONS[relation][0]} {noun(second)}"
        objects = (Demand(thing=first), Demand(thing=second))
        return BenchPrompt(id=id, task=task, prompt=words, claim=Claim(objects=objects, relation=relation))
    colour, first, other, second = entry
    words = f"{noun(first, colour)} and {noun(second, other)}"
    objects = (Demand(thing=first, colour=colour), Demand(thing=second, colour=other))
    return BenchPrompt(id=id, task=task, prompt=words, claim=Claim(objects=objects))
