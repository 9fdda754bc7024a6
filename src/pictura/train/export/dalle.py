"""A trained DALL-E to its folder, with graphs that are proven equal to torch.

    reader    token_ids (1, T), mask (1, T), causal (P, P) -> logits (1, V) of code 0, keys and values of the
              prefix (M, 1, N, P, K)
    painter   codes (B,), index (); row, column and conv (P + W,), where blocks of each mask look; and of each
              block i keys_i and values_i (B, N, P + W, K), as `sample/token_memory.py` keeps them
              -> logits (B, V) of code index + 1, keys and values of this code (B, N, M, K)
    decoder   codes (B, h, w) -> images (B, C, H, W) in [0, 1]
    encoder   images (B, C, H, W) -> codes (B, h, w)

Each block's memory is an input of its own, so that the graph reads it where it lies, without a copy.

Letters B pictures, T text tokens, P prefix positions (text, start-of-image), L image tokens, S = P + L,
        M blocks, N heads, K head width, V codes, h w token grid, C channels, H W picture size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from pictura.encode.dvae.config import DvaeConfig
from pictura.encode.dvae.model import Dvae
from pictura.encode.tokenizer import Tokenizer, pad
from pictura.families.dalle.backend import DalleParts
from pictura.families.dalle.model import DalleConfig, DalleTransformer
from pictura.runtime.onnx_tokens import OnnxTokens
from pictura.sample.autoregressive import TokenLaw
from pictura.sample.token_masks import KINDS
from pictura.sample.token_memory import TokenMemory
from pictura.store.models import ModelInfo, Sampling, read_model
from pictura.train.export.graphs import Graph, Tracing, check_same, trace, with_distinct_weights
from pictura.train.export.painter import export_painter
from pictura.train.export.part import Provenance, completed, trained
from pictura.train.recipe import from_table


class ReaderGraph(nn.Module):
    """A prompt to the logits of the first code, and what is remembered of the prompt."""

    def __init__(self, parts: DalleParts) -> None:
        super().__init__()
        self.transformer = parts.transformer

    def forward(self, token_ids: Tensor, mask: Tensor, causal: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read."""
        return self.transformer.prefill(token_ids, mask, causal)


class PainterGraph(nn.Module):
    """A code of each picture to the logits of the next, and what is remembered of it."""

    def __init__(self, parts: DalleParts) -> None:
        super().__init__()
        self.transformer = parts.transformer

    def forward(
        self, codes: Tensor, index: Tensor, row: Tensor, column: Tensor, conv: Tensor, *memory: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Go on by one code; `memory` is the keys of every block, then the values of every block."""
        half = len(memory) // 2
        return self.transformer.step(codes, index, (row, column, conv), memory[:half], memory[half:])


class CodesGraph(nn.Module):
    """Codes to pictures."""

    def __init__(self, parts: DalleParts) -> None:
        super().__init__()
        self.dvae = parts.dvae

    def forward(self, codes: Tensor) -> Tensor:
        """Decode."""
        return self.dvae.decode(codes)


class PicturesGraph(nn.Module):
    """Pictures to codes."""

    def __init__(self, parts: DalleParts) -> None:
        super().__init__()
        self.dvae = parts.dvae

    def forward(self, images: Tensor) -> Tensor:
        """Encode."""
        return self.dvae.encode(images)


def dalle_graphs(parts: DalleParts) -> dict[str, Graph]:
    """`reader`, `painter`, `decoder` and `encoder` without weights."""
    copy = with_distinct_weights(parts)
    config, dvae = copy.transformer.config, copy.dvae.config
    num_prefix, blocks = config.num_prefix, range(config.num_blocks)
    batch, rows, cols = Dim("B", max=4096), Dim("h", max=512), Dim("w", max=512)
    plan = config.memory_plan()
    past = torch.zeros(config.num_blocks, 1, config.num_heads, num_prefix, config.width // config.num_heads)
    memory = TokenMemory(plan, past, past, num=2, zeros=torch.zeros)
    prompt = {
        "token_ids": torch.ones(1, config.max_tokens, dtype=torch.int64),
        "mask": torch.ones(1, config.max_tokens, dtype=torch.bool),
        "causal": torch.ones(num_prefix, num_prefix, dtype=torch.bool),
    }
    step = {
        "codes": torch.zeros(2, dtype=torch.int64),
        "index": torch.tensor(0),
        **{kind: torch.tensor(one[0]) for kind, one in zip(KINDS, plan.allowed(), strict=True)},
        **{f"keys_{i}": memory.keys[i] for i in blocks},
        **{f"values_{i}": memory.values[i] for i in blocks},
    }
    step_shapes = {
        "codes": {0: batch},
        "index": None,
        **dict.fromkeys(KINDS),
        "memory": tuple({0: batch} for _ in (*blocks, *blocks)),
    }
    codes = {"codes": torch.zeros(2, 2, 3, dtype=torch.int64)}
    images = {"images": torch.zeros(2, dvae.image_channels, 2 * dvae.factor, 3 * dvae.factor)}
    image_shapes = {"images": {0: batch, 2: dvae.factor * rows, 3: dvae.factor * cols}}
    tracings = {
        "reader": Tracing(ReaderGraph(copy), prompt, dict.fromkeys(prompt)),
        "painter": Tracing(PainterGraph(copy), step, step_shapes),
        "decoder": Tracing(CodesGraph(copy), codes, {"codes": {0: batch, 1: rows, 2: cols}}),
        "encoder": Tracing(PicturesGraph(copy), images, image_shapes),
    }
    spare = {f"transformer.text_out.{name}" for name in ("weight", "bias")}
    return trace(tracings, set(copy.state_dict()), spare=spare)


def export_dalle(
    run: Path,
    folder: Path,
    *,
    name: str,
    weights: str = "ema_long",
    provenance: Provenance | None = None,
    sampling: Mapping[str, Any] | None = None,
) -> ModelInfo:
    """Export the newest checkpoint of a run; see `export_painter`.

    Args:
        run: folder of a run, or of one checkpoint.
        folder: of the model.
        name: of the model.
        weights: which of the checkpoint's weights.
        provenance: for the card; the recipe and the length of the training are filled in.
        sampling: settings of `Sampling` that replace the recipe's: guidance_scale, temperature, top_k.

    Raises:
        TrainingError: there is no whole checkpoint, or it holds no transformer with such weights.
        ConfigError: a setting of sampling is out of range.
        ModelError: weights do not fit fp16, or ONNX and torch differ.
    """
    saved = trained(run, "transformer", weights)
    config = saved.config
    parts = DalleParts(
        DalleTransformer(from_table(DalleConfig, config["transformer"], "transformer")),
        Dvae(from_table(DvaeConfig, config["dvae"], "dvae")),
    )
    parts.load_state_dict({**saved.weights["frozen"], **saved.weights[weights]})
    how = from_table(Sampling, {**config["sampling"], **(sampling or {})}, "sampling")
    shape = parts.transformer.config
    law = TokenLaw(temperature=how.temperature, top_k=how.top_k, guidance_scale=how.guidance_scale)
    law.check(shape.num_codes)
    return export_painter(
        folder,
        name=name,
        family="dalle",
        tables={"transformer": config["transformer"], "dvae": config["dvae"]},
        weights=parts.state_dict(),
        tokenizer=Tokenizer.from_text(saved.tokenizer, max_tokens=config["max_tokens"]),
        words=saved.words,
        graphs=dalle_graphs(parts),
        grids=[(shape.rows, shape.cols)],
        factor=parts.dvae.config.factor,
        sampling=how,
        provenance=completed(provenance, saved, weights),
        prompts=config["recipe"].get("log", {}).get("prompts", ()),
        verify=verify_dalle,
    )


@torch.no_grad()
def verify_dalle(folder: Path) -> None:
    """Compare ONNX Runtime, token by token, with torch, all tokens at once, on a model folder.

    Raises:
        ModelError: a number differs too much, see `check_same`, or a picture gets other codes.
    """
    model = read_model(folder)
    model.verify()
    parts, here = DalleParts.from_folder(model), OnnxTokens(model, num_threads=1)
    config = parts.transformer.config
    rng = np.random.default_rng(0)
    codes_BL = rng.integers(config.num_codes, size=(2, config.length))
    for num_tokens in (1, config.max_tokens):
        text = rng.integers(config.vocab_size, size=num_tokens)
        ids, mask = (torch.from_numpy(x).repeat(2, 1) for x in pad([text.tolist()], config.max_tokens))
        expected_BLV = parts.transformer(ids, mask, torch.from_numpy(codes_BL)).image.numpy()
        logits, cache = here.start(text, 2)
        where = f"reader.onnx differs from torch at {num_tokens} tokens"
        for k in range(config.length):
            check_same(logits, expected_BLV[:, k], where)
            where = f"painter.onnx differs from torch at {num_tokens} tokens and code {k}"
            if k + 1 < config.length:
                logits = here.step(codes_BL[:, k], k, cache)
    codes_Bhw = codes_BL.reshape(2, config.rows, config.cols)
    images = parts.dvae.decode(torch.from_numpy(codes_Bhw))
    check_same(here.decode(codes_Bhw), images.numpy(), "decoder.onnx differs from torch")
    logits_BVhw = parts.dvae.logits(images).numpy()
    chosen_B1hw = here.encode(images.numpy())[:, None]
    # Of two codes that are as likely, either may be taken.
    chosen = np.take_along_axis(logits_BVhw, chosen_B1hw, axis=1)
    check_same(chosen, logits_BVhw.max(axis=1, keepdims=True), "encoder.onnx differs from torch")
