"""What a run of learning wrote about itself: its folder in; numbers by name, findings and grids out.

A line that a kill cut short is left out, and of two lines of one update, before and after a kill, the later
one counts.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pictura.core.errors import TrainingError
from pictura.train.checkpoint import find_best, find_latest, read_state

METRICS, FINDINGS, SAMPLES, PROMPTS = "metrics.jsonl", "guards.jsonl", "samples", "prompts.json"
Series = Mapping[int, float]
"""Update to number, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """A run as its folder tells it."""

    folder: Path
    config: Mapping[str, Any]
    """Of its newest checkpoint: recipe, model, guards, held_out, stopped."""
    step: int
    """Updates that were done."""
    seconds: float
    best: int | None
    """The update that held-out tests liked best; None where none was kept."""
    series: Mapping[str, Series]
    """By name, without what was no number."""
    findings: tuple[Mapping[str, Any], ...]
    """What guards objected to: step, guard, action, reason, seen, limit."""
    grids: Mapping[int, Path]
    """Update to its sample grid."""
    prompts: tuple[str, ...]
    """Of the grids; empty where they were not kept."""
    num_seeds: int
    """Pictures of each prompt in a grid."""

    @classmethod
    def read(cls, run: Path) -> Self:
        """Read the folder of a run.

        Raises:
            TrainingError: it holds no checkpoint of `pictura learn`.
        """
        newest = find_latest(run / "checkpoints")
        config = {} if newest is None else json.loads((newest / "config.json").read_text(encoding="utf-8"))
        if newest is None or config.get("task") != "learn":
            raise TrainingError(
                f"{run} holds no checkpoint of `pictura learn`. Name the folder of such a run."
            )
        best, state = find_best(run), read_state(newest)
        findings = {(row["step"], row["guard"]): row for row in _lines(run / FINDINGS)}
        asked = run / SAMPLES / PROMPTS
        shown = json.loads(asked.read_text(encoding="utf-8")) if asked.is_file() else {}
        return cls(
            folder=run,
            config=config,
            step=state["step"],
            seconds=state["seconds"],
            best=None if best is None else read_state(best)["step"],
            series=_series(run / METRICS, state["step"]),
            findings=tuple(row for _, row in sorted(findings.items()) if row["step"] <= state["step"]),
            grids={
                int(path.stem.split("-")[1]): path for path in sorted((run / SAMPLES).glob("update-*.png"))
            },
            prompts=tuple(shown.get("prompts", ())),
            num_seeds=shown.get("seeds", 1),
        )

    def at(self, name: str, step: int) -> float | None:
        """The last of such numbers up to an update; None where there is none."""
        known = [value for when, value in self.series.get(name, {}).items() if when <= step]
        return known[-1] if known else None

    def names(self, prefix: str) -> tuple[str, ...]:
        """Names of numbers that open with `prefix`, in the order in which they were first written."""
        return tuple(name for name in self.series if name.startswith(prefix))


def _series(path: Path, step: int) -> dict[str, Series]:
    found: dict[str, dict[int, float]] = {}
    for row in _lines(path):
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float) and row["step"] <= step:
                found.setdefault(name, {})[row["step"]] = value
    return {name: dict(sorted(values.items())) for name, values in found.items()}


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file that are whole; none where there is no file."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            found.append(row)
    return found
