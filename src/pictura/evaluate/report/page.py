"""The report: an evaluation and its pictures in, one HTML file that needs nothing else out.

It shows pictures of the compared sets only. Reference pictures are never put into it: whoever may paint from
a pack need not have the right to pass its pictures on.
"""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from pictura.core.svg import COLOURS
from pictura.evaluate.report import html
from pictura.evaluate.report.exhibits import disagreements, exhibit, first_of_tasks
from pictura.evaluate.report.plots import distance_points, manifold_points, task_bars
from pictura.evaluate.report.tables import agreements, memorisations, rankings, scores, speeds, tasks
from pictura.evaluate.results import Evaluation, words
from pictura.evaluate.runner import Scored
from pictura.evaluate.scorers import JudgeScorer
from pictura.store.atomic import atomic_file

REPORT = "report.html"
_PROMPTS = 5
"""Prompts of each task whose pictures are shown."""
_DISAGREEMENTS = 16
_NEAREST = 8


def write_report(
    found: Evaluation, scored: Sequence[Scored], judges: Sequence[JudgeScorer], folder: Path
) -> Path:
    """Write `report.html`.

    Args:
        found: the numbers.
        scored: the compared sets, in the order of their rows.
        judges: which say what they saw.
        folder: to write into.

    Raises:
        DataError: a picture cannot be read.
        StorageError: the page cannot be written.
    """
    path = folder / REPORT
    title = f"{found.benchmark['name']}: {', '.join(row.name for row in found.compared)}"
    body = "\n".join([_head(found, title), *_numbers(found), *_shown(found, scored, judges), _foot(found)])
    with atomic_file(path) as temporary:
        temporary.write_text(html.page(title, body), encoding="utf-8")
    return path


def _head(found: Evaluation, title: str) -> str:
    asked = found.benchmark
    per = f"{found.images} pictures each" + (f", {found.seeds} seeds" if found.seeds > 1 else "")
    limited = "" if asked["num_prompts"] == asked["total"] else f" of {asked['total']}"
    heroes = []
    for number, row in enumerate(found.compared):
        if (headline := row.headline) is None:
            continue
        by = f"overall, by {row.judges[-1].judge}" if row.judges else "LocalCLIPScore"
        heroes.append(
            f'<div class="hero" style="--hue:{COLOURS[number % len(COLOURS)]}">{escape(row.name)}'
            f"<b>{headline.value:.3f}</b><small>[{headline.low:.3f}, {headline.high:.3f}] {by}</small></div>"
        )
    return (
        f"<h1>{escape(title)}</h1>"
        f'<p class="soft">{asked["num_prompts"]}{limited} prompts, {per}, scored {found.date[:10]} by '
        f"Pictura {found.version}{f' at commit {found.commit}' if found.commit else ''}. Intervals hold "
        f'95 % of bootstrap draws of whole prompts.</p><div class="heroes">{"".join(heroes)}</div>'
    )


def _numbers(found: Evaluation) -> list[str]:
    """Plots and tables."""
    parts = []
    if any(row.judges for row in found.compared):
        parts += ["<h2>What was asked, task by task</h2>", task_bars(found), tasks(found)]
    parts += ["<h2>Every number, with its floor and its ceiling</h2>", scores(found)]
    parts.append(f"<p class='soft'>{escape(found.reference['about'])}</p>" if found.reference else "")
    if any(row.likeness and row.likeness[0].fd is not None for row in found.rows):
        parts += ["<h2>How like real pictures, in each feature net</h2>", distance_points(found)]
        parts += [rankings(found), manifold_points(found)]
        parts += ["<h2>Painted or remembered?</h2>", memorisations(found)]
    if any(row.agreement for row in found.rows):
        parts += ["<h2>Do the judges agree?</h2>", agreements(found)]
    return parts


def _shown(found: Evaluation, scored: Sequence[Scored], judges: Sequence[JudgeScorer]) -> list[str]:
    """Pictures: the first of every task, those in dispute, those nearest to the reference."""
    parts = [
        f"<h2>Pictures</h2><p>The first {_PROMPTS} prompts of each task, nothing picked. {html.LEGEND}</p>"
    ]
    grids = [first_of_tasks(one, prompts=_PROMPTS) for one in scored]
    for task in grids[0] if grids else ():
        parts.append(f"<h3>{escape(task)}</h3>")
        for one, grid in zip(scored, grids, strict=True):
            parts.append(f"<small>{escape(one.source.name)}</small>" if len(scored) > 1 else "")
            parts.append(_by_prompt(one, grid[task], judges))
    for one, row in zip(scored, found.compared, strict=True):
        name = escape(one.source.name)
        if disputed := disagreements(one, judges, most=_DISAGREEMENTS):
            parts.append(f"<h2>{name}: where the judges differ most</h2>")
            parts.append(_strip(html.picture(e, escape(e.prompt.text)) for e in disputed))
        near = next((net for net in reversed(row.likeness) if net.nearest), None)
        if near is not None:
            distances = dict(near.nearest[:_NEAREST])
            parts.append(
                f"<h2>{name}: nearest to the reference</h2><p class='soft'>In the features of {near.net}; "
                "the reference's own pictures are not shown. The number is the distance.</p>"
            )
            shown = exhibit(one, distances, judges)
            captions = [f"{distances[e.number]:.3g} · {escape(e.prompt.text)}" for e in shown]
            parts.append(_strip(map(html.picture, shown, captions)))
    return parts


def _by_prompt(one: Scored, numbers: Sequence[int], judges: Sequence[JudgeScorer]) -> str:
    """Pictures of a few prompts, those of one prompt side by side under its words."""
    blocks: dict[str, list[str]] = {}
    for shown in exhibit(one, numbers, judges):
        blocks.setdefault(shown.prompt.text, []).append(html.picture(shown))
    inner = (
        f"<div><figcaption>{escape(text)}</figcaption>{''.join(row)}</div>" for text, row in blocks.items()
    )
    return f'<div class="pictures four">{"".join(inner)}</div>'


def _strip(figures: Iterable[str]) -> str:
    return f'<div class="pictures">{"".join(figures)}</div>'


def _foot(found: Evaluation) -> str:
    notes = [*found.left_out]
    for row in found.compared:
        notes += [f"{row.name}, {net.net}: {net.caution}" for net in row.likeness if net.caution]
    listed = "".join(f"<li>{escape(note)}</li>" for note in dict.fromkeys(notes))
    left = f'<h2>What to keep in mind</h2><ul class="notes">{listed}</ul>' if listed else ""
    hashes: dict[str, str] = {}
    for row in found.compared:
        hashes |= {judge.judge: judge.hash for judge in row.judges}
        hashes |= {row.clip.net: row.clip.hash} if row.clip else {}
        hashes |= {net.net: net.hash for net in row.likeness}
    nets = ", ".join(f"{escape(name)} <code>{digest[:12]}</code>" for name, digest in hashes.items())
    lines = [f"{escape(row.name)}: {words(row.headline)}" for row in found.compared if row.headline]
    return (
        f"{left}<h2>How it was made</h2>{speeds(found)}<p class='soft'>Scored by {nets or 'nothing'}. "
        f"Benchmark <code>{found.benchmark['hash']}</code>. {escape(str(found.machine.get('cpu', '')))}, "
        f"{found.machine.get('cores')} cores. {' · '.join(lines)}. Scores by local nets are named so: they "
        "can be compared with scores of the same hash only, and with no FID or CLIPScore of a paper.</p>"
    )
