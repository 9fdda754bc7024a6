"""Tiny matchers and generators, for the tests of adversarial training."""

import math
from pathlib import Path

from pictura.train.gans.adversarial import Adversarial
from pictura.train.gans.gan import GanTask
from pictura.train.loop import Run
from pictura.train.recipe import Recipe
from tests.train.kit import make_recipe, run

FAMILIES = ("stackgan", "attngan", "dfgan")
DAMSM = {"embedding": 12, "width": 16, "widths": [16, 32, 32], "size": 16, "region_side": 2}
"""Reads captions as the `micro` presets ask for."""


def make_matcher(root: Path, *, num_steps: int = 40, **tables: object) -> Run:
    """A DAMSM in ``root/runs/damsm`` that tells the pictures of ``root/set`` apart after 40 steps."""
    settings = {"learning_rate": 2e-2, "batch_size": 8, "ema_long": 0.5, "num_steps": num_steps}
    done = run(
        make_recipe(task="damsm", name="damsm", model={"damsm": DAMSM}, training=settings, **tables), root
    )
    done.train()
    return done


def gan_recipe(task: str = "stackgan", **tables: object) -> Recipe:
    """Four steps of a `micro` generator on `set`."""
    base: dict[str, object] = {
        "task": task,
        "model": {"preset": "micro", "text": "runs/damsm"},
        "training": {"warmup_steps": 0, "learning_rate": 2e-3, "max_grad_norm": math.inf},
    }
    for name, table in tables.items():
        old = base.get(name)
        base[name] = {**old, **table} if isinstance(old, dict) and isinstance(table, dict) else table
    return make_recipe(**base)


def parts_of(made: Run) -> tuple[Adversarial, GanTask]:
    """Stepper and task of an adversarial run."""
    assert isinstance(made.stepper, Adversarial)
    assert isinstance(made.task, GanTask)
    return made.stepper, made.task
