"""The report of a run of learning: its folder in, one HTML file that needs nothing else out.

It opens with what people ask first (did it get better, and did it cheat?), then shows the same prompts and
seeds before and after, and then every number.
"""

from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from pathlib import Path

import pictura
from pictura.core import html, provenance
from pictura.core.svg import COLOURS
from pictura.learn.card import CALLED, HELD_OUT, rewards_of
from pictura.learn.history import History
from pictura.learn.report.numbers import everything, guards, plots, speed
from pictura.learn.report.pictures import before_and_after, film
from pictura.store.atomic import atomic_file

REPORT = "report.html"


def write_report(run: Path) -> Path:
    """Write `report.html` into the folder of a run.

    Raises:
        TrainingError: it holds no checkpoint of `pictura learn`.
        StorageError: the page cannot be written.
    """
    history = History.read(run)
    recipe = history.config["recipe"]
    title = f"{recipe['name']}: {history.config['model']['name']} learns from rewards"
    chosen = history.best or history.step
    parts = [
        _head(history, title, chosen),
        before_and_after(history, chosen),
        "<h2>Does it learn, and only what it should?</h2>",
        *plots(history),
        film(history),
        "<h2>What the guards saw</h2>",
        guards(history),
        "<h2>How fast it was</h2>",
        speed(history),
        everything(history),
        _foot(history),
    ]
    here = files("pictura.learn.report")
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("style.css", "film.js"))
    with atomic_file(run / REPORT) as temporary:
        page = html.page(title, "\n".join(parts), style=style, script=script)
        temporary.write_text(page, encoding="utf-8")
    return run / REPORT


def _head(history: History, title: str, chosen: int) -> str:
    """What it came to, by the update that is `chosen`."""
    recipe = history.config["recipe"]
    rewards = ", ".join(table["name"] for table in recipe["rewards"])
    said = (
        f"{recipe['algorithm']['name']} on {rewards}: {history.step} updates of "
        f"{recipe['prompts']['per_update']} prompts x {recipe['prompts']['group_size']} pictures in "
        f"{history.seconds / 3600:.2f} hours, by Pictura {pictura.__version__}. {ended(history)}"
    )
    pairs = [("reward", *rewards_of(history, chosen))]
    pairs += [
        (f"held out: {called}", history.at(HELD_OUT + name, 0), history.at(HELD_OUT + name, chosen))
        for name, called in CALLED.items()
    ]
    heroes = "".join(
        f'<div class="hero" style="--hue:{COLOURS[i % len(COLOURS)]}">{escape(name)}'
        f"<b>{now:.3g}</b><small>{start:.3g} at the start</small></div>"
        for i, (name, start, now) in enumerate(pairs)
        if start is not None and now is not None
    )
    return f'<h1>{escape(title)}</h1><p class="soft">{escape(said)}</p><div class="heroes">{heroes}</div>'


def ended(history: History) -> str:
    """Why the run ended and what of it ships, in two sentences."""
    total = history.config["recipe"]["training"]["num_updates"]
    if history.config["stopped"]:
        end = f"A guard stopped it: {history.config['stopped']}."
    elif history.step >= total:
        end = "All updates are done."
    else:
        end = f"It is at update {history.step} of {total}; the same command goes on."
    if history.best is None:
        return end
    if history.best == 0:
        return f"{end} On held-out prompts no update did better than the start."
    return f"{end} Held-out prompts liked update {history.best} best, and `pictura export` takes that."


def _foot(history: History) -> str:
    model, commit = history.config["model"], provenance.commit()
    now = datetime.now(UTC).isoformat(timespec="minutes")
    return (
        f"<p class='soft'>On top of {escape(model['name'])} <code>{model['hash'][:12]}</code>. Written {now}"
        f"{f' at commit {commit}' if commit else ''}. Held-out scores are by networks that the run may have "
        "learnt from in another form. The score of a model is what <code>pictura evaluate</code> says of it, "
        "by a judge that no run can see.</p>"
    )
