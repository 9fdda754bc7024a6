"""A whole model folder of tiny untrained networks, for every test that needs one."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from pictura.encode.autoencoder import Autoencoder, AutoencoderConfig
from pictura.encode.text_encoder import TextEncoder, TextEncoderConfig
from pictura.encode.tokenizer import Tokenizer
from pictura.families.flow.backend import FlowParts
from pictura.families.flow.model import FlowConfig, FlowTransformer
from pictura.store.models import DELTA, EMBEDDED, MANIFEST, STUDENT, ModelInfo, Sampling, read_model
from pictura.train import checkpoint
from pictura.train.export.checkpoint import export_checkpoint
from pictura.train.export.part import Provenance, write_manifest

CAPTIONS = ("a red fox", "a blue ball", "a green apple on a white background")
WORDS = ("a", "red", "fox", "blue", "ball", "green", "apple", "on", "white", "background")
PROVENANCE = Provenance(data=("nothing: the weights are random",), training="Not trained at all.")
ENLARGED = {
    "scaling": "enlarger",
    "enlarged_by": f"enlarger {read_model(EMBEDDED / 'enlarger').hash[:10]}",
}
"""What pictures say that were painted small."""
SAMPLING = Sampling(solver="ab2", num_steps=3, guidance_scale=2.0, guidance_interval=(0.2, 0.9), shift=1.0)


def make_model(
    folder: Path, *, name: str = "tiny", std: float = 0.1, sampling: Mapping[str, Any] | None = None
) -> ModelInfo:
    """Export untrained networks of about 60 thousand weights, of deviation `std`, by way of a checkpoint."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.train(CAPTIONS, vocab_size=300, max_tokens=16)
    network = FlowTransformer(
        FlowConfig(latent_channels=4, patch_size=1, text_width=16, width=32, num_blocks=1, num_heads=2)
    )
    text_encoder = TextEncoder(
        TextEncoderConfig(vocab_size=tokenizer.vocab_size, width=16, num_blocks=1, num_heads=2)
    )
    autoencoder = Autoencoder(
        AutoencoderConfig(latent_channels=4, encoder_widths=(8, 8), decoder_widths=(8, 8))
    )
    for weight in (*network.parameters(), *autoencoder.parameters()):
        torch.nn.init.normal_(weight, std=std)  # those that start at zero would hide mistakes
    parts = FlowParts(network, text_encoder, autoencoder)
    saved = checkpoint.Checkpoint(
        step=7,
        seconds=1800,
        config={
            "network": asdict(network.config),
            "text_encoder": asdict(text_encoder.config),
            "autoencoder": asdict(autoencoder.config),
            "max_tokens": 16,
            "data": ["what it started from", *PROVENANCE.data],
            "grids": [[8, 8], [6, 10], [10, 6]],
            "sampling": asdict(SAMPLING),
            "recipe": {"task": "flow", "log": {"prompts": ["a red fox", "a blue ball " * 9]}},
        },
        weights={"ema_long": parts.state_dict()},
        tokenizer=tokenizer.to_text(),
        words=WORDS,
    )
    with tempfile.TemporaryDirectory() as run:
        checkpoint.save(saved, Path(run) / "checkpoints")
        return export_checkpoint(Path(run), folder, name=name, provenance=PROVENANCE, sampling=sampling)


def make_student(base: ModelInfo, folder: Path, *, name: str = "schooled") -> ModelInfo:
    """A copy of a model with a student of 2 steps, whose change is that of `make_learnt`."""
    learnt = make_learnt(base, folder, name=name)
    (folder / DELTA).rename(folder / STUDENT)
    sampling = Sampling(
        solver="euler", num_steps=2, guidance_scale=1.0, guidance_interval=(0.0, 1.0), shift=2.0
    )
    said = {"sampling": sampling.table(), "learnt": {}, "metrics": {"glyphbench": 0.3}}
    write_manifest(folder, {**learnt.manifest, "student": said})
    return read_model(folder)


def make_learnt(base: ModelInfo, folder: Path, *, name: str = "learnt") -> ModelInfo:
    """A copy of a model with a change of rank 2, large enough to be seen, to two of its matrices."""
    shutil.copytree(base.path, folder)
    torch.manual_seed(1)
    delta = {}
    for weight, rows, columns in (("patch_out", 4, 32), ("blocks.0.attention.qkv", 96, 32)):
        delta[f"network.{weight}.weight.up"] = torch.randn(rows, 2).half()
        delta[f"network.{weight}.weight.down"] = (0.1 * torch.randn(2, columns)).half()
    save_file(delta, folder / DELTA)
    write_manifest(folder, {**json.loads((folder / MANIFEST).read_text()), "name": name})
    return read_model(folder)
