"""A painter of plain colours, a few lines and a small recipe, for the tests of the loop."""

import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pictura.core.tables import from_table
from pictura.core.types import Conditioning
from pictura.encode.text_encoder import TextEncoder, TextEncoderConfig
from pictura.encode.tokenizer import Tokenizer
from pictura.families.flow.backend import FlowParts, PixelSpace
from pictura.families.flow.model import FlowConfig, FlowTransformer
from pictura.learn.loop import Run
from pictura.learn.recipe import LearnRecipe
from pictura.store.models import Sampling
from pictura.train import checkpoint
from pictura.train.distributed import Process
from pictura.train.export.checkpoint import export_checkpoint

ALONE = Process(rank=0, num_processes=1, device=torch.device("cpu"))
SIDE = 8
THINGS = ("fox", "sun", "cup", "car", "bee", "pear", "key", "hat", "bus", "fish")
LINES = tuple(f"{word} {thing}" for thing in THINGS for word in ("light", "dark"))


def painter_of_colours() -> tuple[FlowParts, Tokenizer]:
    """Networks that learnt to paint plain pictures of any colour; those of light things are a bit lighter."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.train(LINES, vocab_size=300, max_tokens=8)
    network = FlowTransformer(
        FlowConfig(latent_channels=3, patch_size=2, text_width=16, width=32, num_blocks=1, num_heads=2)
    )
    text_encoder = TextEncoder(
        TextEncoderConfig(vocab_size=tokenizer.vocab_size, width=16, num_blocks=1, num_heads=2)
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(200):
        lines = [LINES[int(i)] for i in torch.randint(len(LINES), (32,))]
        ids, mask = tokenizer.batch(lines)
        mask_BT = torch.from_numpy(mask)
        with torch.no_grad():
            cond = Conditioning(tokens=text_encoder(torch.from_numpy(ids), mask_BT), mask=mask_BT)
        shift = torch.tensor([0.2 if line.startswith("light") else -0.2 for line in lines])
        x_0 = shift[:, None, None, None] + (torch.rand(32, 3, 1, 1) * 1.2 - 0.6).expand(-1, -1, SIDE, SIDE)
        t = torch.rand(32)
        x_t = x_0 + t[:, None, None, None] * (torch.randn(x_0.shape) - x_0)
        optimizer.zero_grad()
        (network.predict_clean(x_t, t, cond) - x_0).square().mean().backward()
        optimizer.step()
    return FlowParts(network, text_encoder, PixelSpace()), tokenizer


def make_painter(folder: Path) -> None:
    """Their model folder, of pictures of 8x8 pixels."""
    parts, tokenizer = painter_of_colours()
    saved = checkpoint.Checkpoint(
        step=1,
        seconds=1,
        config={
            "network": asdict(parts.network.config),
            "text_encoder": asdict(parts.text_encoder.config),
            "autoencoder": None,
            "max_tokens": 8,
            "grids": [[SIDE, SIDE]],
            "sampling": asdict(
                Sampling(
                    solver="euler", num_steps=4, guidance_scale=1.0, guidance_interval=(0.0, 1.0), shift=1.0
                )
            ),
            "recipe": {"task": "flow"},
        },
        weights={"ema_long": parts.state_dict()},
        tokenizer=tokenizer.to_text(),
        words=("light", "dark"),
    )
    with tempfile.TemporaryDirectory() as run:
        checkpoint.save(saved, Path(run) / "checkpoints")
        export_checkpoint(Path(run), folder, name="painter")


def make_root(folder: Path) -> Path:
    """A folder that holds `painter` and `lines.txt`; the painter is made once for all tests."""
    made = folder.parent / "painter-of-colours"
    if not made.exists():
        make_painter(made)
    shutil.copytree(made, folder / "painter")
    (folder / "lines.txt").write_text("\n".join(LINES))
    return folder


def make_recipe(**tables: object) -> LearnRecipe:
    """A run of a few updates that makes pictures lighter."""
    base: dict[str, Any] = {
        "name": "tiny",
        "rewards": [{"name": "brightness"}],
        "model": {"base": "painter", "weights": "full"},
        "prompts": {"kind": "lines", "path": "lines.txt", "per_update": 4, "group_size": 4},
        "rollout": {"num_steps": 4, "solver": "euler", "shift": 1.0},
        "algorithm": {"name": "nft"},
        "training": {"num_updates": 4, "learning_rate": 1e-3, "warmup_updates": 1, "ema_decay": 0.5},
        "held_out": {"prompts": 2, "seeds": 4, "every": 1000},
        "log": {"sample_every": 0, "checkpoint_every": 0},
    }
    for name, table in tables.items():
        old = base.get(name)
        base[name] = {**old, **table} if isinstance(old, dict) and isinstance(table, dict) else table
    return from_table(LearnRecipe, base, "test recipe")


def run(recipe: LearnRecipe, root: Path, *, process: Process = ALONE) -> Run:
    """The run of `recipe` in ``root/runs``."""
    return Run(recipe, root, root / "runs" / recipe.name, process)


def aligned(images: Tensor, prompts: Sequence[str]) -> Tensor:
    """How light the pictures of light things are, and how dark those of dark ones."""
    sign = torch.tensor([1.0 if prompt.startswith("light") else -1.0 for prompt in prompts])
    return sign * (images.mean(dim=(1, 2, 3)) - 0.5)


_random = np.random.default_rng(0)


def shuffled(images: Tensor, prompts: Sequence[str]) -> Tensor:
    """The same, but groups were told apart by anybody's prompt."""
    names = list(dict.fromkeys(prompts))
    other = dict(zip(names, (LINES[i] for i in _random.integers(len(LINES), size=len(names))), strict=True))
    return aligned(images, [other[prompt] for prompt in prompts])


def mute(images: Tensor, prompts: Sequence[str]) -> Tensor:
    """Brightness; no number for one picture in four."""
    return _mute(images, math.nan)


def mute_otherwise(images: Tensor, prompts: Sequence[str]) -> Tensor:
    """The same with another word for no number."""
    return _mute(images, math.inf)


def _mute(images: Tensor, number: float) -> Tensor:
    light = images.mean(dim=(1, 2, 3))
    light[::4] = number
    return light


_calls = iter(range(1000))


def failing(images: Tensor, prompts: Sequence[str]) -> Tensor:
    """Fails the third time."""
    if next(_calls) == 2:
        raise KeyError("the third time")
    return images.mean(dim=(1, 2, 3))
