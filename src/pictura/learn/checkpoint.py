"""Checkpoints of learning: those of training (`train/checkpoint.py`) with other contents.

Weights are tables of values (`learn/weights.py`): ``values`` as learnt, ``old`` and ``ema`` (their slow copy
and average), ``reference``. `config` holds the recipe, the model it starts from, and what guards and tests
remember; `validation` the total of the held-out scores, higher is better.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.learn.recipe import LearnRecipe
from pictura.learn.weights import Full, Learnable, LowRank, Values
from pictura.store.models import STUDENT
from pictura.store.weights import read_halves
from pictura.train import checkpoint as checkpoints


def make_learnable(recipe: LearnRecipe, base: Mapping[str, Tensor]) -> Learnable:
    """What the recipe lets learn, of the weights `base`."""
    if recipe.model.weights == "full":
        return Full(base)
    return LowRank(base, rank=recipe.model.rank, seed=recipe.seed)


def read_start(where: Path, model_hash: str, device: str) -> Values:
    """What an earlier run of learning came to: the average of its newest checkpoint, or a model's student.

    A student may be that of other weights, from which the model's were trained on: it is near its place then.

    Raises:
        ConfigError: there is none, or a run learnt on another model.
        ModelError: the student cannot be read.
        TrainingError: the checkpoint is damaged.
    """
    if (where / STUDENT).is_file():
        return {name: torch.from_numpy(array) for name, array in read_halves(where / STUDENT).items()}
    folder = checkpoints.find_latest(where)
    if folder is None:
        raise ConfigError(
            f"model.start is {where}, which holds no checkpoint of `pictura learn`, and no student."
        )
    saved = checkpoints.load(folder, device=device)
    theirs = saved.config.get("model", {}).get("hash")
    if "ema" not in saved.weights or theirs != model_hash:
        raise ConfigError(f"model.start is {where}, which did not learn on the model of this recipe.")
    return saved.weights["ema"]


def check_same_run(saved: checkpoints.Checkpoint, where: Path, config: Mapping[str, Any]) -> None:
    """Check that the run of `config` is the one that was saved, and that it may go on.

    Raises:
        ConfigError: the model or the seed is another, or a guard stopped it that is as strict as before.
    """
    theirs = saved.config
    same = {
        "model": theirs["model"]["hash"] == config["model"]["hash"]
        and theirs["recipe"]["model"] == config["recipe"]["model"],
        "seed": theirs["recipe"]["seed"] == config["recipe"]["seed"],
    }
    for key, kept in same.items():
        if not kept:
            raise ConfigError(
                f"{where} learnt with another {key} than the recipe asks for. "
                f"Give the recipe another name, or delete the run to start anew."
            )
    ours = config["recipe"]["guards"]
    strict = all(ours.get(name) == limit for name, limit in theirs["recipe"]["guards"].items())
    if theirs["stopped"] and strict:
        raise ConfigError(
            f"A guard stopped this run: {theirs['stopped']}. Give the recipe another name or, if you know "
            f"better than the guard, change [guards]; {where.parents[1] / 'best'} is the best of the run."
        )


@torch.no_grad()
def take(values: Values, saved: Mapping[str, Tensor], where: Path) -> None:
    """Copy saved values into those of a run.

    Raises:
        ConfigError: they are of another shape: other weights are learnt, or of another rank.
    """
    if {k: v.shape for k, v in values.items()} != {k: v.shape for k, v in saved.items()}:
        raise ConfigError(
            f"{where} holds {len(saved)} values of other names or shapes than the {len(values)} of the "
            f"recipe: model.weights and model.rank must be those that it learnt with."
        )
    for name, value in values.items():
        value.copy_(saved[name])
