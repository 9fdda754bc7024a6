"""How many kilobytes a picture takes as JPEG: a reward that no network gives and everybody can check.

Source  Black et al. 2023, DDPO (arXiv:2305.13301, sec. 5.1): compressibility and incompressibility, there at
        quality 95 of 512 px pictures.
Units   kilobytes of 1000 bytes. At 64 px some 0.6 of them are the file's head, which is the same for all.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from pictura.core import images as core_images
from pictura.core.errors import ConfigError
from pictura.core.types import Prompt
from pictura.reward.types import Scores


@dataclass(frozen=True, kw_only=True, slots=True)
class CompressibilitySettings:
    """How pictures are written."""

    quality: int = 95
    """Of PIL's JPEG, 1 to 95."""

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 95:
            raise ConfigError(f"jpeg: quality must be from 1 to 95; got {self.quality}.")

    def build(self, device: str) -> "Jpeg":
        """The reward."""
        return Jpeg(self.quality, larger=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class IncompressibilitySettings(CompressibilitySettings):
    """The same the other way round."""

    def build(self, device: str) -> "Jpeg":
        """The reward."""
        return Jpeg(self.quality, larger=True)


class Jpeg:
    """Kilobytes as JPEG, or how few they are."""

    differentiable = False

    def __init__(self, quality: int = 95, *, larger: bool) -> None:
        self.name = "jpeg-incompressibility" if larger else "jpeg-compressibility"
        self.value_range = (0.0, torch.inf) if larger else (-torch.inf, 0.0)
        self._quality, self._sign = quality, 1 if larger else -1

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        """Score B pictures, see `Reward`."""
        kilobytes = torch.full((len(images),), torch.nan)
        whole = images.detach().isfinite().all(dim=3).all(dim=2).all(dim=1).cpu()
        pictures = core_images.to_pil(images.detach().float().cpu()[whole].numpy())
        kilobytes[whole] = torch.tensor([self._size(picture) / 1000 for picture in pictures])
        return Scores(total=(self._sign * kilobytes).to(images.device), valid=whole.to(images.device))

    def _size(self, picture: Image.Image) -> int:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=self._quality)
        return file.tell()
