"""Plain pictures and an untrained CLIP, for the tests of unCLIP's trainings."""

from dataclasses import asdict
from pathlib import Path

import torch
from PIL import Image

from pictura.encode.clip.config import SIZE, get_preset
from pictura.encode.clip.model import Clip
from pictura.encode.tokenizer import Tokenizer
from pictura.store.models import ModelInfo
from pictura.train.export.part import Provenance, export_part
from tests.train.kit import COLOURS

CAPTIONS = tuple(f"a {name} picture" for name in COLOURS)


def make_pairs(folder: Path, size: int = SIZE) -> None:
    """Four plain pictures in ``folder/set``, all of them for training and for validation."""
    (folder / "set").mkdir()
    rows = ["file_name,text,split"]
    for name, colour in COLOURS.items():
        Image.new("RGB", (size, size), colour).save(folder / "set" / f"{name}.png")
        rows += [f"{name}.png,a {name} picture,{split}" for split in ("train", "validation")]
    (folder / "set" / "metadata.csv").write_text("\n".join(rows) + "\n")


def make_clip(folder: Path, *, name: str = "clip-tiny", seed: int = 0) -> ModelInfo:
    """An untrained CLIP in ``folder/name``, without graphs."""
    torch.manual_seed(seed)
    tokenizer = Tokenizer.train(CAPTIONS, vocab_size=300, max_tokens=16)
    clip = Clip(get_preset("micro", tokenizer.vocab_size))
    return export_part(
        folder / name,
        name=name,
        family="clip",
        config={"clip": asdict(clip.config), "size": SIZE},
        weights=clip.state_dict(),
        tokenizer=tokenizer,
        provenance=Provenance(),
        card_text="Knows nothing.",
    )
