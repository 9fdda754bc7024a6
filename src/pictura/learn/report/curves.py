"""Curves of a run of learning as inline SVG: its history in, one row of plots for each question out.

Thin lines are single updates, thick ones running means; a dotted line is a guard's limit, a dashed one the
update that held-out tests liked best, a triangle an objection of a guard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pictura.core.svg import COLOURS, INK, style_of, svg
from pictura.learn.history import History, Series

_POINTS = 300
"""Of a line, at most; of more, neighbours are averaged."""
_SMOOTHED = 30
"""A running mean takes this part of the run."""
_MOST_LINES = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One plot."""

    title: str
    lines: Mapping[str, str]
    """Name of a series to what the legend calls it; those that were never written are left out."""
    spread: Mapping[str, str] | None = None
    """Name of a series to that of its spread, drawn as a band."""
    watched: str = ""
    """What a guard's limit is drawn of: the number that it watches."""
    log: bool = False
    relative: bool = False
    """Draw each line as a share of its first value."""


def row_of_plots(history: History, title: str, panels: Sequence[Panel]) -> str:
    """Draw some panels side by side; those without a line are left out, and nothing is "" in all."""
    some = [panel for panel in panels if _drawn(panel, history)]
    if not some:
        return ""
    with mpl.rc_context(style_of(title)):
        figure = Figure(figsize=(10, 2.9), layout="constrained")
        for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(some))), some, strict=True):
            _draw(axes, panel, history)
        return svg(figure, title)


def _drawn(panel: Panel, history: History) -> dict[str, str]:
    return {name: label for name, label in panel.lines.items() if history.series.get(name)}


def _draw(axes: Any, panel: Panel, history: History) -> None:
    lines = list(_drawn(panel, history).items())[:_MOST_LINES]
    for number, (name, label) in enumerate(lines):
        colour, series = COLOURS[number % len(COLOURS)], history.series[name]
        steps, values = thinned(series)
        if panel.relative:
            values = values / (values[0] or 1.0)
        means = running_mean(values)
        if (around := (panel.spread or {}).get(name)) and history.series.get(around):
            width = np.interp(steps, *thinned(history.series[around]))
            axes.fill_between(steps, means - width, means + width, color=colour, alpha=0.15, lw=0)
        if len(values) > _SMOOTHED:
            axes.plot(steps, values, color=colour, lw=0.6, alpha=0.35)
        dots = "o" if len(values) < 15 else None
        axes.plot(steps, means, color=colour, lw=1.8, marker=dots, ms=3, label=label.replace("$", r"\$"))
    for said in history.config["guards"].values():
        if said["key"] == panel.watched and said["limit"]:
            axes.axhline(said["limit"], color=INK, lw=1, ls=":", alpha=0.7)
    if history.best:
        axes.axvline(history.best, color=INK, lw=0.8, ls="--", alpha=0.4)
    if all(len(set(history.series[name].values())) == 1 for name, _ in lines):
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))  # what never changes has no scale of its own
    if panel.log:
        axes.set_yscale("log")
    objections = sorted({row["step"] for row in history.findings})
    foot = axes.get_xaxis_transform()
    axes.plot(objections, [0.02] * len(objections), "^", color=COLOURS[4], ms=5, transform=foot)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel("update", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.tick_params(labelsize=8)
    if len(lines) > 1:
        axes.legend(fontsize=7)


def thinned(series: Series) -> tuple[Any, Any]:
    """Updates and numbers of a series as arrays of at most `_POINTS`."""
    steps, values = np.array(list(series)), np.array(list(series.values()), dtype=float)
    parts = np.array_split(np.arange(len(steps)), min(_POINTS, len(steps)))
    return np.array([steps[part].mean() for part in parts]), np.array([values[part].mean() for part in parts])


def running_mean(values: Any) -> Any:
    """Each value with its neighbours to both sides, fewer towards the ends."""
    half = len(values) // _SMOOTHED // 2
    return np.array([values[max(0, i - half) : i + half + 1].mean() for i in range(len(values))])
