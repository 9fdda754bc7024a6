"""The training ladder: what ships, in order, and what of it is stale.

    python recipes/ladder.py                            # a table: what ships, from what, how it scores
    python recipes/ladder.py --run --max-minutes 120    # train what is stale, in order; run it again to go on
    python recipes/ladder.py --run --only flow --ship   # one step; its model ships if its score rises

A model is stale where its recipe is another than the one that it says it was trained by, or where it listens
to a model that has changed. What only others read (an autoencoder, a matcher) is trained where one of these
is stale. Runs stay in `runs/` and go on where they stopped. A painter that is trained is scored on
GlyphBench by judge B and ships only if it gains more than the half-widths of both intervals together.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ROOT / "recipes"
SOURCE = ROOT / "src" / "pictura"
GLYPHS = ROOT.parent / "shared" / "data" / "glyphs"
_FREE = ("name", "seed", "log", "sampling", "model.init_from", "training.max_minutes")
"""Settings that may differ without making a model stale: how long, from where, and how it is looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A rung: one recipe, and perhaps a model that ships."""

    name: str
    recipe: str = ""
    """File in `recipes/`; that of the name unless given."""
    command: str = "train"
    after: tuple[str, ...] = ()
    parts: dict[str, str] = field(default_factory=dict)
    card: str = ""
    ships: str = ""
    then: str = ""
    was: dict[str, Any] = field(default_factory=dict)
    """Settings that the shipped model names otherwise, and means the same by."""

    @property
    def file(self) -> Path:
        """The recipe."""
        return RECIPES / (self.recipe or f"{self.name}.toml")

    @property
    def table(self) -> dict[str, Any]:
        """What the recipe says, with all that it leaves out."""
        from pictura.learn.recipe import load_learn_recipe
        from pictura.train.recipe import load_recipe

        read = load_learn_recipe if self.command == "learn" else load_recipe
        found: dict[str, Any] = json.loads(json.dumps(asdict(read(self.file))))
        return found

    @property
    def run(self) -> str:
        """Name of the run's folder."""
        return str(self.table["name"])

    @property
    def shipped(self) -> dict[str, Any] | None:
        """model.json of what ships."""
        path = SOURCE / self.ships / "model.json"
        return json.loads(path.read_text(encoding="utf-8")) if self.ships and path.is_file() else None


def load_steps(path: Path = RECIPES / "ladder.toml") -> list[Step]:
    """The ladder, from the bottom."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))["steps"]
    return [Step(**{**table, "after": tuple(table.get("after", ()))}) for table in tables]


def why_stale(step: Step) -> str:
    """Why what ships should be trained anew; empty where it should not."""
    shipped = step.shipped
    if shipped is None:
        return "does not ship yet" if step.ships else ""
    wanted, trained = dict(_flat(step.table)), dict(_flat(shipped["recipe"]))
    wanted |= step.was
    others = [name for name in trained if name in wanted and trained[name] != wanted[name]]
    if other := [name for name in others if not any(f"{name}.".startswith(f"{one}.") for one in _FREE)]:
        return f"trained with {other[0]} {trained[other[0]]}, not {wanted[other[0]]}"
    if clip := shipped.get("clip", {}).get("hash"):
        from pictura.store.models import resolve

        if clip != resolve(shipped["clip"]["name"]).hash:
            return f"listens to another {shipped['clip']['name']}"
    return ""


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def to_train(steps: Sequence[Step], runs: Path, only: Sequence[str] = ()) -> list[Step]:
    """What is to be trained, from the bottom: stale models, and what they read that is not there."""
    by_name = {step.name: step for step in steps}
    wanted = set(only) or {step.name for step in steps if why_stale(step)}
    if unknown := wanted - by_name.keys():
        raise SystemExit(f"No step is named {unknown.pop()!r}. These are: {', '.join(by_name)}.")
    for step in reversed(steps):
        if step.name in wanted:
            wanted |= {name for name in step.after if not by_name[name].ships}
    return [step for step in steps if step.name in wanted and not is_done(step, runs)]


def progress(step: Step, runs: Path) -> dict[str, Any]:
    """`step` and `seconds` of a run so far."""
    found = sorted((runs / step.run / "checkpoints").glob("step-*/state.json"))
    state: dict[str, Any] = json.loads(found[-1].read_text(encoding="utf-8")) if found else {}
    return {"step": state.get("step", 0), "seconds": state.get("seconds", 0.0)}


def is_done(step: Step, runs: Path) -> bool:
    """Whether a run had its steps or its minutes."""
    training, so_far = step.table["training"], progress(step, runs)
    most = training.get("num_steps") or training.get("num_updates")
    minutes = training["max_minutes"]
    return bool(so_far["step"] >= most or (minutes and so_far["seconds"] >= 60 * minutes))


def train(step: Step, runs: Path, minutes: float, processes: int) -> bool:
    """Train a step for some minutes; whether it is done."""
    runner = [sys.executable, "-m"]
    if processes > 1:
        runner += ["torch.distributed.run", "--nproc-per-node", str(processes), "-m"]
    left = step.table["training"]["max_minutes"] - progress(step, runs)["seconds"] / 60
    minutes = min([one for one in (minutes, left) if one > 0], default=0)
    command = [*runner, "pictura.cli", step.command, str(step.file), "--runs", str(runs)]
    subprocess.run([*command, "--max-minutes", f"{minutes:.2f}"], check=True, cwd=ROOT)
    return is_done(step, runs)


def score(step: Step, steps: Sequence[Step], runs: Path) -> Path:
    """Export what was trained and evaluate it; the folder of the candidate, which records its score."""
    folder = runs / "ladder" / step.name
    name = Path(step.ships).name
    pictura = [sys.executable, "-m", "pictura.cli"]
    by_name = {one.name: one for one in steps}
    parts = [word for key, one in step.parts.items() for word in (f"--{key}", str(runs / by_name[one].run))]
    card = ["--card", str(RECIPES / step.card)] if step.card else []
    export = [*pictura, "export", str(runs / step.run), "--name", name, "--out", str(folder), *card, *parts]
    subprocess.run(export, check=True, cwd=ROOT)
    out = runs / "ladder" / f"{step.name}-evaluation"
    evaluate = [*pictura, "evaluate", str(folder), "--reference", str(GLYPHS), "--out", str(out), "--record"]
    subprocess.run(evaluate, check=True, cwd=ROOT)
    return folder


def gain(new: Mapping[str, Any] | None, old: Mapping[str, Any] | None) -> float:
    """By how much a score rose beyond what chance explains; below 0 it did not, and a new model gains."""
    if new is None or old is None:
        return 1.0 if old is None else -1.0
    halves = [(one["interval"][1] - one["interval"][0]) / 2 for one in (new, old)]
    return float(new["overall"] - old["overall"] - sum(halves))


def scored(manifest: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """GlyphBench as a model's card records it."""
    return (manifest or {}).get("metrics", {}).get("glyphbench")


def told(step: Step, runs: Path) -> list[str]:
    """A row of the table."""
    so_far, bench = progress(step, runs), scored(step.shipped)
    state = why_stale(step) or ("ships" if step.ships else "for others")
    run = f"{so_far['step']:,} steps, {so_far['seconds'] / 60:.0f} min" if so_far["step"] else "-"
    value = "{overall:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]".format(**bench) if bench else "-"
    size = sum(file.stat().st_size for file in (SOURCE / step.ships).glob("*")) / 1e6 if step.shipped else 0.0
    return [step.name, step.file.name, state, f"{size:.1f}" if size else "-", run, value]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", action="store_true", help="train what is stale")
    parser.add_argument("--only", nargs="+", default=[], metavar="STEP", help="these, stale or not")
    parser.add_argument("--max-minutes", type=float, default=0.0, help="of training in all; 0 = no limit")
    parser.add_argument("--processes", type=int, default=1, help="on the CPU, or GPUs")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    parser.add_argument("--ship", action="store_true", help="put models that gain into src/pictura")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.path.insert(0, str(ROOT))  # a script's own folder is there, the repository is not
    from benchmarks.report import table

    steps, runs = load_steps(), args.runs.resolve()
    head = ["step", "recipe", "state", "MB", "run here", "GlyphBench, judge B"]
    if not args.run:
        print(table(head, [told(step, runs) for step in steps]))
        return
    until = time.monotonic() + 60 * args.max_minutes if args.max_minutes else float("inf")
    rows = []
    for step in to_train(steps, runs, args.only):
        left = (until - time.monotonic()) / 60
        if left <= 0.1:
            break
        before = scored(step.shipped)
        done = train(step, runs, 0.0 if left == float("inf") else left, args.processes)
        rows.append([*told(step, runs)[:5], "not done: run it again"])
        if done and step.then:
            rows[-1][-1] = f"trained; now {step.then}"
        elif done and step.ships:
            folder = score(step, steps, runs)
            after = scored(json.loads((folder / "model.json").read_text(encoding="utf-8")))
            assert after is not None  # `--record` has just written it
            ships = gain(after, before) > 0
            said = f"{after['overall']:.3f}, was {before['overall'] if before else 'nothing'}"
            rows[-1][-1] = f"{said}: {'a gain' if ships else 'no gain beyond chance'}"
            if ships and args.ship:
                shutil.rmtree(SOURCE / step.ships, ignore_errors=True)
                shutil.copytree(folder, SOURCE / step.ships)
        elif done:
            rows[-1][-1] = "trained"
        if not done:
            break
    print(table(head, rows) if rows else "Nothing is stale.")


if __name__ == "__main__":
    main()
