"""Plain pictures and the codes of a tiny discrete VAE, for the tests of DALL-E's training."""

from dataclasses import asdict
from pathlib import Path

import torch
from PIL import Image

from pictura.encode.dvae.config import get_preset
from pictura.encode.dvae.model import Dvae
from pictura.train import checkpoint
from pictura.train.loop import Run
from pictura.train.recipe import Recipe
from pictura.train.tasks.dalle import DalleTask
from tests.train.kit import COLOURS, make_recipe


def make_pairs(folder: Path) -> None:
    """Four plain pictures of 16 px in ``folder/set``, all of them for training and for validation."""
    (folder / "set").mkdir()
    rows = ["file_name,text,split"]
    for name, colour in COLOURS.items():
        Image.new("RGB", (16, 16), colour).save(folder / "set" / f"{name}.png")
        rows += [f"{name}.png,a {name} picture,{split}" for split in ("train", "validation")]
    (folder / "set" / "metadata.csv").write_text("\n".join(rows) + "\n")


def make_dvae(folder: Path, *, name: str = "dvae", seed: int = 0) -> Dvae:
    """A checkpoint of an untrained dVAE in ``folder/runs``; it tells colours apart as it is."""
    torch.manual_seed(seed)
    dvae = Dvae(get_preset("micro"))
    weights = {f"dvae.{key}": value for key, value in dvae.state_dict().items()}
    saved = checkpoint.Checkpoint(
        step=1,
        seconds=1,
        config={"dvae": asdict(dvae.config), "data": ["plain pictures"]},
        weights={"model": weights, "ema_long": weights},
        tokenizer="",
        words=(),
    )
    checkpoint.save(saved, folder / "runs" / name / "checkpoints")
    return dvae


def dalle_recipe(**tables: object) -> Recipe:
    """Four steps of a `micro` transformer on `set`."""
    base: dict[str, object] = {
        "task": "dalle",
        "model": {"preset": "micro", "dvae": "runs/dvae"},
        "training": {"learning_rate": 3e-3, "ema_long": 0.5, "ema_short": 0.5},
    }
    for name, table in tables.items():
        old = base.get(name)
        base[name] = {**old, **table} if isinstance(old, dict) and isinstance(table, dict) else table
    return make_recipe(**base)


def task_of(made: Run) -> DalleTask:
    """Its task."""
    assert isinstance(made.task, DalleTask)
    return made.task
