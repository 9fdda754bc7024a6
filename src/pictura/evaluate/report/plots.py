"""Results in, plots as inline SVG out."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from pictura.core.svg import COLOURS, INK, style_of, svg
from pictura.evaluate.metrics.bootstrap import Interval
from pictura.evaluate.results import Evaluation, Row, Verdicts


def task_bars(found: Evaluation) -> str:
    """Accuracy of every compared set per task by the last judge, with ceilings and floors as lines."""
    compared = [row for row in found.compared if row.judges]
    tasks = ["overall", *compared[0].judges[-1].tasks]
    with mpl.rc_context(style_of("tasks")):
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        axes = figure.subplots()
        width = 0.8 / len(compared)
        for number, row in enumerate(compared):
            intervals = [_of_task(row.judges[-1], task) for task in tasks]
            places = np.arange(len(tasks)) - 0.4 + width * (number + 0.5)
            _bars(axes, places, intervals, width * 0.92, COLOURS[number % len(COLOURS)], row.name)
        for row, style, label in _marks(found):
            for place, task in enumerate(tasks):
                level = _of_task(row.judges[-1], task).value
                axes.plot([place - 0.44, place + 0.44], [level] * 2, style, color=INK, lw=1.2, alpha=0.75)
            axes.plot([], [], style, color=INK, lw=1.2, label=label)
        axes.set_xticks(range(len(tasks)), tasks)
        axes.set_ylim(0, 1.02)
        axes.set_ylabel(f"accuracy by {compared[0].judges[-1].judge}")
        axes.axvline(0.5, color=INK, lw=0.5, alpha=0.4)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        return svg(figure, "Accuracy per task")


def distance_points(found: Evaluation) -> str:
    """FD-local of every set in every net, on logarithmic scales of their own; further left is better."""
    rows = [row for row in found.rows if row.likeness and row.likeness[0].fd is not None]
    nets = [net.net for net in rows[0].likeness]
    with mpl.rc_context(style_of("distances")):
        height = 0.9 + 0.28 * len(rows)
        figure = Figure(figsize=(10, height), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(nets), sharey=True))
        for number, (axes, net) in enumerate(zip(panels, nets, strict=True)):
            values = [max(row.likeness[number].fd or 0.0, 1e-9) for row in rows]
            places = np.arange(len(rows))[::-1]
            axes.hlines(places, min(values) / 2, values, color=INK, lw=0.6, alpha=0.3)
            axes.scatter(values, places, color=[_colour(row, found) for row in rows], s=50, zorder=3)
            for place, value in zip(places, values, strict=True):
                axes.annotate(f"   {value:.3g}", (value, place), va="center", fontsize=8)
            axes.set_yticks(places, [row.name for row in rows])
            axes.set_xscale("log")
            axes.set_xlim(min(values) / 2, max(values) * 6)
            axes.tick_params(axis="x", which="both", labelsize=7)
            axes.set_title(f"FD-local[{rows[0].likeness[number].hash}]\n{net}", fontsize=9)
        return svg(figure, "FD-local of every set")


def manifold_points(found: Evaluation) -> str:
    """Precision against recall in every net: better is up and to the right."""
    rows = [row for row in found.rows if row.likeness and row.likeness[0].precision is not None]
    nets = [net.net for net in rows[0].likeness]
    with mpl.rc_context(style_of("manifold")):
        figure = Figure(figsize=(10, 3.3), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(nets), sharey=True))
        for number, (axes, net) in enumerate(zip(panels, nets, strict=True)):
            for place, row in enumerate(rows):
                like, known = row.likeness[number], row.kind in ("ceiling", "floor")
                marker = ("*" if row.kind == "ceiling" else "x+1234<>"[place % 8]) if known else "o"
                look = {"color": _colour(row, found), "marker": marker, "s": 45, "label": row.name}
                axes.scatter(like.recall, like.precision, **look)
            axes.set(xlim=(-0.03, 1.05), ylim=(-0.03, 1.05), xlabel="recall")
            axes.set_title(net, fontsize=9)
        panels[0].set_ylabel("precision")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
        return svg(figure, "Precision and recall")


def _bars(
    axes: Any, places: Any, intervals: Sequence[Interval], width: float, colour: str, name: str
) -> None:
    values = np.array([interval.value for interval in intervals])
    below = values - [interval.low for interval in intervals]
    above = np.array([interval.high for interval in intervals]) - values
    axes.bar(places, values, width, color=colour, label=name)
    errors = np.maximum([below, above], 0)
    axes.errorbar(places, values, errors, fmt="none", ecolor=INK, elinewidth=1, capsize=2, alpha=0.8)


def _marks(found: Evaluation) -> list[tuple[Row, str, str]]:
    """The rows that are drawn as lines: real pictures, and the first set under wrong captions."""
    judged = [row for row in found.rows if row.judges]
    ceilings = [(row, "-", row.name) for row in judged if row.kind == "ceiling"]
    floors = [(row, ":", row.name) for row in judged if row.kind == "floor" and "shuffled" in row.name]
    return ceilings[:1] + floors[:1]


def _of_task(verdicts: Verdicts, task: str) -> Interval:
    return verdicts.overall if task == "overall" else verdicts.tasks[task]


def _colour(row: Row, found: Evaluation) -> str:
    names = [compared.name for compared in found.compared]
    return COLOURS[names.index(row.name) % len(COLOURS)] if row.name in names else "#8c8c8c"
