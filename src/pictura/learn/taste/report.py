"""What an attempt came to, for people: `report.md`, and what the model card and the shelf say of it.

Cards travel with models, so they hold counts and numbers alone; names of raters stand in the report, which
stays where the ratings are.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pictura.learn.taste import heads, raters
from pictura.learn.taste.study import HEAD, PREFERENCE, Outcome
from pictura.store.atomic import atomic_file
from pictura.store.models import MANIFEST, ModelInfo, read_model
from pictura.store.promoted import Version
from pictura.train.export.part import write_manifest

REPORT = "report.md"
_RULES = (
    f"Rules: more than half of {raters.MIN_TIMED} timed answers or more within {raters.FAST_MS} ms; "
    f"{raters.ONE_SIDE:.0%} or more of {raters.MIN_SIDED} answers or more for one side "
    f"(p < {raters.CHANCE:g}); turned repeats that agree less often than those of one who agrees with "
    f"himself on {raters.AGREES:.0%} (p < {raters.UNLIKELY:g}); with three raters or more, a head of the "
    f"others tells the choices worse than chance; of {raters.MIN_OWN} answers or more no head, the others' "
    f"or his own, tells them better than chance. Heads need {heads.MIN_PAIRS} choices; what must hold: "
    "docs/learning-from-ratings.md."
)


def write_report(folder: Path, outcome: Outcome) -> Path:
    """Write `report.md` into the folder of an attempt.

    Raises:
        StorageError: it cannot be written.
    """
    path = folder / REPORT
    with atomic_file(path) as temporary:
        temporary.write_text("\n".join(_lines(outcome)) + "\n", encoding="utf-8")
    return path


def _lines(found: Outcome) -> list[str]:
    verdict = "May be promoted: all that must hold holds." if found.passed else "Not promoted."
    lines = [f"# {found.name}", "", f"On `{found.base['name']}` ({found.base['hash'][:10]}). {verdict}", ""]
    if found.pairs:
        said = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in found.pairs.items())
        lines += [f"Choices: {said}.", ""]
    if found.heads:
        lines += [
            f"Heads: one fitted on {found.heads['num_learnt']} choices, learnt from; one on the "
            f"{found.heads['num_held_out']} held-out ones, which judges.",
            "",
        ]
    for tried in found.numbers.get("tempered", ()):
        verdict = "kept" if tried["sound"] else "too much"
        lines.append(
            f"- {tried['share']:.0%} of the change: scores of held-out prompts fall by {tried['fall']:.2f} "
            f"standard deviations at most, pictures differ {tried['diversity']:.2f} times as much: {verdict}"
        )
    lines += ["", "| condition | | numbers |", "| --- | --- | --- |"]
    lines += [
        f"| {one.name} | {'holds' if one.passed else '**fails**'} | {one.said} |" for one in found.checks
    ]
    if found.stopped:
        lines += ["", f"Stopped: {found.stopped}"]
    lines += ["", "| rater | choices | | |", "| --- | ---: | --- | --- |"]
    for rater in found.raters:
        numbers = ", ".join(f"{name} {value:.2f}" for name, value in rater.numbers.items())
        told = "counts" if rater.kept else f"left out: {'; '.join(rater.reasons)}"
        lines.append(f"| {rater.name} | {rater.num} | {told} | {numbers} |")
    return [*lines, "", _RULES]


def numbers_of(found: Outcome) -> dict[str, Any]:
    """What may be told to everybody: counts and the numbers of the gate."""
    told: dict[str, Any] = {
        "pairs": found.pairs.get("kept", 0),
        "explicit": found.pairs.get("kept_explicit", 0),
        "left_out": found.pairs.get("all", 0) - found.pairs.get("kept", 0),
        "prompts": found.pairs.get("prompts", 0),
        "raters": sum(rater.kept for rater in found.raters),
        "raters_left_out": sum(not rater.kept for rater in found.raters),
    }
    for name in ("accuracy", "wins"):
        if name in found.numbers:
            told[name] = _triple(found.numbers[name])
    if "glyphbench" in found.numbers:
        bench = found.numbers["glyphbench"]
        told["glyphbench"] = {**bench, "difference": _triple(bench["difference"])}
    if tried := found.numbers.get("tempered"):
        told["share"] = tried[-1]["share"]
    if "diversity" in found.numbers:
        told["diversity"] = round(found.numbers["diversity"], 4)
    return told


def tell(candidate: ModelInfo, found: Outcome) -> ModelInfo:
    """Let the candidate's card and model.json say what it was learnt from; what it paints stays the same.

    Raises:
        StorageError: the folder cannot be written.
    """
    path = candidate.path / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest.pop("files", None)
    manifest["learnt"] = {**manifest.get("learnt", {}), "ratings": numbers_of(found)}
    heads = [row for row in manifest["recipe"]["rewards"] if row["name"] == PREFERENCE]
    readme = candidate.path / "README.md"
    text = readme.read_text(encoding="utf-8")
    for row in heads:  # where it lies on this machine is nobody's business
        text = text.replace(json.dumps(row["model"]), json.dumps(HEAD))
        row["model"] = HEAD
    if _HEAD not in text:
        readme.write_text(f"{text.rstrip()}\n\n{card_section(found)}\n", encoding="utf-8")
    write_manifest(candidate.path, manifest)
    return read_model(candidate.path)


_HEAD = "## Learnt from ratings"


def card_section(found: Outcome) -> str:
    """What the card says."""
    told = numbers_of(found)
    left_out = ""
    if told["left_out"]:
        away = told["raters_left_out"]
        left_out = f" {told['left_out']} choices of {away} {_raters(away)} were left out by rule."
    kept = f" Of the change that was learnt {told['share']:.0%} was kept." if "share" in told else ""
    checks = "\n".join(f"- {check.name}: {check.said}." for check in found.checks)
    return (
        f"{_HEAD}\n\n{told['pairs']} choices of {told['raters']} {_raters(told['raters'])} who allowed it, "
        f"{told['explicit']} of them between two pictures side by side, about {told['prompts']} prompts; "
        f"{found.heads['num_held_out']} were kept to judge.{left_out}{kept} No picture or name of anybody is "
        f"in this folder. `--stylize` or `--strength` scales what was learnt. What had to hold:\n\n{checks}"
    )


def version_of(candidate: ModelInfo, found: Outcome) -> Version:
    """What the shelf remembers."""
    return Version(
        name=found.name,
        hash=candidate.hash,
        base=found.base["name"],
        promoted_at=time.time(),
        numbers=numbers_of(found),
    )


def _raters(count: int) -> str:
    return "rater" if count == 1 else "raters"


def _triple(interval: Mapping[str, float]) -> list[float]:
    return [round(interval[key], 4) for key in ("value", "low", "high")]
