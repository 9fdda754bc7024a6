"""GlyphBench: the file is what `make` makes, from hold-outs alone, in GenEval's numbers."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pictura.core.errors import DataError
from pictura.core.types import Claim, Demand
from pictura.data.vocabulary.holdouts import Holdouts
from pictura.data.vocabulary.reading import Reader
from pictura.data.vocabulary.world import World
from pictura.evaluate import glyphbench
from pictura.evaluate.glyphbench import NUM_PROMPTS, TASKS, load_glyphbench, make, things_of_tasks
from pictura.evaluate.judging import Examination, falsify

FILE = Path(glyphbench.__file__).with_name("glyphbench-1.json")


def test_the_file_holds_what_make_makes() -> None:
    ranking = json.loads(FILE.read_text(encoding="utf-8"))["ranking"]
    assert make(Holdouts.load(), World.load(), ranking) == load_glyphbench()
    for task, things in things_of_tasks(load_glyphbench()).items():
        assert set(things) <= set(ranking[: max(80, len(things))]), task


def test_there_are_553_prompts_in_genevals_proportions() -> None:
    prompts = load_glyphbench()
    assert Counter(p.task for p in prompts) == {
        "single": 80,
        "two": 99,
        "count": 80,
        "colour": 94,
        "position": 100,
        "binding": 100,
    }
    assert len({p.id for p in prompts}) == len({p.prompt for p in prompts}) == 553
    assert tuple(NUM_PROMPTS) == TASKS


def test_every_prompt_is_held_out_from_training() -> None:
    holdouts, reader = Holdouts.load(), Reader(World.load())
    assert [p.prompt for p in load_glyphbench() if not holdouts.matches(reader.read(p.prompt))] == []


def test_a_sentence_says_what_its_claim_demands() -> None:
    reader = Reader(World.load())
    for prompt in load_glyphbench():
        read = reader.read(prompt.prompt)
        said = [(m.thing, m.colour) for m in read.mentions]
        assert said == [(d.thing, d.colour) for d in prompt.claim.objects], prompt
        assert read.relation == prompt.claim.relation, prompt
        assert (read.mentions[0].count if prompt.task == "count" else None) == prompt.claim.objects[0].count
        assert read.styles == ({prompt.style} if prompt.style else frozenset()), prompt


def test_too_few_things_are_refused() -> None:
    with pytest.raises(DataError, match="needs 80 hold-outs of the task 'single'; 2 things leave too few"):
        make(Holdouts.load(), World.load(), ["fox", "cat"])
    with pytest.raises(DataError, match="no GlyphBench of version 7"):
        load_glyphbench(7)


@pytest.mark.parametrize("task", TASKS)
def test_a_falsified_claim_is_wrong_in_a_thing_or_in_what_the_task_is_about(task: str) -> None:
    rng = np.random.default_rng(0)
    kinds: Counter[str] = Counter()
    for prompt in (p for p in load_glyphbench() if p.task == task):
        false = falsify(prompt.claim, task, ["fox", "cat", "dog", "bee"], rng)
        pairs = list(zip(false.objects, prompt.claim.objects, strict=True))
        if any(a.thing != b.thing for a, b in pairs):
            kinds["thing"] += 1
            assert sum(a != b for a, b in pairs) == 1
            assert false.relation == prompt.claim.relation
        elif task == "count":
            kinds["point"] += false.objects[0].count in {1, 2, 3, 4} - {prompt.claim.objects[0].count}
        elif task == "position":
            kinds["point"] += false.relation != prompt.claim.relation
        else:
            kinds["point"] += any(a.colour != b.colour for a, b in pairs)
    assert kinds.total() == NUM_PROMPTS[task]
    share = kinds["thing"] / kinds.total()
    assert share == 1 if task in ("single", "two") else 0.3 < share < 0.7


def test_an_examination_counts_both_ways_and_finds_the_best_threshold() -> None:
    claims = (Claim(objects=(Demand(thing="fox"),)),) * 4
    result = Examination(
        claims=claims, true=np.array([0.9, 0.8, 0.7, 0.2]), false=np.array([0.1, 0.1, 0.3, 0.75])
    )
    assert result.accuracy(0.5) == (0.75, 0.75, 0.75)
    best = result.best_threshold()
    assert 0.3 < best < 0.7
    assert result.accuracy(best)[0] == 0.75
