"""Old and new side by side: two models and prompts in, who is preferred and how much pictures differ out.

Both paint the same prompts with the same seeds, as people would see them: by the exported folder.

Letters P prompts, G pictures of each, R raw features, D width of the CLIP.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from pictura.core import images as core_images
from pictura.core.types import Prompt
from pictura.encode.clip.config import SIZE
from pictura.learn.measures import distances
from pictura.learn.taste.heads import prefers
from pictura.learn.taste.intervals import Interval, over_prompts
from pictura.learn.taste.pairs import CLIP
from pictura.pipeline import load
from pictura.reward.clip import open_clip
from pictura.reward.features import NAMES
from pictura.reward.preference import raw_features
from pictura.reward.ratings import Learnt
from pictura.sample.sizes import MIN_SIDE
from pictura.store.atomic import atomic_file
from pictura.store.models import ModelInfo

PICTURES = 4
"""G."""
_SALT = "taste"


@dataclass(frozen=True, kw_only=True, slots=True)
class Looks:
    """How a model painted prompts."""

    raw: Tensor
    """(P * G, R) raw features."""

    @property
    def spread(self) -> float:
        """Mean over prompts of how different their pictures are to clip-plain."""
        width = (self.raw.shape[1] - len(NAMES)) // 2
        return float(distances(self.raw[:, :width], PICTURES).mean())


def looks_of(
    model: ModelInfo, prompts: Sequence[Prompt], keep: Path, *, device: str, threads: int | None
) -> Looks:
    """Let a model paint prompts and keep the features of what it painted.

    Args:
        model: that paints.
        prompts: P of them.
        keep: folder for the features: what is there is not painted again.
        device: as in `pipeline.load`.
        threads: likewise.
    """
    said = hashlib.sha256("\n".join([model.hash, *(prompt.text for prompt in prompts)]).encode())
    path = keep / f"painted-{said.hexdigest()[:12]}.safetensors"
    if path.is_file():
        return Looks(raw=load_file(path)["raw"])
    towers, tokenizer = open_clip(CLIP, "cpu")
    painter = load(model.path, device=device, num_threads=threads)
    h, w = model.grids[0]
    size = (max(w * model.factor, MIN_SIDE), max(h * model.factor, MIN_SIDE))
    parts = []
    for prompt in prompts:
        pictures = painter.paint(prompt.text, num_images=PICTURES, seed=seed_of(prompt.text), size=size)
        arrays = core_images.from_pil([picture.image for picture in pictures])
        seen = np.clip(core_images.on_background(core_images.resize(arrays, (SIZE, SIZE))), 0, 1)
        with torch.no_grad():
            shown = torch.from_numpy(np.ascontiguousarray(seen))
            parts.append(raw_features(towers, tokenizer, shown, [prompt.text] * PICTURES))
    raw = torch.cat(parts)
    with atomic_file(path) as temporary:
        temporary.write_bytes(save({"raw": raw.contiguous()}))
    return Looks(raw=raw)


def seed_of(text: str) -> int:
    """The seed of a prompt's pictures: the same for every model."""
    return int.from_bytes(hashlib.sha256(f"{_SALT} {text}".encode()).digest()[:4], "big")


def wins(jury: Learnt, new: Looks, old: Looks, prompts: Sequence[Prompt]) -> Interval:
    """Share of the new pictures that a head prefers to the old ones of the same prompt and seed."""
    labels = [prompt.text for prompt in prompts for _ in range(PICTURES)]
    return over_prompts(prefers(jury, new.raw, old.raw), labels)
