"""What unCLIP's upsamplers learn: to name the picture under noise, from a small one that was made worse.

Source  Ramesh et al. 2022, unCLIP (arXiv:2204.06125), section 2.1: crops of a quarter of the area;
        `train/unclips/degrade.py` has what happens to the small pictures, `train/tasks/diffusion.py` the
        error.
Letters B pictures, C channels, H W size of a crop, h w size of the small one.
Units   pictures in [-1, 1]; t in [0, 1], 1 = noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.types import Batch, BatchSource
from pictura.encode.tokenizer import Tokenizer
from pictura.families.unclip.presets import get_preset
from pictura.families.unclip.upsampler import Upsampler, UpsamplerConfig
from pictura.sample.diffusion_steps import follow, steps_down
from pictura.sample.schedules import time_grid
from pictura.train.materials import Materials
from pictura.train.recipe import Recipe, TrainingSettings, from_table
from pictura.train.start import Start, part, require
from pictura.train.tasks.diffusion import (
    MOST_WEIGHT,
    diffusion_loss,
    draw_noise,
    draw_times,
    noisy,
    shrink,
    unit,
)
from pictura.train.unclips.degrade import DEGRADE

PREVIEW_STEPS = 4


class UpsamplerStep(nn.Module):
    """An upsampler with its loss: the module that a training step runs."""

    def __init__(self, upsampler: Upsampler, *, most_weight: float = MOST_WEIGHT) -> None:
        super().__init__()
        self.most_weight = most_weight
        self.upsampler = upsampler

    def forward(self, x_0: Tensor, noise: Tensor, t: Tensor, low: Tensor) -> Tensor:
        """Mean squared error of what is predicted.

        Args:
            x_0: (B, C, H, W) pictures.
            noise: the same shape, standard normal.
            t: (B,) times.
            low: (B, C, h, w) small ones.

        Returns:
            (B,) one loss per picture.
        """
        config = self.upsampler.config
        said = self.upsampler(noisy(x_0, noise, t, config.schedule), t, low)
        return diffusion_loss(
            said,
            x_0,
            noise,
            t,
            prediction=config.prediction,
            schedule=config.schedule,
            most_weight=self.most_weight,
        )


class UpsamplerTask:
    """Turns batches into the inputs of `UpsamplerStep`, and shows small pictures above their large ones."""

    tokenizer = None

    def __init__(
        self,
        module: UpsamplerStep,
        recipe: Recipe,
        *,
        device: torch.device,
        learnt_from: Sequence[str] = (),
    ) -> None:
        """Keep the parts.

        Args:
            module: the upsampler.
            recipe: of the training.
            device: where it computes.
            learnt_from: the sources of what the run started from, for the card.
        """
        self.module, self.device = module, device
        self.training: TrainingSettings = recipe.training
        self.degrade = DEGRADE[recipe.unclip.degradation]
        self.factor = recipe.data.size // module.upsampler.config.size
        self.learnt_from = tuple(dict.fromkeys(learnt_from))

    def inputs(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Crops, noise, times, and the small crops, which in training were made worse."""
        x_0 = self.crop(self.large(batch), rng)
        t = draw_times(len(x_0), rng, shift=self.training.time_shift).to(self.device)
        noise, low = draw_noise(x_0, rng), self.small(x_0)
        return x_0, noise, t, self.degrade(low, rng) if self.module.training else low

    def large(self, batch: Batch) -> Tensor:
        """Pictures of the size that the upsampler makes, (B, C, size, size) in [-1, 1]."""
        config = self.module.upsampler.config
        return shrink(torch.as_tensor(batch.images).to(self.device), config.size, config.image_channels)

    def small(self, x_0: Tensor) -> Tensor:
        """What it makes them from: their averages over squares."""
        return F.avg_pool2d(x_0, self.module.upsampler.config.factor)

    def crop(self, x_0: Tensor, rng: np.random.Generator) -> Tensor:
        """A quarter of each picture's area, at a place of its own where small pixels begin."""
        config = self.module.upsampler.config
        side, places = config.crop, (config.size - config.crop) // config.factor + 1
        corners = rng.integers(0, places, (len(x_0), 2)) * config.factor
        rows = [
            x[:, top : top + side, left : left + side] for x, (top, left) in zip(x_0, corners, strict=True)
        ]
        return torch.stack(rows).contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def preview(self, recipe: Recipe, materials: Materials, count: int) -> Tensor:
        """Rows of small pictures that are never trained on, each above the large one made from it."""
        upsampler, x_0 = self.module.upsampler, self.large(materials.validation.batch(0, count // 2))
        low, noise = self.small(x_0), draw_noise(x_0, np.random.default_rng(0))
        path = steps_down(noise, time_grid(PREVIEW_STEPS), schedule=upsampler.config.schedule)
        made: Tensor = follow(path, lambda x_t, t: upsampler.denoise(x_t, t, low))
        seen = F.interpolate(low, x_0.shape[2:], mode="nearest")
        rows = zip(unit(seen).split(8), unit(made).split(8), strict=True)
        return torch.cat([row for pair in rows for row in pair])

    def finish(self, train: BatchSource, weights: Sequence[Mapping[str, Tensor]]) -> None:
        """Nothing is left to do."""

    def frozen(self) -> dict[str, Tensor]:
        """Nothing is used that is not trained."""
        return {}

    def resume(self, tokenizer: Tokenizer, frozen: Mapping[str, Tensor], where: Path) -> None:
        """Nothing to do: there are no captions."""

    def config(self) -> dict[str, Any]:
        """What the network is, for checkpoints."""
        return {"upsampler": asdict(self.module.upsampler.config), "data": list(self.learnt_from)}


def build(
    recipe: Recipe, root: Path, start: Start | None, materials: Materials, device: torch.device
) -> tuple[UpsamplerTask, tuple[str, ...]]:
    """Make an upsampler, from noise or from `start`.

    Raises:
        ConfigError: pictures are too small.
    """
    if start:
        require(start, "upsampler", recipe)
        config = from_table(UpsamplerConfig, start.config["upsampler"], "upsampler")
    else:
        table = get_preset("upsampler", recipe.model.preset) | recipe.model.upsampler
        config = from_table(UpsamplerConfig, table, "model.upsampler")
    upsampler = Upsampler(config)
    if start:
        upsampler.load_state_dict(part(start.weights, "upsampler"))
    module = UpsamplerStep(upsampler, most_weight=recipe.unclip.most_weight).to(device)
    learnt_from = start.config.get("data", ()) if start else ()
    task = UpsamplerTask(module, recipe, device=device, learnt_from=learnt_from)
    task.large(materials.train.batch(0, 1))  # refuses pictures that are too small
    return task, ()
