"""A whole model folder of a tiny untrained adversarial painter, for every test that needs one."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pictura.encode.damsm.config import DamsmConfig
from pictura.encode.damsm.model import WordEncoder
from pictura.encode.tokenizer import Tokenizer
from pictura.nn.gan import GanFamily
from pictura.nn.one_pass import OnePassParts
from pictura.store.models import ModelInfo
from pictura.train import checkpoint
from pictura.train.export.checkpoint import export_checkpoint
from pictura.train.gans.gan import FAMILIES
from pictura.train.recipe import ONE_PASS
from tests.tiny_model import CAPTIONS, PROVENANCE, WORDS

SIDE = 16
WIDTH = 8
CONFIGS: dict[str, dict[str, Any]] = {
    "stackgan": {"base_size": 8, "num_scales": 2, "width": 4, "noise_width": 5, "condition_width": 3},
    "attngan": {"base_size": 8, "num_scales": 2, "width": 4, "noise_width": 5, "condition_width": 3},
    "dfgan": {"side": SIDE, "width": 4, "noise_width": 5},
}
"""Family to what makes its smallest painter."""


def make_checkpoint(run: Path, family: str, *, std: float = 0.5, **more: Any) -> OnePassParts:
    """A checkpoint of an untrained run, and the networks in it; `more` are fields of the family's config."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.train(CAPTIONS, vocab_size=300, max_tokens=16)
    kind: GanFamily = FAMILIES.get(family)
    config = kind.config(**{"image_channels": 4, "text_width": WIDTH, **CONFIGS[family], **more})
    text = DamsmConfig(vocab_size=tokenizer.vocab_size, embedding=6, width=WIDTH)
    parts = OnePassParts(WordEncoder(text), kind.generator(config)).eval()
    for name, weight in parts.state_dict().items():
        if name.endswith("running_var"):
            nn.init.uniform_(weight, 0.5, 2.0)
        else:
            nn.init.normal_(weight, std=std)  # those that start at zero or one would hide mistakes
        weight.copy_(weight.half())  # as the folder keeps them
    weights = parts.state_dict()
    saved = checkpoint.Checkpoint(
        step=7,
        seconds=1800,
        config={
            "gan": asdict(config),
            "text_encoder": asdict(text),
            "max_tokens": tokenizer.max_tokens,
            "data": list(PROVENANCE.data),
            "sampling": ONE_PASS.table(),
            "recipe": {"task": family, "log": {"prompts": ["a red fox", "a blue ball"]}},
        },
        weights={
            "ema_long": {
                "discriminators.0.weight": torch.ones(1),
                **{name: one for name, one in weights.items() if name.startswith("generator.")},
            },
            "frozen": {
                "matcher.scale": torch.ones(1),
                **{name: one for name, one in weights.items() if name.startswith("text_encoder.")},
            },
        },
        tokenizer=tokenizer.to_text(),
        words=WORDS,
    )
    checkpoint.save(saved, run / "checkpoints")
    return parts


def make_gan(folder: Path, family: str, **more: Any) -> ModelInfo:
    """Export one by way of a checkpoint."""
    with tempfile.TemporaryDirectory() as run:
        make_checkpoint(Path(run), family, **more)
        return export_checkpoint(Path(run), folder, name=family, provenance=PROVENANCE)
