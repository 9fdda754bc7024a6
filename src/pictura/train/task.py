"""What the loop asks of whatever is learnt, and where each task is."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pictura.core.types import Batch, BatchSource
from pictura.encode.tokenizer import Tokenizer
from pictura.train.materials import Materials
from pictura.train.recipe import TASKS, Recipe
from pictura.train.start import read_start


class Task(Protocol):
    """Something to learn; `train/tasks/flow.py` is the one to read first."""

    @property
    def module(self) -> nn.Module:
        """What a training step runs: the tensors of `inputs` in, (B,) losses out."""
        ...

    @property
    def tokenizer(self) -> Tokenizer | None:
        """Of the captions; None where none are read."""
        ...

    @property
    def factor(self) -> int:
        """Picture pixels per pixel of what is learnt, along one side."""
        ...

    def inputs(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Turn a batch into the module's inputs; every random draw comes from `rng`."""
        ...

    def preview(self, recipe: Recipe, materials: Materials, count: int) -> Tensor | None:
        """At most `count` pictures, (B, 3 or 4, H, W), of what the module can do now; None shows nothing."""
        ...

    def finish(self, train: BatchSource, weights: Sequence[dict[str, Tensor]]) -> None:
        """Do what remains at the end of a stretch; `weights` are the averages, which may be changed."""
        ...

    def frozen(self) -> dict[str, Tensor]:
        """Weights that are used, not trained, for checkpoints."""
        ...

    def resume(self, tokenizer: Tokenizer, frozen: dict[str, Tensor], where: Path) -> None:
        """Take over the tokenizer of a checkpoint, and check that its frozen weights are these."""
        ...

    def config(self) -> dict[str, Any]:
        """What the networks are, for checkpoints: one table for each network, by its name."""
        ...


def build_task(
    recipe: Recipe, root: Path, materials: Materials, device: torch.device
) -> tuple[Task, tuple[str, ...]]:
    """Make the networks of a recipe, from noise or from `init_from`, and list the words they may know."""
    torch.manual_seed(recipe.seed)
    start = read_start(recipe.model.init_from, root) if recipe.model.init_from else None
    module, _, function = TASKS[recipe.task].partition(":")
    return getattr(import_module(module), function)(recipe, root, start, materials, device)
