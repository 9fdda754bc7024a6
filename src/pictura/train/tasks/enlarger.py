"""What the enlarger learns: the sharp picture, from a small one as painters make them.

Sharp pictures are scenes in which things are as large as the pack has them; they are shrunk to a quarter.
Most of the small ones go through a painter's autoencoder with noise on the latent, as far as painters' own
errors go; others are blurred a little, or get noise, or stay as they are.

Letters B pictures, C channels, H W size of the sharp ones, h w of the small ones.
Units   pictures in [0, 1], alpha premultiplied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.core.types import Batch, BatchSource
from pictura.encode.autoencoder import Autoencoder, AutoencoderConfig
from pictura.encode.enlarger import FACTOR, Enlarger, EnlargerConfig, fitted
from pictura.encode.tokenizer import Tokenizer
from pictura.train.materials import Materials
from pictura.train.recipe import Recipe, from_table
from pictura.train.start import Start, part, read_start, require
from pictura.train.tasks.autoencoder import edge_error
from pictura.train.tasks.enlarger_settings import EnlargerSettings
from pictura.train.unclips.degrade import blur

_KERNELS, _SHARES = ("bilinear", "area", "bicubic"), (0.7, 0.15, 0.15)
"""How pictures are shrunk: mostly by the triangles that scenes are composed with."""
_CLEAN = 0.4
"""Share of the pictures without an autoencoder that stay as they are."""
_MOST_GRAIN = 0.02
"""Standard deviation of the noise on pixels."""


class EnlargerStep(nn.Module):
    """The enlarger with its loss: the module that a training step runs."""

    def __init__(self, enlarger: Enlarger, *, edge_weight: float) -> None:
        super().__init__()
        self.enlarger = enlarger
        self.edge_weight = edge_weight

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        """Pixel and edge loss.

        Args:
            small: (B, C, h, w).
            large: (B, C, 4 h, 4 w), the truth.

        Returns:
            (B,) one loss per picture.
        """
        made = self.enlarger(small).float()
        return (made - large).abs().mean(dim=(1, 2, 3)) + self.edge_weight * edge_error(made, large)


class EnlargerTask:
    """Turns batches into the inputs of `EnlargerStep`, and shows small pictures above their large ones."""

    tokenizer: Tokenizer | None = None
    factor = FACTOR

    def __init__(
        self,
        module: EnlargerStep,
        settings: EnlargerSettings,
        *,
        autoencoder: Autoencoder | None,
        device: torch.device,
    ) -> None:
        """Keep the parts.

        Args:
            module: network and loss.
            settings: of the recipe.
            autoencoder: of a painter, through which some of the small pictures go.
            device: where it computes.
        """
        self.module, self.settings = module, settings
        self.autoencoder, self.device = autoencoder, device

    def inputs(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Small pictures, made worse, and the sharp ones."""
        large = torch.as_tensor(batch.images).to(self.device)
        small = shrunk(large, str(rng.choice(_KERNELS, p=_SHARES)))
        count = round(self.settings.painted * len(small)) if self.autoencoder else 0
        return torch.cat([self._painted(small[:count], rng), spoilt(small[count:], rng)]), large

    @torch.no_grad()
    def _painted(self, small: Tensor, rng: np.random.Generator) -> Tensor:
        """As a painter makes them: through the autoencoder, with noise on the latent."""
        if self.autoencoder is None or not len(small):
            return small
        latent = self.autoencoder.encode(small)
        strength = rng.uniform(0, self.settings.most_noise, (len(small), 1, 1, 1)).astype(np.float32)
        noise = rng.standard_normal(latent.shape, dtype=np.float32) * strength
        return fitted(self.autoencoder.decode(latent + torch.from_numpy(noise).to(latent)))

    @torch.no_grad()
    def preview(self, recipe: Recipe, materials: Materials, count: int) -> Tensor:
        """Rows of small pictures that are never trained on, each above the large one made from it."""
        small, large = self.inputs(materials.validation.batch(0, count // 2), np.random.default_rng(0))
        made = fitted(self.module.enlarger(small))
        seen = F.interpolate(small, large.shape[2:], mode="nearest")
        return torch.cat([row for pair in zip(seen.split(8), made.split(8), strict=True) for row in pair])

    def finish(self, train: BatchSource, weights: Sequence[dict[str, Tensor]]) -> None:
        """Nothing is left to do."""

    def frozen(self) -> dict[str, Tensor]:
        """Nothing that an enlarger needs later."""
        return {}

    def resume(self, tokenizer: Tokenizer, frozen: Mapping[str, Tensor], where: Path) -> None:
        """Nothing to do: there are no captions."""

    def config(self) -> dict[str, Any]:
        """What the network is, for checkpoints."""
        return {"enlarger": asdict(self.module.enlarger.config)}


def shrunk(large: Tensor, kernel: str) -> Tensor:
    """Pictures (B, C, H, W) a quarter as large along each side: (B, C, H / 4, W / 4)."""
    size = [side // FACTOR for side in large.shape[2:]]
    if kernel == "area":
        return F.avg_pool2d(large, FACTOR)
    return fitted(F.interpolate(large, size, mode=kernel, antialias=True, align_corners=False))


def spoilt(small: Tensor, rng: np.random.Generator) -> Tensor:
    """Blur the pictures a little and put noise on them, each to a degree of its own, some not at all."""
    if not len(small):
        return small
    kept = torch.from_numpy(rng.random((len(small), 1, 1, 1)) < _CLEAN).to(small.device)
    grain = rng.standard_normal(small.shape, dtype=np.float32)
    grain *= rng.uniform(0, _MOST_GRAIN, (len(small), 1, 1, 1)).astype(np.float32)
    return torch.where(kept, small, fitted(blur(small, rng) + torch.from_numpy(grain).to(small)))


def build(
    recipe: Recipe, root: Path, start: Start | None, materials: Materials, device: torch.device
) -> tuple[EnlargerTask, tuple[str, ...]]:
    """Make an enlarger, which begins as a smooth enlargement, or as `start`.

    Raises:
        ConfigError: the pictures' side is no multiple of 32, or they have no alpha.
    """
    if recipe.data.size % 32:
        raise ConfigError(f"An enlarger learns from sides that are multiples of 32; got {recipe.data.size}.")
    table = recipe.enlarger.network
    if start:
        require(start, "enlarger", recipe)
        table = start.config["enlarger"]
    enlarger = Enlarger(from_table(EnlargerConfig, table, "enlarger.network"))
    if start:
        enlarger.load_state_dict(part(start.weights, "enlarger"))
    autoencoder = None
    if recipe.model.autoencoder:
        space = read_start(recipe.model.autoencoder, root)
        autoencoder = Autoencoder(from_table(AutoencoderConfig, space.config["autoencoder"], "autoencoder"))
        autoencoder.load_state_dict(part(space.weights, "autoencoder"))
        autoencoder.requires_grad_(False).eval().to(device)
    module = EnlargerStep(enlarger, edge_weight=recipe.enlarger.edge_weight).to(device)
    return EnlargerTask(module, recipe.enlarger, autoencoder=autoencoder, device=device), ()
