"""Weights that a run starts from: a run, a checkpoint or a model in, configs, weights and words out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.encode.tokenizer import Tokenizer
from pictura.store.models import resolve
from pictura.store.weights import read_weights
from pictura.train import checkpoint
from pictura.train.recipe import Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Weights and settings that a run starts from."""

    config: dict[str, Any]
    weights: dict[str, Tensor]
    tokenizer: Path | str | None
    words: tuple[str, ...]


def read_start(where: str, root: Path) -> Start:
    """Read a run, a checkpoint, or a model by name or folder: its long-average weights.

    Raises:
        ModelNotFoundError: nothing is there.
        ModelError: the model is damaged.
    """
    folder = checkpoint.find_latest(root / where)
    if folder is not None:
        saved = checkpoint.load(folder)
        weights = {**saved.weights.get("frozen", {}), **saved.weights["model"], **saved.weights["ema_long"]}
        return Start(config=saved.config, weights=weights, tokenizer=saved.tokenizer, words=saved.words)
    model = resolve(str(root / where) if (root / where).exists() else where)
    model.verify()
    return Start(
        config=dict(model.manifest),
        weights={name: torch.from_numpy(array) for name, array in read_weights(model.path).items()},
        tokenizer=model.path / "tokenizer.json",
        words=tuple((model.path / "words.txt").read_text(encoding="utf-8").split()),
    )


def require(start: Start, network: str, recipe: Recipe) -> None:
    """Check that there is a network of that name to start from.

    Raises:
        ConfigError: there is none.
    """
    if not start.config.get(network):
        raise ConfigError(f"model.init_from is {recipe.model.init_from!r}, which holds no {network}.")


def tokenizer_of(start: Start, max_tokens: int) -> Tokenizer:
    """The tokenizer that comes with the weights."""
    if isinstance(start.tokenizer, Path):
        return Tokenizer.load(start.tokenizer, max_tokens=max_tokens)
    return Tokenizer.from_text(str(start.tokenizer), max_tokens=max_tokens)


def part(weights: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The weights whose names open with ``name.``, without it."""
    return {k.removeprefix(f"{name}."): v for k, v in weights.items() if k.startswith(f"{name}.")}
