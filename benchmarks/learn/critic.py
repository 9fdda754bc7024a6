"""A reward as an extra critic of a trained adversarial painter: does it rise, and is diversity held?

    python -m benchmarks.learn.critic runs/attngan [--steps 200] [--only control judge ...] [--write]

A copy of the run goes on for some steps, once for each arm, with the same pictures, sentences and noise: by a
reward's own gradient, by a surrogate that learns to guess what a black box says, and with no reward. The
average of the weights is looked at before, on the way and after, on the same prompts and noise. Compared is
prompt by prompt; intervals hold 95 % of bootstrap draws of prompts. Likeness by `clip-guide` is no arm's
reward. Diversity is the distance of two pictures of one prompt (root mean square over their values).
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.report import machine, table, write_section
from pictura.core.images import on_background
from pictura.core.types import Prompt
from pictura.data.vocabulary.claims import ClaimSource
from pictura.data.vocabulary.holdouts import Holdouts
from pictura.data.vocabulary.world import World
from pictura.evaluate.metrics.bootstrap import mean_interval
from pictura.reward.registry import make_reward
from pictura.train import checkpoint
from pictura.train.distributed import Process
from pictura.train.loop import Run
from pictura.train.preview import tile
from pictura.train.recipe import Recipe, from_table

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "algorithms" / "critic.md"
PLOT = PAGE.with_name("critic.png")
ALONE = Process(rank=0, num_processes=1, device=torch.device("cpu"))
JUDGE, JPEG = {"name": "judge"}, {"name": "jpeg-compressibility"}
ARMS: dict[str, dict[str, Any]] = {
    "control": {"rewards": [JUDGE], "weight": 0.0},
    "judge": {"rewards": [JUDGE], "weight": 20.0},
    "jpeg, black box": {"rewards": [JPEG], "weight": 10.0, "surrogate": True},
}
MEASURES = {
    "judge": ("judge A", ".3f"),
    "jpeg": ("minus kB of JPEG", ".3f"),
    "clip": ("likeness, held out", ".4f"),
    "diversity": ("diversity", ".4f"),
}
NUM_PROMPTS, NUM_SEEDS, PROMPT_SEED = 160, 2, 20_261_123
Look = dict[str, NDArray[np.float64]]
"""By measure, a number for each prompt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """What became of an arm."""

    looks: list[tuple[int, Look]]
    """Steps taken, and what was seen then; before and after among them."""
    metrics: list[dict[str, float]]
    """Of every step."""
    images: Tensor
    """Painted at the end, two of each prompt side by side."""
    seconds: float
    """Of CPU time."""


class Eyes:
    """Paints the prompts with the average of a run's weights, and measures them."""

    def __init__(self) -> None:
        source = ClaimSource(World.load(), Holdouts.load(), seed=PROMPT_SEED)
        self.prompts = source.prompts(0, NUM_PROMPTS)
        self._rewards = {
            "judge": make_reward(JUDGE),
            "jpeg": make_reward(JPEG),
            "clip": make_reward({"name": "clip"}),
        }

    def paint(self, run: Run) -> Tensor:
        """Two pictures of each prompt, side by side: (2 * prompts, 3, S, S) on light grey."""
        module = run.module
        trained = {name: value.clone() for name, value in module.state_dict().items()}
        module.load_state_dict({**trained, **run.averages["ema_long"].weights})
        texts = [prompt.text for prompt in self.prompts for _ in range(NUM_SEEDS)]
        task: Any = run.task
        images = torch.cat([task.sample(texts[i : i + 64], seed=i) for i in range(0, len(texts), 64)])
        module.load_state_dict(trained)
        return on_background(images).clamp(0, 1)

    @torch.no_grad()
    def look(self, images: Tensor) -> Look:
        """What is seen of them, a mean for each prompt."""
        asked: list[Prompt] = [prompt for prompt in self.prompts for _ in range(NUM_SEEDS)]
        said = {name: reward(images, asked).total for name, reward in self._rewards.items()}
        first, second = images[0::NUM_SEEDS], images[1::NUM_SEEDS]
        rows = {name: total.unflatten(0, (-1, NUM_SEEDS)).mean(dim=1) for name, total in said.items()}
        rows["diversity"] = (first - second).square().mean(dim=(1, 2, 3)).sqrt()
        return {name: row.double().numpy() for name, row in rows.items()}


def recipe_of(arm: str, start: Path, options: argparse.Namespace) -> Recipe:
    """The run's own recipe for some more steps, with the arm's critic."""
    before = json.loads((start / "config.json").read_text())["recipe"]
    training = {
        "num_steps": checkpoint.read_state(start)["step"] + options.steps,
        "batch_size": options.batch_size,
        "learning_rate": options.rate,
        "decay_fraction": 0.0,
        "ema_long": 0.99,
    }
    critic = {**ARMS[arm], **({"weight": options.weight} if options.weight else {})}
    changes = {
        "training": training,
        "adversarial": {"discriminator_learning_rate": options.rate},
        "critic": critic,
        "log": {"metrics_every": 0, "validate_every": 0, "sample_every": 0, "checkpoint_every": 0},
    }
    changed = {name: {**before.get(name, {}), **table} for name, table in changes.items()}
    return from_table(Recipe, {**before, **changed}, str(start))


def follow(arm: str, recipe: Recipe, start: Path, eyes: Eyes, options: argparse.Namespace) -> Course:
    """Take the steps of an arm from a checkpoint, and look on the way."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(start, Path(folder) / "checkpoints" / "step-0")
        run = Run(recipe, options.root, Path(folder), ALONE)
    first, looks, metrics = run.step, [(0, eyes.look(eyes.paint(run)))], []
    at = {round(i * options.steps / (options.looks - 1)) for i in range(1, options.looks)}
    started = time.process_time()
    for number in range(1, options.steps + 1):
        metrics.append(run.stepper.step(first + number - 1, 0.0))
        for average in run.averages.values():
            average.update(run.module, first + number)
        if number in at:
            looks.append((number, eyes.look(eyes.paint(run))))
            told = {name: f"{row.mean():.4f}" for name, row in looks[-1][1].items()}
            spent = f"{time.process_time() - started:.0f} s"
            print(arm, number, spent, told, _recent(metrics), flush=True)
    return Course(looks=looks, metrics=metrics, images=eyes.paint(run), seconds=time.process_time() - started)


def _recent(metrics: Sequence[dict[str, float]]) -> dict[str, str]:
    names = ("reward", "critic", "surrogate_correlation", "surrogate_followed", "discriminator_right")
    last = metrics[-50:]
    return {name: f"{np.mean([m[name] for m in last]):.3f}" for name in names if name in last[-1]}


def rows_of(courses: dict[str, Course]) -> list[list[str]]:
    """Before; of each arm the change, prompt by prompt; and what of that the control does not have."""
    start = next(iter(courses.values())).looks[0][1]
    ends = {arm: course.looks[-1][1] for arm, course in courses.items()}
    rows = [["before", *(f"{start[name].mean():{form}}" for name, (_, form) in MEASURES.items()), ""]]
    for arm, end in ends.items():
        share = end["diversity"].mean() / start["diversity"].mean()
        rows.append([arm, *_changes(end, start), f"{share:.0%}"])
    if "control" in ends:
        for arm, end in ends.items():
            if arm != "control":
                rows.append([f"{arm}: beyond the control", *_changes(end, ends["control"]), ""])
    return rows


def _changes(after: Look, before: Look) -> list[str]:
    """Of each measure, with the interval over prompts."""
    cells = []
    for name, (_, form) in MEASURES.items():
        change = after[name] - before[name]
        mean = mean_interval(change, list(range(len(change))), np.random.default_rng(0))
        cells.append(f"{mean.value:+{form}} ({mean.low:+{form}} to {mean.high:+{form}})")
    return cells


def plot(courses: dict[str, Course]) -> None:
    """All measures over the steps."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(MEASURES), figsize=(13, 3.4), layout="constrained")
    for arm, course in courses.items():
        steps = [step for step, _ in course.looks]
        for axis, name in zip(axes, MEASURES, strict=True):
            axis.plot(steps, [look[name].mean() for _, look in course.looks], label=arm, linewidth=2)
    for axis, (name, (title, _)) in zip(axes, MEASURES.items(), strict=True):
        axis.set(xlabel="steps", title=title)
        axis.spines[["top", "right"]].set_visible(False)
        if name == "diversity":
            axis.set_ylim(bottom=0)
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(PLOT, dpi=100)


def told(courses: dict[str, Course], start: Path, options: argparse.Namespace) -> str:
    """What stands in the page, but for the plot."""
    head = ["arm", *(title for title, _ in MEASURES.values()), "diversity kept"]
    command = f"python -m benchmarks.learn.critic runs/{options.run.name} --steps {options.steps}"
    minutes = sum(course.seconds for course in courses.values()) / 60
    return (
        f"`{command}`, {minutes:.0f} CPU minutes in all. Machine: {machine()}.\n\n"
        f"Each arm takes {options.steps} steps of {options.batch_size} pictures from step "
        f"{checkpoint.read_state(start)['step']} of the run on, both rates {options.rate:g}; {NUM_PROMPTS} "
        f"prompts x {NUM_SEEDS} pictures. "
        f"Below *before* are changes, with the 95 % interval.\n\n"
        f"{table(head, rows_of(courses))}"
    )


def keep(path: Path, course: Course) -> None:
    """Write what is known of an arm, and a sheet of its pictures."""
    looks = [[step, {key: row.tolist() for key, row in look.items()}] for step, look in course.looks]
    tile(course.images[0 : 64 * NUM_SEEDS : NUM_SEEDS]).save(path.with_suffix(".png"))
    path.write_text(json.dumps({"looks": looks, "seconds": course.seconds, "steps": course.metrics}) + "\n")


def kept(path: Path) -> Course:
    """An arm that was run before, without its pictures."""
    told = json.loads(path.read_text())
    looks = [(step, {key: np.array(row) for key, row in look.items()}) for step, look in told["looks"]]
    return Course(looks=looks, metrics=told["steps"], images=torch.zeros(0), seconds=told["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="of a trained adversarial painter of scenes")
    parser.add_argument("--root", type=Path, default=ROOT / "recipes", help="where its recipe lay")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-4, help="of generator and discriminators")
    parser.add_argument("--weight", type=float, default=0.0, help="of the reward, instead of the arms' own")
    parser.add_argument("--looks", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument(
        "--out", type=Path, help="folder for every number and a sheet of pictures of each arm"
    )
    parser.add_argument("--write", action="store_true", help="write into docs/algorithms/critic.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    newest = checkpoint.find_latest(options.run)
    if newest is None:
        parser.error(f"there is no checkpoint in {options.run}")
    options.out.mkdir(parents=True, exist_ok=True)
    eyes, courses = Eyes(), {}
    with tempfile.TemporaryDirectory() as folder:
        start = Path(shutil.copytree(newest, Path(folder) / "start"))  # a run that goes on may drop it
        for arm in options.only:
            path = options.out / f"{arm.replace(', ', '-').replace(' ', '-')}.json"
            if not path.exists():
                keep(path, follow(arm, recipe_of(arm, start, options), start, eyes, options))
            courses[arm] = kept(path)
        text = told(courses, start, options)
    if options.write:
        plot(courses)
        write_section("Measured", f"{text}\n\n![Courses of the arms]({PLOT.name})", page=PAGE)
    print(text)


if __name__ == "__main__":
    main()
