"""A trained CLIP to its folder, with graphs that are proven equal to torch."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from pictura.encode.clip.config import SIZE, ClipConfig
from pictura.encode.clip.load import ClipModel
from pictura.encode.clip.model import Clip
from pictura.encode.tokenizer import Tokenizer
from pictura.runtime.onnx_clip import OnnxClip
from pictura.store.models import ModelInfo
from pictura.train.export.graphs import Graph, Tracing, check_same, trace, with_distinct_weights
from pictura.train.export.part import Provenance, completed, export_part, trained
from pictura.train.recipe import from_table
from pictura.train.start import part

ABOUT = (
    "Two towers that give a picture of 64 pixels on light grey and an English caption a vector each, of "
    "length 1 and {dim} numbers; their cosine says how well the two agree. It learnt from emoji, icons and "
    "sprites and from scenes composed of them, and knows no photograph. It learnt to choose among captions "
    "for one picture, and among pictures for one caption: a cosine alone says little."
)


class ImageGraph(nn.Module):
    """(B, 3, 64, 64) pictures on light grey to (B, dim)."""

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self.image_tower = clip.image_tower
        self._embed = clip.embed_images

    def forward(self, images: Tensor) -> Tensor:
        """See pictures."""
        return self._embed(images)


class TextGraph(nn.Module):
    """(1, T) token ids of one caption without padding to (1, dim)."""

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self.text_encoder, self.text_out = clip.text_encoder, clip.text_out
        self._embed = clip.embed_text

    def forward(self, token_ids: Tensor) -> Tensor:
        """Read a caption."""
        return self._embed(token_ids, torch.ones_like(token_ids, dtype=torch.bool))


def clip_graphs(clip: Clip) -> dict[str, Graph]:
    """`image_encoder` and `text_encoder` without weights."""
    copy = with_distinct_weights(clip)
    batch, tokens = Dim("B", max=4096), Dim("T", max=4096)
    images = {"images": torch.zeros(2, 3, SIZE, SIZE)}
    caption = {"token_ids": torch.ones(1, 3, dtype=torch.int64)}
    tracings = {
        "image_encoder": Tracing(ImageGraph(copy), images, {"images": {0: batch}}),
        "text_encoder": Tracing(TextGraph(copy), caption, {"token_ids": {1: tokens}}),
    }
    weights = {name for name, value in copy.state_dict().items() if value.is_floating_point()}
    return trace(tracings, weights - {"log_scale"})


def export_clip(
    run: Path,
    folder: Path,
    *,
    name: str,
    weights: str = "ema_long",
    provenance: Provenance | None = None,
) -> ModelInfo:
    """Export the newest checkpoint of a CLIP's run; see `export_part`.

    Args:
        run: folder of a run, or of one checkpoint.
        folder: of the part.
        name: of the part.
        weights: which of the checkpoint's weights.
        provenance: for the card; the recipe and the length of the training are filled in.

    Raises:
        TrainingError: there is no whole checkpoint, or it holds no CLIP with such weights.
        ModelError: weights do not fit fp16, or ONNX and torch differ.
    """
    saved = trained(run, "clip", weights)
    said = completed(provenance, saved, weights)
    config = from_table(ClipConfig, saved.config["clip"], "clip")
    clip = Clip(config)
    clip.load_state_dict(part(dict(saved.weights[weights]), "clip"))
    return export_part(
        folder,
        name=name,
        family="clip",
        config={"clip": asdict(config), "size": SIZE},
        weights=clip.state_dict(),
        tokenizer=Tokenizer.from_text(saved.tokenizer, max_tokens=saved.config["max_tokens"]),
        graphs=clip_graphs(clip),
        provenance=said,
        card_text="\n\n".join(text for text in (ABOUT.format(dim=config.dim), said.about) if text),
        verify=verify_clip,
    )


def verify_clip(folder: Path) -> None:
    """Compare ONNX Runtime with torch on a CLIP's folder: one picture and several, short text and long.

    Raises:
        ModelError: a number differs too much, see `check_same`.
    """
    with_torch, without = ClipModel.load(folder), OnnxClip(folder)
    images = np.random.default_rng(0).random((3, 3, SIZE, SIZE), dtype=np.float32)
    captions = ("", "a red fox", "two apples to the left of a blue ball on a light grey background")
    pairs = {
        "image_encoder": (with_torch.embed_images(images), without.embed_images(images)),
        "image_encoder, one picture,": (
            with_torch.embed_images(images[:1]),
            without.embed_images(images[:1]),
        ),
        "text_encoder": (with_torch.embed_text(captions), without.embed_text(captions)),
    }
    for graph, (expected, got) in pairs.items():
        check_same(got, expected, f"{graph} of {folder} differs from torch")
