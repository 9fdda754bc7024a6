"""A small captioned set and a small recipe, for the tests of training."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pictura.train.distributed import Process
from pictura.train.loop import Run
from pictura.train.recipe import Recipe, from_table

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
ALONE = Process(rank=0, num_processes=1, device=torch.device("cpu"))


def make_set(folder: Path, count: int = 40) -> Path:
    """Plain pictures of 16 px, captioned by their colour."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        name, colour = list(COLOURS.items())[index % len(COLOURS)]
        noise = rng.integers(0, 20, (16, 16, 3))
        pixels = np.clip(np.array(colour) - noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
        (folder / f"{index}.txt").write_text(f"a {name} picture")
    return folder


def make_recipe(**tables: object) -> Recipe:
    """A run of four steps on `set`, painting pixels."""
    base: dict[str, object] = {
        "task": "flow",
        "name": "tiny",
        "data": {"path": "set", "size": 16},
        "model": {"preset": "micro-pixels", "vocab_size": 300},
        "training": {"num_steps": 4, "batch_size": 4, "warmup_steps": 1},
        "log": {"validate_every": 0, "sample_every": 0, "checkpoint_every": 0, "metrics_every": 1},
    }
    for name, table in tables.items():
        old = base.get(name)
        base[name] = {**old, **table} if isinstance(old, dict) and isinstance(table, dict) else table
    return from_table(Recipe, base, "test recipe")


def run(recipe: Recipe, root: Path, *, process: Process = ALONE) -> Run:
    """The run of `recipe` in ``root/runs``."""
    return Run(recipe, root, root / "runs" / recipe.name, process)
