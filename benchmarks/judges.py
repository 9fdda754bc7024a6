"""Set the judges' thresholds, choose what GlyphBench asks for, and measure how often the judges are right.

    python -m benchmarks.judges --export      thresholds, model folders, docs/judges.md
    python -m benchmarks.judges --choose      done once: writes the prompts of GlyphBench

Judge A learnt from half A of the training glyphs: its thresholds, and the things that are asked for, are
chosen on half B, and its accuracy is measured on the validation and test glyphs, which neither chose nor
taught anything. For judge B the halves change places.
"""

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pictura.core.types import Claim, Demand
from pictura.data.glyphs import GlyphSet
from pictura.data.scenes.renders import Renders
from pictura.data.vocabulary.holdouts import Holdouts
from pictura.data.vocabulary.world import World
from pictura.encode.judges.judge import Calibration, DetectorJudge, InquirerJudge, Judge
from pictura.evaluate import glyphbench
from pictura.evaluate.judges import FOLDERS, read_judge
from pictura.evaluate.judging import Examination, Questions, examine, set_questions
from pictura.train.export.judge import export_judge
from pictura.train.export.part import Provenance

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "judges.md"
PROMPTS = ROOT / "src" / "pictura" / "evaluate" / "glyphbench-1.json"
UNSEEN = {"a": "B", "b": "A"}
FLOORS = [(thing, colour) for thing in (0.02, 0.005, 0.001, 0.0003) for colour in (0.3, 1.0)]
DATA = json.loads((ROOT / "src/pictura/models/flow/model.json").read_text())
Claims = dict[str, list[Claim]]
NAMES = {"single": "single object", "two": "two objects", "count": "counting", "colour": "colours"}


def all_claims(holdouts: Holdouts) -> Claims:
    """What every hold-out claims."""

    def demands(*pairs: tuple[str, str | None]) -> tuple[Demand, ...]:
        return tuple(Demand(thing=thing, colour=colour) for thing, colour in pairs)

    return {
        "single": [Claim(objects=demands((t, None))) for t, _ in sorted(holdouts.single)],
        "two": [Claim(objects=demands((a, None), (b, None))) for a, b in sorted(holdouts.two)],
        "count": [Claim(objects=(Demand(thing=t, count=n),)) for t, n in sorted(holdouts.count)],
        "colour": [Claim(objects=demands((t, c))) for t, c in sorted(holdouts.colour)],
        "position": [
            Claim(objects=demands((a, None), (b, None)), relation=r) for a, r, b in sorted(holdouts.position)
        ],
        "binding": [Claim(objects=demands((a, c), (b, d))) for c, a, d, b in sorted(holdouts.binding)],
    }


def about(claims: Mapping[str, Sequence[Claim]], things: Mapping[str, Sequence[str]]) -> Claims:
    """Those about each task's things alone."""
    return {
        task: [claim for claim in given if all(d.thing in things[task] for d in claim.objects)]
        for task, given in claims.items()
    }


def mistakes(results: Mapping[str, Examination]) -> tuple[Counter[str], Counter[str]]:
    """For each thing: wrong verdicts about claims with it, and all of them."""
    wrong: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for result in results.values():
        threshold = result.best_threshold()
        for claim, true, false in zip(result.claims, result.true, result.false, strict=True):
            for demand in claim.objects:
                wrong[demand.thing] += int(true < threshold) + int(false >= threshold)
                asked[demand.thing] += 2
    return wrong, asked


def rank(judges: Mapping[str, Judge], unseen: Mapping[str, Renders]) -> list[str]:
    """The well-known things, first those about which both judges are wrong least often, on new glyphs."""
    things = [thing.phrase for thing in World.load().benchmark]
    rates = dict.fromkeys(things, 0.0)
    for letter, judge in judges.items():
        claims = all_claims(Holdouts.load())
        questions = set_questions(unseen[letter], claims, seed=1, repeats=2, things=things)
        wrong, asked = mistakes(examine(judge, questions))
        for thing in things:  # one mistake in two is assumed of what was hardly asked for
            rates[thing] += (wrong[thing] + 1) / (asked[thing] + 2) / len(judges)
    ranking = sorted(things, key=lambda thing: rates[thing])
    print(", ".join(f"{thing} {rates[thing]:.2f}" for thing in ranking))
    return ranking


def write_prompts(ranking: Sequence[str]) -> None:
    """Write the data file, which does not change once models were measured with it."""
    prompts = glyphbench.make(Holdouts.load(), World.load(), ranking)
    content = glyphbench.to_json(prompts, ranking)
    rows = ",\n  ".join(json.dumps(row) for row in content["prompts"])
    head = f'{{\n "version": 1,\n "ranking": {json.dumps(content["ranking"])},\n "prompts": [\n  '
    PROMPTS.write_text(f"{head}{rows}\n ]\n}}\n")


def learnt_from(glyphs: GlyphSet, holdouts: Holdouts, half: str) -> str:
    """The line about its pictures in a judge's card."""
    owners = [
        owner
        for glyph_id, owner in zip(glyphs.ids, World.load().owners(glyphs), strict=True)
        if holdouts.split(glyph_id) == "train" and holdouts.half(glyph_id) == half
    ]
    known = sum(owner is not None for owner in owners)
    licences = DATA["data"][0].partition("; ")[2]
    return (
        f"../shared/data/glyphs: half {half} of the training split, {known} glyphs of the 343 things of "
        f"world-1.json and {len(owners) - known} others by the words of their names, in scenes; {licences}"
    )


class Remembering(torch.nn.Module):
    """A network that reads every batch once: what it said of it is kept."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        self._said: dict[bytes, Any] = {}

    def forward(self, images: torch.Tensor) -> Any:
        """What the network says, now or when it first saw them."""
        key = hashlib.sha256(images.numpy().tobytes()).digest()
        if key not in self._said:
            self._said[key] = self.network(images)
        return self._said[key]


def tune(
    judge: DetectorJudge | InquirerJudge, questions: Mapping[str, Questions]
) -> tuple[Calibration, dict[str, Examination]]:
    """Floors and thresholds with the highest mean accuracy over the tasks, on glyphs new to the judge."""
    best, found = -1.0, None
    network = judge.network
    judge.network = Remembering(network)
    for thing_floor, colour_floor in FLOORS:
        judge.calibration = Calibration(thing_floor=thing_floor, colour_floor=colour_floor)
        results = examine(judge, questions)
        thresholds = {task: float(f"{result.best_threshold():.4g}") for task, result in results.items()}
        mean = np.mean([row[0] for row in accuracies(results, thresholds).values()])
        if mean > best:
            best, found = float(mean), (replace(judge.calibration, thresholds=thresholds), results)
    judge.network = network
    assert found is not None
    print("floors", found[0].thing_floor, found[0].colour_floor, flush=True)
    return found


def accuracies(results: Mapping[str, Examination], thresholds: Mapping[str, float]) -> dict[str, list[float]]:
    """Task to accuracy, share of true claims accepted, of false ones rejected, and the number of each."""
    return {
        task: [*(round(value, 4) for value in result.accuracy(thresholds[task])), len(result.true)]
        for task, result in results.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=Path, nargs=2, default=[Path("runs/judge-a"), Path("runs/judge-b")])
    parser.add_argument("--glyphs", type=Path, default=ROOT.parent / "shared/data/glyphs")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs/cache")
    parser.add_argument("--weights", default="ema_long")
    parser.add_argument("--choose", action="store_true", help="write the prompts of GlyphBench")
    parser.add_argument("--export", action="store_true", help="write the judges' folders and docs/judges.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    runs = dict(zip("ab", options.runs, strict=True))
    world, holdouts = World.load(), Holdouts.load()
    glyphs = GlyphSet.load(options.glyphs, size=128, cache=options.cache)
    unseen = {
        letter: Renders(glyphs, world=world, holdouts=holdouts, splits=("train",), half=half)
        for letter, half in UNSEEN.items()
    }
    nobody = Renders(glyphs, world=world, holdouts=holdouts, splits=("validation", "test"))
    judges: dict[str, DetectorJudge | InquirerJudge] = {}
    for letter, run in runs.items():
        folder = run / "exported"
        export_judge(run, folder, name=f"judge-{letter}", weights=options.weights)
        judges[letter] = read_judge(folder)
    if options.choose:
        write_prompts(rank(judges, unseen))
    asked = glyphbench.things_of_tasks(glyphbench.load_glyphbench())
    things = sorted(set().union(*asked.values()))
    claims = about(all_claims(holdouts), asked)
    last = set_questions(nobody, claims, seed=3, repeats=4, things=things)
    tables, tuned_tables = {}, {}
    for letter, judge in judges.items():
        calibration, tuned = tune(
            judge, set_questions(unseen[letter], claims, seed=2, repeats=2, things=things)
        )
        judge.calibration = calibration
        tuned_tables[letter] = accuracies(tuned, calibration.thresholds)
        results = examine(judge, last)
        tables[letter] = accuracies(results, calibration.thresholds)
        for name, table in (("unseen half", tuned_tables[letter]), ("nobody's", tables[letter])):
            print(letter, name, f"{np.mean([row[0] for row in table.values()]):.4f}", table, flush=True)
        if options.export:
            export_judge(
                runs[letter],
                FOLDERS[letter],
                name=f"judge-{letter}",
                weights=options.weights,
                calibration=asdict(calibration),
                provenance=Provenance(
                    licence=DATA["licence"],
                    data=(learnt_from(glyphs, holdouts, letter.upper()),),
                    metrics={
                        "accuracy": {task: row[0] for task, row in tables[letter].items()},
                        "accuracy_other_half": {task: row[0] for task, row in tuned_tables[letter].items()},
                    },
                ),
            )
    if options.export:
        write_page(tables, tuned_tables, asked)


def write_page(
    tables: Mapping[str, Mapping[str, Sequence[float]]],
    tuned: Mapping[str, Mapping[str, Sequence[float]]],
    asked: Mapping[str, Sequence[str]],
) -> None:
    """Put the accuracies between the marks of docs/judges.md."""
    lines = [
        "| task | things | A | accepted | rejected | A, new half | B | accepted | rejected | B, new half |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for task in glyphbench.TASKS:
        cells = [f"{len(asked[task])}"]
        for letter in "ab":
            cells += [f"{100 * v:.1f} %" for v in (*tables[letter][task][:3], tuned[letter][task][0])]
        lines.append(f"| {NAMES.get(task, task)} | {' | '.join(cells)} |")
    means = [np.mean([row[0] for row in t[x].values()]) for x in "ab" for t in (tables, tuned)]
    a, a_tuned, b, b_tuned = (f"{100 * mean:.1f} %" for mean in means)
    lines.append(f"| mean | | {a} | | | {a_tuned} | {b} | | | {b_tuned} |")
    before, _, rest = PAGE.read_text().partition("<!-- accuracy -->\n")
    _, _, after = rest.partition("<!-- /accuracy -->")
    PAGE.write_text(f"{before}<!-- accuracy -->\n" + "\n".join(lines) + f"\n<!-- /accuracy -->{after}")


if __name__ == "__main__":
    main()
