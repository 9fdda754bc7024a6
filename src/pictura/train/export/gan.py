"""A trained adversarial painter to its folder, with graphs that are proven equal to torch.

    text_encoder  token_ids (1, T) -> tokens (1, T, D), sentence (1, D)
    generator     noise (B, N), and of tokens (B, T, D), mask (B, T), sentence (B, D) what the family reads
                  -> images (B, C, S, S) in [0, 1] and, where it attends to words, attention (B, T, h, w)

Letters B batch, C channels, S side, T text tokens, D text width, N noise numbers.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from pictura.core.types import Conditioning, OnePassBackend
from pictura.encode.damsm.painter import make_parts, read_parts
from pictura.encode.tokenizer import Tokenizer
from pictura.nn.gan import GanFamily
from pictura.nn.one_pass import OnePassParts, TorchOnePass
from pictura.runtime.onnx_one_pass import OnnxOnePass
from pictura.store.models import AS_LEARNT, ModelInfo, read_model
from pictura.train.export.graphs import Graph, Tracing, check_same, trace, with_distinct_weights
from pictura.train.export.painter import export_painter
from pictura.train.export.part import Provenance, completed, trained
from pictura.train.gans.gan import FAMILIES
from pictura.train.recipe import ONE_PASS


class TextGraph(nn.Module):
    """(1, T) token ids of one prompt without padding, to (1, T, D) and (1, D)."""

    def __init__(self, parts: OnePassParts) -> None:
        super().__init__()
        self.text_encoder = parts.text_encoder
        self._read = parts.read

    def forward(self, token_ids: Tensor) -> tuple[Tensor, Any]:
        """Read the prompt."""
        cond = self._read(token_ids)
        return cond.tokens, cond.sentence


class GeneratorGraph(nn.Module):
    """Noise and what the prompt says to pictures and, if there is any, attention."""

    def __init__(self, parts: OnePassParts) -> None:
        super().__init__()
        self.generator = parts.generator
        self._paint = parts.paint

    def forward(self, noise: Tensor, tokens: Tensor, mask: Tensor, sentence: Tensor) -> tuple[Tensor, ...]:
        """Paint."""
        made = self._paint(noise, Conditioning(tokens=tokens, mask=mask, sentence=sentence))
        return (made.images,) if made.attention is None else (made.images, made.attention)


def gan_graphs(parts: OnePassParts) -> dict[str, Graph]:
    """`text_encoder` and `generator` without weights."""
    copy = with_distinct_weights(parts)
    batch, tokens = Dim("B", max=4096), Dim("T", max=4096)
    given = _example(copy)
    shapes = {
        "noise": {0: batch},
        "tokens": {0: batch, 1: tokens},
        "mask": {0: batch, 1: tokens},
        "sentence": {0: batch},
    }
    one_prompt = {"token_ids": torch.ones(1, 3, dtype=torch.int64)}
    tracings = {
        "text_encoder": Tracing(TextGraph(copy), one_prompt, {"token_ids": {1: tokens}}),
        "generator": Tracing(GeneratorGraph(copy), given, shapes),
    }
    return trace(tracings, set(copy.state_dict()), spare=_spare(copy, given))


def _example(parts: OnePassParts) -> dict[str, Tensor]:
    """Inputs of the generator for 2 pictures of 3 tokens."""
    cond = parts.read(torch.ones(1, 3, dtype=torch.int64))
    assert cond.sentence is not None
    return {
        "noise": torch.zeros(2, parts.generator.noise_size),
        "tokens": cond.tokens.expand(2, -1, -1).contiguous(),
        "mask": torch.ones(2, 3, dtype=torch.bool),
        "sentence": cond.sentence.expand(2, -1).contiguous(),
    }


def _spare(parts: OnePassParts, given: dict[str, Tensor]) -> set[str]:
    """Names of weights that no finest picture depends on: heads of the coarser ones."""
    parts.generator.requires_grad_(True)
    GeneratorGraph(parts)(**given)[0].sum().backward()
    spare = {f"generator.{name}" for name, one in parts.generator.named_parameters() if one.grad is None}
    parts.generator.requires_grad_(False)
    return spare


def export_gan(
    run: Path,
    folder: Path,
    *,
    name: str,
    weights: str = "ema_long",
    provenance: Provenance | None = None,
) -> ModelInfo:
    """Export the newest checkpoint of an adversarial run; see `export_painter`.

    Args:
        run: folder of a run, or of one checkpoint.
        folder: of the model.
        name: of the model.
        weights: which of the checkpoint's weights.
        provenance: for the card; the recipe and the length of the training are filled in.

    Raises:
        TrainingError: there is no whole checkpoint, or it holds no generator with such weights.
        ModelError: weights do not fit fp16, or ONNX and torch differ.
    """
    saved = trained(run, "gan", weights)
    config, task = saved.config, saved.config["recipe"]["task"]
    family: GanFamily = FAMILIES.get(task)
    parts = make_parts(family, config, where=str(run))
    found = {**saved.weights["frozen"], **saved.weights[weights]}
    ours = ("generator.", "text_encoder.")
    parts.load_state_dict({key: value for key, value in found.items() if key.startswith(ours)})
    parts.eval().requires_grad_(False)
    side = parts.generator.sizes[-1]
    return export_painter(
        folder,
        name=name,
        family=task,
        tables={
            "gan": config["gan"],
            "text_encoder": config["text_encoder"],
            "attention": len(GeneratorGraph(parts)(**_example(parts))) > 1,
        },
        weights=parts.state_dict(),
        tokenizer=Tokenizer.from_text(saved.tokenizer, max_tokens=config["max_tokens"]),
        words=saved.words,
        graphs=gan_graphs(parts),
        grids=[(side, side)],
        factor=1,
        sampling=ONE_PASS,
        provenance=completed(provenance, saved, weights),
        prompts=config["recipe"].get("log", {}).get("prompts", ()),
        verify=verify_gan,
    )


def verify_gan(folder: Path) -> None:
    """Compare ONNX Runtime with torch on an adversarial painter's folder: short text and long.

    Raises:
        ModelError: a number differs too much, see `check_same`.
    """
    model = read_model(folder)
    model.verify()
    parts = read_parts(FAMILIES.get(model.family), model)
    there: OnePassBackend = TorchOnePass(parts, device="cpu", strength=AS_LEARNT)
    here = OnnxOnePass(model, num_threads=1)
    rng = np.random.default_rng(0)
    for num_tokens in (1, model.max_tokens):
        token_ids = rng.integers(model.manifest["text_encoder"]["vocab_size"], size=num_tokens)
        noise = rng.standard_normal((2, here.noise_size), dtype=np.float32)
        read, heard = there.encode_text(token_ids), here.encode_text(token_ids)
        pairs = {
            "text_encoder": ((heard.tokens, read.tokens), (heard.sentence, read.sentence)),
            "generator": tuple(zip(here.paint(noise, heard), there.paint(noise, read), strict=True)),
        }
        for graph, arrays in pairs.items():
            for got, expected in arrays:
                if expected is not None:
                    where = f"{graph}.onnx differs from torch at {num_tokens} tokens"
                    check_same(got, np.asarray(expected), where)
