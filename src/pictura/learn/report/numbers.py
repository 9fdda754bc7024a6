"""The numbers of a run as plots and tables: its history in, HTML out."""

import json
from html import escape

import torch

from pictura.core import html, provenance
from pictura.learn.card import CALLED
from pictura.learn.history import History
from pictura.learn.report.curves import Panel, row_of_plots

_LISTED = 40
_BELOW = ("held_out/diversity_share", "entropy")
"""Numbers whose guard objects to small ones."""


_ROWS = {
    "Diversity": (
        Panel(
            title="diversity on held-out prompts, of the start's",
            lines={"held_out/diversity_share": ""},
            watched="held_out/diversity_share",
        ),
        Panel(title="difference of a prompt's pictures", lines={"spread": ""}),
        Panel(title="groups without spread", lines={"zero_std": ""}, watched="zero_std"),
        Panel(title="entropy of a token, in nats", lines={"entropy": ""}, watched="entropy"),
    ),
    "Distance": (
        Panel(title="distance from the reference", lines={"kl": ""}, watched="kl"),
        Panel(title="ratio", lines={"ratio_mean": "mean", "ratio_error_max": "furthest from 1"}),
        Panel(title="clipped", lines={"clip_high": "above", "clip_low": "below"}),
    ),
    "Steps": (
        Panel(title="gradient norm before clipping", lines={"grad_norm": ""}, log=True),
        Panel(title="loss", lines={"loss": ""}),
        Panel(title="learning rate", lines={"rate": ""}),
    ),
    "How pictures look": (
        Panel(
            title="of what is learnt from, to the first",
            lines={"luminance": "lightness", "saturation": "saturation", "high_frequency": "detail"},
            relative=True,
        ),
        Panel(title="size of latents", lines={"x0_norm": ""}),
        Panel(title="strength of advantages", lines={"advantage_abs": ""}),
    ),
    "Time": (
        Panel(
            title="seconds of an update",
            lines={"rollout_s": "painting", "reward_s": "rewards", "learn_s": "learning"},
        ),
        Panel(title="pictures/s", lines={"images_per_s": ""}),
    ),
}


def plots(history: History) -> list[str]:
    """Every curve, in rows with a headline each."""
    held_out = [
        Panel(title=f"held out: {CALLED[name]}", lines={key: ""}, spread={key: f"{key}_se"})
        for name, key in (("strict", "held_out/strict"), ("clip", "held_out/clip"))
    ]
    parts = {n: n.removeprefix("reward/") for n in history.names("reward/") if "/kind/" not in n}
    kinds = {n: n.rpartition("/")[2] for n in history.names("reward/kind/")}
    rows = {
        "Reward and held-out scores": (
            Panel(title="reward, with its spread", lines={"reward": ""}, spread={"reward": "reward_std"}),
            *held_out,
        ),
        "What the reward is made of": (
            Panel(title="rewards by part", lines=parts),
            Panel(title="reward by kind of prompt", lines=kinds),
        ),
        **_ROWS,
    }
    drawn = {title: row_of_plots(history, title, panels) for title, panels in rows.items()}
    return [f"<h3>{title}</h3>{plot}" for title, plot in drawn.items() if plot]


def guards(history: History) -> str:
    """What each guard watched, the worst that it saw, and its objections."""
    rows = []
    for name, said in history.config["guards"].items():
        seen = list(history.series.get(said["key"], {}).values())
        worst = (min if said["key"] in _BELOW else max)(seen) if seen else None
        times = sum(row["guard"] == name for row in history.findings)
        cells = [html.cell(escape(name)), html.cell(f"<code>{escape(said['key'])}</code>")]
        cells += [html.number(said["limit"]), html.number(worst), html.cell(str(times), best=times > 0)]
        rows.append(("", cells))
    head = ["guard", "watches", "limit", "worst that it saw", "objections"]
    listed = "".join(
        f"<li>Update {row['step']}, {escape(row['guard'])}: {escape(row['action'])}, for "
        f"{escape(row['reason'])}</li>"
        for row in history.findings[:_LISTED]
    )
    more = len(history.findings) - _LISTED
    listed += f"<li>and {more} more in guards.jsonl</li>" if more > 0 else ""
    return html.table(head, rows) + (f'<ul class="notes">{listed}</ul>' if listed else "")


def speed(history: History) -> str:
    """Pictures a second, where the time went, and on what machine."""

    def mean(name: str) -> float | None:
        values = history.series.get(name, {}).values()
        return sum(values) / len(values) if values else None

    calls = sum(history.series.get("network_calls", {}).values())
    facts = [
        ("pictures/s", mean("images_per_s")),
        ("seconds of an update: painting", mean("rollout_s")),
        ("rewards", mean("reward_s")),
        ("learning", mean("learn_s")),
        ("network calls for pictures, in all", float(calls)),
        ("memory in GB, most", max(history.series.get("memory_gb", {0: 0.0}).values())),
    ]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    machine = provenance.machine(gpu=gpu)
    words = f"{machine['gpu'] or machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}"
    return html.table(["", ""], [("", [html.cell(name), html.number(value)]) for name, value in facts]) + (
        f"<p class='soft'>This page was written on {escape(words)}.</p>"
    )


def everything(history: History) -> str:
    """A line for each number, and the settings."""
    rows = []
    for name, series in sorted(history.series.items()):
        values = list(series.values())
        cells = [html.number(v, 4) for v in (values[0], values[-1], min(values), max(values))]
        rows.append(("", [html.cell(escape(name)), *cells]))
    recipe = escape(json.dumps(history.config["recipe"], indent=1))
    return (
        "<h2>Every number</h2><details><summary>first, last, least and most of all that was logged</summary>"
        + html.table(["", "first", "last", "least", "most"], rows)
        + "</details><h2>Settings</h2><details><summary>the recipe with all its defaults</summary>"
        f"<pre>{recipe}</pre></details>"
    )
