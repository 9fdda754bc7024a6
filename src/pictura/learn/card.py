"""What a model says about its learning: facts for model.json, and sections of the card made of them."""

from collections.abc import Mapping
from typing import Any

from pictura.learn.history import History
from pictura.store.models import AS_LEARNT, MAX_STRENGTH, STUDENT, ModelInfo
from pictura.store.student import Student
from pictura.train.checkpoint import Checkpoint
from pictura.train.export.part import Provenance

HELD_OUT = "held_out/"
CALLED = {
    "strict": "right, by judge A",
    "clip": "likeness, by clip-guide",
    "diversity_share": "diversity that is left",
}
"""Held-out numbers that people are shown first, and what they are called."""
_AVERAGED = 10
"""Updates over which a reward is averaged, since each asks for other things."""


def facts(
    history: History, saved: Checkpoint, base: ModelInfo, *, weights: str, lost: float
) -> dict[str, Any]:
    """What model.json says under ``learnt``.

    Args:
        history: of the run.
        saved: the checkpoint that becomes the model.
        base: that the run learnt on.
        weights: which values of the checkpoint.
        lost: share of the change that the delta lacks, see `delta_of`.
    """
    recipe = history.config["recipe"]
    tested = [name for name in history.names(HELD_OUT) if not name.endswith(("_se", "/drop", "/total"))]
    return {
        "base": {"name": base.name, "hash": base.hash},
        "run": recipe["name"],
        "algorithm": recipe["algorithm"]["name"],
        "rewards": [table["name"] for table in recipe["rewards"]],
        "update": saved.step,
        "num_updates": history.step,
        "hours": round(saved.seconds / 3600, 2),
        "pictures": saved.step * recipe["prompts"]["per_update"] * recipe["prompts"]["group_size"],
        "weights": weights,
        "rank": recipe["model"]["rank"] if recipe["model"]["weights"] == "low_rank" else "full",
        "lost": round(lost, 5),
        "reward": _pair(*rewards_of(history, saved.step)),
        "held_out": {
            name.removeprefix(HELD_OUT): _pair(history.at(name, 0), history.at(name, saved.step))
            for name in tested
        },
        "guards": [
            f"update {row['step']}, {row['guard']}: {row['action']}, for {row['reason']}"
            for row in history.findings
        ],
        "stopped": history.config["stopped"],
    }


def rewards_of(history: History, step: int) -> tuple[float | None, float | None]:
    """Mean rewards of the first updates and of the last up to one: ten each, a third where they are few."""
    known = [value for when, value in history.series.get("reward", {}).items() if when <= step]
    few = max(1, min(_AVERAGED, len(known) // 3))
    return (sum(known[:few]) / few, sum(known[-few:]) / few) if known else (None, None)


def learnt_section(said: Mapping[str, Any], model: ModelInfo) -> str:
    """What was learnt, in numbers, and how to have more or less of it."""
    lost = (
        f" The change that was learnt is of every rank; the file keeps its main directions and lacks "
        f"{said['lost']:.1%} of it."
        if said["lost"] > 0.01
        else ""
    )
    guards = "\n".join(f"- {line}" for line in said["guards"]) or "No guard objected to anything."
    files, base = ", ".join(f"`{name}`" for name in model.deltas), said["base"]
    about = (
        f"What was learnt lies in {files} ({model.delta_mb} MB) beside the weights of `{base['name']}` "
        f"(`{base['hash'][:12]}`). A strength scales it when the model is loaded: with `--strength 0` it "
        f"paints what the base paints with the same settings, with {AS_LEARNT:g} as it learnt, up to "
        f"{MAX_STRENGTH:g} more so.{lost}"
    )
    return "\n\n".join([about, _table(said), guards])


def _table(said: Mapping[str, Any]) -> str:
    """The reward and the tests, at the start and now."""
    tested = said["held_out"]
    rows = {"reward": said["reward"]}
    rows |= {f"held out: {called}": tested[name] for name, called in CALLED.items() if name in tested}
    table = ["| | at the start | now |", "| --- | --- | --- |"]
    table += [f"| {name} | {_number(start)} | {_number(now)} |" for name, (start, now) in rows.items()]
    return "\n".join(table)


def student_section(said: Mapping[str, Any], model: ModelInfo, student: Student) -> str:
    """How a model's student paints, how it was made, and how it does at its start and now."""
    own, usual = student.sampling, model.sampling
    calls = usual.num_steps * (1 if usual.guidance_scale == 1 else 2)
    about = (
        f"`--draft` paints with a student: {own.num_steps} steps of {own.solver}, guidance "
        f"{own.guidance_scale:g}, {own.num_steps} network calls where the model itself takes up to {calls}. "
        f"It lies in `{STUDENT}` ({student.size_mb} MB, `{student.hash}`), a change of rank {said['rank']}, "
        "and paints from noise and one plain prompt; other drafts the model paints itself, in half its steps."
    )
    made = (
        f"`{said['algorithm']}`: {said['update']} of {said['num_updates']} updates, {said['pictures']} "
        f"pictures, {said['hours']:g} hours."
    )
    return "\n\n".join([about, made, _table(said)])


def training_section(said: Mapping[str, Any], given: Provenance | None) -> str:
    """How it was made."""
    end = f" A guard stopped the run: {said['stopped']}." if said["stopped"] else ""
    return (
        f"`{said['algorithm']}` on the rewards {', '.join(said['rewards'])}: {said['update']} of "
        f"{said['num_updates']} updates, {said['pictures']} pictures, {said['hours']:g} hours, on top of "
        f"`{said['base']['name']}`, whose card says how that was trained.{end} "
        f"{given.training if given else ''}"
    ).strip()


def _pair(start: float | None, now: float | None) -> list[float | None]:
    return [None if value is None else float(f"{value:.5g}") for value in (start, now)]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
