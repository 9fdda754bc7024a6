"""A tiny untrained unCLIP that listens to clip-plain: networks, checkpoints of three runs, a folder."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from pictura.encode.clip.load import clip_of
from pictura.families.unclip import presets
from pictura.families.unclip.backend import ClipReader, UnclipParts
from pictura.families.unclip.decoder import Decoder, DecoderConfig
from pictura.families.unclip.prior import DiffusionPrior, PriorConfig
from pictura.families.unclip.upsampler import Upsampler, UpsamplerConfig
from pictura.store.models import ModelInfo, resolve
from pictura.train import checkpoint
from pictura.train.export.checkpoint import export_checkpoint
from tests.tiny_model import PROVENANCE, WORDS

CLIP = "clip-plain"
PROMPTS = ["a red fox", "a blue ball"]


def make_parts(*, std: float = 0.2, **decoder: Any) -> UnclipParts:
    """Untrained networks whose weights have deviation `std`; `decoder` are fields of `DecoderConfig`.

    Weights are what 16 bits hold, as in a model folder.
    """
    torch.manual_seed(0)
    shapes = {part: presets.get_preset(part, "micro") for part in ("prior", "decoder", "upsampler")}
    clip = clip_of(resolve(CLIP))
    dim, width = clip.config.dim, clip.config.text_width
    widths: dict[str, Any] = {"embed_dim": dim, "text_width": width}
    prior: dict[str, Any] = {"dim": dim, "text_width": width, "max_tokens": 48, "scale": 12.0}
    parts = UnclipParts(
        ClipReader(clip.text_encoder.config, dim),
        DiffusionPrior(PriorConfig(**{**shapes["prior"], **prior})),
        Decoder(DecoderConfig(**{**shapes["decoder"], **widths, **decoder})),
        Upsampler(UpsamplerConfig(**shapes["upsampler"])),
    ).requires_grad_(False)
    for weight in parts.parameters():
        nn.init.normal_(weight, std=std)  # those that start at zero or one would hide mistakes
    parts.clip.load_state_dict(
        {name: one for name, one in clip.state_dict().items() if name in parts.clip.state_dict()}
    )
    vectors = F.normalize(torch.randn(64, dim) + 2, dim=1)
    parts.prior.measure(vectors, vectors)
    parts.decoder.measure(vectors)
    for tensor in parts.state_dict().values():
        tensor.copy_(tensor.half())
    return parts.eval()


def make_checkpoints(runs: Path, *, parts: UnclipParts | None = None, **tables: Any) -> None:
    """Checkpoints of untrained runs `decoder`, `prior` and `upsampler` inside `runs`; see `make_parts`.

    Args:
        runs: folder of all three.
        parts: the networks; None makes some.
        tables: of configs, that replace those that a run has, such as ``sampling``.
    """
    networks = parts or make_parts()
    clip, weights = resolve(CLIP), networks.state_dict()
    told = {"name": clip.name, "hash": clip.hash, "dim": 256, "text_width": 192, "max_tokens": 48}
    for i, name in enumerate(("decoder", "prior", "upsampler")):
        learnt = {key: one for key, one in weights.items() if key.startswith(f"{name}.")}
        frozen = {key: one for key, one in weights.items() if key.startswith("clip.")}
        recipe = {"task": f"unclip-{name}", "model": {"clip_model": CLIP}, "log": {"prompts": PROMPTS}}
        config = {
            name: asdict(getattr(networks, name).config),
            "data": [f"what the {name} saw"],
            "recipe": recipe,
        }
        reads = name != "upsampler"
        saved = checkpoint.Checkpoint(
            step=7 + i,
            seconds=1800,
            config={**config, **({"clip": told, "max_tokens": 48} if reads else {}), **tables},
            weights={"model": learnt, "ema_long": learnt, "frozen": frozen if reads else {}},
            tokenizer=(clip.path / "tokenizer.json").read_text(encoding="utf-8") if reads else "",
            words=WORDS if reads else (),
        )
        checkpoint.save(saved, runs / name / "checkpoints")


def make_unclip(folder: Path, *, joined: Sequence[str] = ("prior", "upsampler"), **more: Any) -> ModelInfo:
    """Export one by way of checkpoints, under the folder's name; `more` as of `make_checkpoints`."""
    with tempfile.TemporaryDirectory() as place:
        runs = Path(place)
        make_checkpoints(runs, **more)
        return export_checkpoint(
            runs / "decoder",
            folder,
            name=folder.name,
            provenance=PROVENANCE,
            parts={name: runs / name for name in joined},
        )
