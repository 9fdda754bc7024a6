"""Checkpoints: folders of safetensors and JSON, written whole or not at all.

A checkpoint holds ``model`` (the weights as trained), ``ema_long`` and ``ema_short`` (their averages),
``frozen`` (networks that are used but not trained), ``optimizer``, ``config.json`` (what the networks
are), ``state.json`` (how far the run is), the tokenizer and the word list if there is a text tower, and
``manifest.json``, written last, with the SHA-256 of every file.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pictura.core.errors import TrainingError
from pictura.store.atomic import atomic_folder, remove_leftovers
from pictura.store.models import file_hash

Weights = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """Everything that a run needs to go on, or to be exported."""

    step: int
    seconds: float
    """Training time so far, over all stretches."""
    config: dict[str, Any]
    weights: Mapping[str, Weights]
    """`model`, `ema_long`, `ema_short`, `frozen`."""
    optimizer: Weights = field(default_factory=dict)
    tokenizer: str = ""
    """Content of tokenizer.json; empty without a text tower."""
    words: tuple[str, ...] = ()
    """Words of the training captions, commonest first."""
    validation: float | None = None
    """Loss of `ema_long` on pictures that are never trained on, if it was measured."""


def save(checkpoint: Checkpoint, runs: Path, *, keep: int = 2) -> Path:
    """Write ``runs/step-N`` and delete all but the newest `keep` checkpoints.

    Raises:
        StorageError: the disk is full or the folder cannot be written; what was there stays as it was.
    """
    folder = runs / f"step-{checkpoint.step:08d}"
    write(checkpoint, folder)
    for old in sorted(runs.glob("step-*"))[:-keep]:
        shutil.rmtree(old)
    return folder


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint as `folder`, in the place of an older one.

    Raises:
        StorageError: as of `save`.
    """
    with atomic_folder(folder) as tmp:
        for name, weights in {**checkpoint.weights, "optimizer": checkpoint.optimizer}.items():
            save_file(
                {k: v.detach().cpu().contiguous() for k, v in weights.items()}, tmp / f"{name}.safetensors"
            )
        _write_json(tmp / "config.json", checkpoint.config)
        state = {name: getattr(checkpoint, name) for name in ("step", "seconds", "validation")}
        _write_json(tmp / "state.json", state)
        if checkpoint.tokenizer:
            (tmp / "tokenizer.json").write_text(checkpoint.tokenizer, encoding="utf-8")
            (tmp / "words.txt").write_text("\n".join(checkpoint.words) + "\n", encoding="utf-8")
        hashes = {f.name: file_hash(f) for f in sorted(tmp.iterdir())}
        _write_json(tmp / "manifest.json", {"format": 1, "files": hashes})


def find_latest(run: Path) -> Path | None:
    """The newest checkpoint of a run folder (or `run` itself if it is one); none if there is none."""
    if (run / "manifest.json").exists():
        return run
    folders = [f.parent for f in sorted(run.glob("**/step-*/manifest.json"))]
    return folders[-1] if folders else None


def find_best(run: Path) -> Path | None:
    """The checkpoint of the lowest validation loss of a run folder; none if it keeps none."""
    if run.is_dir():
        remove_leftovers(run)  # gives one that was killed between its renames its name back
    return run / "best" if (run / "best" / "manifest.json").exists() else None


def load(folder: Path, *, device: str = "cpu") -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        TrainingError: a file is missing, or its hash is not that of the manifest.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for name, expected in manifest["files"].items():
            if file_hash(folder / name) != expected:
                raise TrainingError(
                    f"{folder / name} is damaged: its hash is not the one in manifest.json. "
                    f"Delete the folder {folder.name} to go on from the checkpoint before it."
                )
        weights = {
            f.stem: load_file(f, device=device)
            for f in sorted(folder.glob("*.safetensors"))
            if f.stem != "optimizer"
        }
        state = read_state(folder)
        tokenizer, words = folder / "tokenizer.json", folder / "words.txt"
        return Checkpoint(
            step=state["step"],
            seconds=state["seconds"],
            config=json.loads((folder / "config.json").read_text(encoding="utf-8")),
            weights=weights,
            optimizer=load_file(folder / "optimizer.safetensors", device=device),
            tokenizer=tokenizer.read_text(encoding="utf-8") if tokenizer.exists() else "",
            words=tuple(words.read_text(encoding="utf-8").split()) if words.exists() else (),
            validation=state["validation"],
        )
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise TrainingError(f"{folder} is not a whole checkpoint ({error}).") from error


def read_state(folder: Path) -> dict[str, Any]:
    """How far a checkpoint is: `step`, `seconds`, `validation`."""
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    return {"validation": None, **state}


def optimizer_weights(optimizers: list[torch.optim.Optimizer]) -> Weights:
    """The state of several optimisers as one flat table of tensors."""
    flat = {}
    for i, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                flat[f"{i}.{index}.{key}"] = value
    return flat


def load_optimizers(optimizers: list[torch.optim.Optimizer], flat: Weights) -> None:
    """The inverse of `optimizer_weights`."""
    for i, optimizer in enumerate(optimizers):
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in flat.items():
            which, index, key = name.split(".")
            if int(which) == i:
                states.setdefault(int(index), {})[key] = value
        optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
