"""A tiny untrained DALL-E, as networks, as a checkpoint and as a model folder."""

import json
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pictura.encode.dvae.config import DvaeConfig
from pictura.encode.dvae.config import get_preset as dvae_preset
from pictura.encode.dvae.model import Dvae
from pictura.encode.tokenizer import Tokenizer
from pictura.families.dalle.backend import DalleParts
from pictura.families.dalle.model import DalleConfig, DalleTransformer
from pictura.store.models import MANIFEST, ModelInfo, read_model
from pictura.store.weights import WEIGHTS
from pictura.train import checkpoint
from pictura.train.export.checkpoint import export_checkpoint
from pictura.train.export.part import write_manifest
from pictura.train.recipe import BY_TOKENS
from tests.tiny_model import CAPTIONS, PROVENANCE, WORDS

TOKENS = 12
"""T, the text positions."""
GRID = (3, 4)
"""(h, w): rows and columns differ, and so do the sides of pictures, 12 x 16."""


def make_tokenizer() -> Tokenizer:
    """Of the captions of `tiny_model`."""
    return Tokenizer.train(CAPTIONS, vocab_size=300, max_tokens=TOKENS)


def make_parts(*, std: float = 0.2, num_blocks: int = 3, **more: Any) -> DalleParts:
    """Untrained networks whose weights have deviation `std`; `more` are fields of `DalleConfig`.

    Weights are what 16 bits hold, as in a model folder.
    """
    torch.manual_seed(0)
    dvae: DvaeConfig = dvae_preset("micro")
    config = DalleConfig(
        **{
            "vocab_size": make_tokenizer().vocab_size,
            "num_codes": dvae.vocab_size,
            "max_tokens": TOKENS,
            "rows": GRID[0],
            "cols": GRID[1],
            "width": 16,
            "num_blocks": num_blocks,
            "num_heads": 2,
            **more,
        }
    )
    parts = DalleParts(DalleTransformer(config), Dvae(dvae)).eval().requires_grad_(False)
    for weight in parts.state_dict().values():
        nn.init.normal_(weight, std=std)  # those that start at zero or one would hide mistakes
        weight.copy_(weight.half())
    return parts


def sharpen(parts: DalleParts) -> DalleParts:
    """Let untrained networks be sure of what they guess, as trained ones are."""
    parts.transformer.code_out.weight.mul_(8)
    parts.transformer.code_embedding.weight.mul_(8)
    return parts


def make_checkpoint(run: Path, *, sharp: bool = False, **more: Any) -> DalleParts:
    """A checkpoint of an untrained run, and its networks, sharpened or not; `more` as of `make_parts`."""
    parts, tokenizer = make_parts(**more), make_tokenizer()
    if sharp:
        sharpen(parts)
    weights = parts.state_dict()
    learnt = {name: one for name, one in weights.items() if name.startswith("transformer.")}
    saved = checkpoint.Checkpoint(
        step=7,
        seconds=1800,
        config={
            "transformer": asdict(parts.transformer.config),
            "dvae": asdict(parts.dvae.config),
            "max_tokens": tokenizer.max_tokens,
            "grids": [list(GRID)],
            "data": list(PROVENANCE.data),
            "sampling": asdict(BY_TOKENS),
            "recipe": {"task": "dalle", "log": {"prompts": ["a red fox", "a blue ball"]}},
        },
        weights={
            "model": learnt,
            "ema_long": learnt,
            "frozen": {name: one for name, one in weights.items() if name.startswith("dvae.")},
        },
        tokenizer=tokenizer.to_text(),
        words=WORDS,
    )
    checkpoint.save(saved, run / "checkpoints")
    return parts


def make_dalle(folder: Path, *, name: str = "dalle", **more: Any) -> ModelInfo:
    """Export one by way of a checkpoint; `more` as of `make_checkpoint`."""
    with tempfile.TemporaryDirectory() as run:
        make_checkpoint(Path(run), **more)
        return export_checkpoint(Path(run), folder, name=name, provenance=PROVENANCE)


def flattened(base: ModelInfo, folder: Path) -> ModelInfo:
    """A copy of a model under the folder's name, whose guesses are almost those of a fair draw."""
    shutil.copytree(base.path, folder)
    weights = load_file(folder / WEIGHTS)
    for name in ("weight", "bias"):
        weights[f"transformer.code_out.{name}"] *= 0.01
    save_file(weights, folder / WEIGHTS)
    manifest = json.loads((folder / MANIFEST).read_text())
    write_manifest(folder, {**manifest, "name": folder.name})
    return read_model(folder)
