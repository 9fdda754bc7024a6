"""What more scenes brought the default: the table in docs/families/flow.md as a picture beside it.

    python -m benchmarks.flow_curve

The table is kept by hand from what `pictura evaluate` found of each default that shipped (docs/log.md).
"""

import re
from pathlib import Path

from matplotlib.figure import Figure

PAGE = Path(__file__).resolve().parents[1] / "docs" / "families" / "flow.md"
HEAD = "## What more scenes brought"
_SCORE = re.compile(r"(\d?\.\d+) \[(\d?\.\d+), (\d?\.\d+)\]")


def rows_of(text: str) -> list[list[str]]:
    """Cells of the first table below `HEAD`; its last row is that of real renders."""
    lines = [line for line in text.partition(HEAD)[2].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def score_of(row: list[str]) -> tuple[float, float, float]:
    """Judge B's score and its interval."""
    found = _SCORE.search(row[2])
    assert found, f"no score like '.604 [.584, .624]' in {row}"
    score, low, high = map(float, found.groups())
    return score, low, high


def main() -> None:
    *rows, real = rows_of(PAGE.read_text(encoding="utf-8"))
    scenes = [int(row[0].replace(",", "")) / 1000 for row in rows]
    scores, ceiling = [score_of(row) for row in rows], score_of(real)[0]
    figure = Figure(figsize=(6.5, 3.2), layout="constrained")
    axis = figure.subplots()
    middle, low, high = zip(*scores, strict=True)
    errors = [
        [m - b for m, b in zip(middle, low, strict=True)],
        [t - m for m, t in zip(middle, high, strict=True)],
    ]
    axis.errorbar(scenes, middle, yerr=errors, marker="o", capsize=3)
    axis.axhline(ceiling, linestyle="--", color="grey")
    axis.text(scenes[0], ceiling + 0.01, "real renders", color="grey")
    axis.set_xscale("log")
    axis.set_xticks(scenes, [f"{one:,.0f}" for one in scenes])
    axis.minorticks_off()
    axis.set_ylim(0.2, 0.95)
    axis.set_xlabel("scenes seen, thousands")
    axis.set_ylabel("GlyphBench, judge B")
    axis.grid(alpha=0.3)
    figure.savefig(PAGE.with_name("flow-curve.png"), dpi=90)


if __name__ == "__main__":
    main()
