"""Ways to learn side by side: the same painter, reward and number of network calls, three seeds.

    python -m benchmarks.learn.side_by_side [--calls 100000] [--seeds 3] [--write]

The painter draws one of three shapes in one of five colours in one of four corners at 32 pixels
(`shapes.py`); it was taught badly on purpose (`base.py`, kept in runs/). The reward reads colour and corner
from the pixels and is smooth, so that back-propagation learns from the same one as the others. Compared are
the share of pictures that are right by an exact rule, on sentences that were learnt from and on others that
nobody saw, and how different the pictures of a sentence still are. Each algorithm runs with Pictura's own
settings but for the learning rate: the best of `--rates`, by the reward of one run of seed 100 with a third
of the calls. Every number is of one thread; seconds are CPU time.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.learn.base import gflop_per_call, load_base
from benchmarks.learn.learner import CallCounter, Learner, Settings, choose, cpu_seconds
from benchmarks.learn.shapes import HELD_OUT, LEARNT, ColourAndCorner, diversity, prompts_of, right
from benchmarks.report import machine, table, write_section
from pictura.families.flow.policy import FlowPolicy
from pictura.learn.weights import Full

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "learn-benchmark.md"
PLOT = ROOT / "docs" / "learn-benchmark.png"
ALGORITHMS: dict[str, dict[str, Any]] = {
    "DiffusionNFT": {"name": "nft"},
    "Flow-GRPO-Fast": {"name": "grpo"},
    "AWM": {"name": "awm"},
    "ReFL": {"name": "backprop"},
    "online DPO": {"name": "dpo"},
}
RATES = (3e-4, 1e-3, 3e-3)
TEST_GROUP = 8
TESTS = 4
"""Looks at a run, the one before it and the one after it among them."""
TUNING_SEED = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One look at a painter, by its average of weights."""

    calls: int
    reward: float
    right: float
    held_out: float
    diversity: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """One run."""

    looks: tuple[Look, ...]
    updates: int
    pictures: int
    seconds: float


def look(learner: Learner, calls: int) -> Look:
    """Paint twelve learnt sentences and the twelve that nobody saw."""
    learnt, kept = prompts_of(LEARNT[::4]), prompts_of(HELD_OUT)
    images, prompts = learner.pictures([*learnt, *kept], group_size=TEST_GROUP)
    half = len(learnt) * TEST_GROUP
    verdicts = right(images, prompts).float()
    return Look(
        calls=calls,
        reward=float(ColourAndCorner()(images[:half], prompts[:half]).total.mean()),
        right=float(verdicts[:half].mean()),
        held_out=float(verdicts[half:].mean()),
        diversity=diversity(images, TEST_GROUP),
    )


def run(
    policy: FlowPolicy, counter: CallCounter, settings: Settings, *, calls: int, seed: int, tests: int = TESTS
) -> Course:
    """Learn until so many network calls are spent, and look now and then."""
    learner = Learner(policy, Full(policy.learnable), ColourAndCorner(), settings, seed=seed)
    counter.calls, seconds = 0, 0.0
    looks: list[Look] = []
    prompts = prompts_of(LEARNT)
    while True:
        if counter.calls >= len(looks) * calls / (tests - 1):
            with counter.off():
                looks.append(look(learner, counter.calls))
        if counter.calls >= calls:
            break
        asked = choose(prompts, settings.num_prompts, seed=seed, update=learner.updates)
        seconds += cpu_seconds(partial(learner.update, asked))[1]
    pictures = learner.updates * settings.num_prompts * settings.group_size
    return Course(looks=tuple(looks), updates=learner.updates, pictures=pictures, seconds=seconds)


def best_rate(
    policy: FlowPolicy, counter: CallCounter, algorithm: dict[str, Any], rates: Sequence[float], calls: int
) -> float:
    """The learning rate with the highest reward at the end of a short run; the only one without a run."""
    if len(rates) == 1:
        return rates[0]
    found = {
        rate: run(
            policy,
            counter,
            Settings(algorithm=algorithm, learning_rate=rate),
            calls=calls,
            seed=TUNING_SEED,
            tests=2,
        ).looks[-1]
        for rate in rates
    }
    print(algorithm["name"], {rate: f"{at.reward:.3f}" for rate, at in found.items()}, flush=True)
    return max(found, key=lambda rate: found[rate].reward)


def rows_of(courses: dict[str, list[Course]], rates: dict[str, float]) -> list[list[str]]:
    """The table: means over the seeds, and how far these lie apart."""

    def spread(values: Sequence[float], form: str = ".2f") -> str:
        return f"{np.mean(values):{form}} ± {np.std(values):{form}}"

    rows = []
    for name, runs in courses.items():
        ends = [course.looks[-1] for course in runs]
        calls = sum(course.looks[-1].calls for course in runs)
        rows.append(
            [
                name,
                f"{rates[name]:g}",
                f"{np.mean([course.updates for course in runs]):.0f}",
                spread([end.reward for end in ends]),
                spread([end.right for end in ends]),
                spread([end.held_out for end in ends]),
                spread([end.diversity for end in ends], ".3f"),
                f"{np.mean([course.seconds for course in runs]):.0f}",
                f"{1e6 * sum(course.seconds for course in runs) / calls:.0f}",
            ]
        )
    start = next(iter(courses.values()))[0].looks[0]
    base = [start.reward, start.right, start.held_out]
    return [["base", "", "", *(f"{v:.2f}" for v in base), f"{start.diversity:.3f}", "", ""], *rows]


def told(
    policy: FlowPolicy, courses: dict[str, list[Course]], rates: dict[str, float], calls: int, seconds: float
) -> str:
    """What stands in the page, but for the picture."""
    size = sum(weight.numel() for weight in policy.learnable.values())
    settings = Settings(algorithm={}, learning_rate=1)
    seeds = len(next(iter(courses.values())))
    head = [
        "",
        "learning rate",
        "updates",
        "reward",
        "right",
        "right, unseen",
        "diversity",
        "CPU s",
        "µs per call",
    ]
    return (
        f"`python -m benchmarks.learn.side_by_side --calls {calls} --seeds {seeds}`, {seconds / 60:.0f} CPU "
        f"minutes in all. Machine: {machine()}.\n\nThe painter: {size:,} weights, "
        f"{gflop_per_call(policy):.3f} GFLOP a call, {settings.num_steps} steps; {settings.num_prompts} "
        f"prompts x {settings.group_size} pictures an update, one optimiser step each, all weights learnt. "
        f"Each run spends {calls:,} network calls (a call whose gradient is taken counts as three). Means "
        f"over {seeds} seeds ± their standard deviation.\n\n{table(head, rows_of(courses, rates))}"
    )


def plot(courses: dict[str, list[Course]]) -> None:
    """Share right on unseen sentences, and diversity, against network calls; a thin line is a seed."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    labels = {
        "reward": "reward",
        "held_out": "right, unseen sentences",
        "diversity": "diversity",
    }
    for number, (name, runs) in enumerate(courses.items()):
        for axis, key in zip(axes, labels, strict=True):
            lines = [[getattr(at, key) for at in course.looks] for course in runs]
            calls = np.mean([[at.calls for at in course.looks] for course in runs], axis=0) / 1000
            for line in lines:
                axis.plot(calls, line, color=f"C{number}", linewidth=0.6, alpha=0.6)
            axis.plot(calls, np.mean(lines, axis=0), color=f"C{number}", linewidth=2, label=name)
    for axis, label in zip(axes, labels.values(), strict=True):
        axis.set(xlabel="network calls, thousands", title=label)
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(PLOT, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=100_000, help="network calls of each run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--base-steps", type=int, default=500, help="of teaching the painter, 64 pictures each"
    )
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--only", nargs="+", choices=list(ALGORITHMS), default=list(ALGORITHMS))
    parser.add_argument("--json", type=Path, help="also write every look here")
    parser.add_argument("--write", action="store_true", help="write into docs/learn-benchmark.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.process_time()
    policy, network = load_base(ROOT / "runs" / "bench-learn", num_steps=options.base_steps)
    counter = CallCounter(network)
    rates = {
        name: best_rate(policy, counter, ALGORITHMS[name], options.rates, options.calls // 3)
        for name in options.only
    }
    courses: dict[str, list[Course]] = {name: [] for name in options.only}
    for seed in range(options.seeds):
        for name, rate in rates.items():
            settings = Settings(algorithm=ALGORITHMS[name], learning_rate=rate)
            courses[name].append(run(policy, counter, settings, calls=options.calls, seed=seed))
            print(name, f"seed {seed}", courses[name][-1].looks[-1], flush=True)
        text = told(policy, courses, rates, options.calls, time.process_time() - started)
        if options.json:
            looks = {name: [[asdict(at) for at in c.looks] for c in runs] for name, runs in courses.items()}
            options.json.write_text(json.dumps(looks, indent=1) + "\n")
        if options.write:
            plot(courses)
            write_section("Side by side", text + f"\n\n![Courses of the runs]({PLOT.name})", page=PAGE)
    print(text)


if __name__ == "__main__":
    main()
