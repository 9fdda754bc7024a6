"""What the discrete VAE learns: to give pictures back through a grid of codes.

Source  Ramesh et al. 2021, DALL-E (arXiv:2102.12092), appendix A.3, for losses and schedules. Differs: the
        schedules are shares of the run; docs/dvae.md lists the rest.
Letters B batch, C channels, V codes, h w grid of codes.
Units   losses in nats per number of a picture (C H W of them), which are densities: below 0 is usual.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pictura.core.errors import ConfigError
from pictura.core.images import on_background
from pictura.core.types import Batch, BatchSource
from pictura.encode.dvae.config import DvaeConfig, get_preset
from pictura.encode.dvae.losses import count_codes, kl_to_uniform, logit_laplace
from pictura.encode.dvae.model import Dvae, relax
from pictura.encode.dvae.start import start_from_patches
from pictura.encode.tokenizer import Tokenizer
from pictura.train.distributed import Process
from pictura.train.materials import Materials
from pictura.train.recipe import DvaeSettings, Recipe, from_table
from pictura.train.start import Start, part, require
from pictura.train.step import Supervised
from pictura.train.tasks.code_usage import CodeUsage

START_PICTURES = 1536
"""Whose patches are clustered before the first step."""


class Noted(NamedTuple):
    """What a forward pass saw, beside its loss."""

    counts: Tensor
    """(V,) how often each code was the likeliest."""
    numbers: dict[str, Tensor]
    """Means over the batch, for the log."""


class DvaeStep(nn.Module):
    """Discrete VAE with its loss: the module that a training step runs."""

    annealed: Tensor
    """The largest share of a run's schedules that was done, so that a later stretch does not go back."""

    def __init__(self, dvae: Dvae, settings: DvaeSettings) -> None:
        super().__init__()
        self.dvae = dvae
        self.settings = settings
        self.noted: list[Noted] = []
        self.register_buffer("annealed", torch.zeros(()))

    def forward(self, images: Tensor, noise: Tensor, temperature: Tensor, kl_weight: Tensor) -> Tensor:
        """Likelihood and KL loss.

        In training mode, pictures pass through soft codes. Otherwise they pass through their likeliest
        codes, as they will in use, and noise and temperature do nothing.

        Args:
            images: (B, C, H, W) in [0, 1].
            noise: (B, V, h, w) of the standard Gumbel distribution.
            temperature: of the relaxation, a number.
            kl_weight: a number.

        Returns:
            (B,) one loss per picture: (-ln p + kl_weight * KL summed over places) / (C H W).
        """
        logits = self.dvae.logits(images)
        codes = logits.argmax(dim=1)
        if self.training:
            statistics = self.dvae.relaxed(relax(logits, noise, temperature))
        else:
            statistics = self.dvae.decoder.of_codes(codes)
        numbers = logit_laplace(images, statistics, least_scale=self.settings.least_scale)
        nll_B = numbers.mean(dim=(1, 2, 3))
        kl_B = kl_to_uniform(logits).sum(dim=(1, 2))
        if self.training:
            self._note(codes, nll_B, kl_B, self.dvae.pictures(statistics) - images)
        return nll_B + kl_weight * kl_B / images[0].numel()

    @torch.no_grad()
    def _note(self, codes: Tensor, nll_B: Tensor, kl_B: Tensor, error: Tensor) -> None:
        numbers = {
            "likelihood_loss": nll_B.mean(),
            "kl": kl_B.mean() / codes[0].numel(),
            "pixel_error": error.abs().mean(),
        }
        counts = count_codes(codes, self.dvae.config.vocab_size)
        self.noted.append(Noted(counts, {name: value.detach() for name, value in numbers.items()}))


class DvaeTask:
    """Turns batches into the inputs of `DvaeStep`, and shows pictures above their copies."""

    def __init__(self, module: DvaeStep, settings: DvaeSettings, *, device: torch.device) -> None:
        self.module = module
        self.device = device
        self.tokenizer = None
        self.temperature, self.kl_weight = settings.final_temperature, settings.kl_weight

    def inputs(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """The pictures, the noise of their codes, and both numbers that follow a schedule."""
        images = self._images(batch)
        config = self.module.dvae.config
        grid = [side // config.factor for side in images.shape[2:]]
        shape = (len(images), config.vocab_size, *grid)
        waiting = torch.from_numpy(rng.standard_exponential(shape, dtype=np.float32))
        noise = -waiting.clamp_min(torch.finfo(torch.float32).tiny).log()
        numbers = (torch.tensor(value, device=self.device) for value in (self.temperature, self.kl_weight))
        return images, noise.to(self.device), *numbers

    def _images(self, batch: Batch) -> Tensor:
        """(B, C, H, W) with the channels that the network reads; RGB is laid on white."""
        images = torch.as_tensor(batch.images).to(self.device)
        if self.module.dvae.config.image_channels == 3:
            images = on_background(images, 1.0)
        # The order in memory, not of the axes: a third faster on a CPU.
        return images.contiguous(memory_format=torch.channels_last)

    @property
    def factor(self) -> int:
        """Picture pixels per code, along one side."""
        return self.module.dvae.config.factor

    @torch.no_grad()
    def preview(self, recipe: Recipe, materials: Materials, count: int) -> Tensor:
        """Rows of pictures that are never trained on, each above its copy: (count, 3 or 4, H, W)."""
        images = self._images(materials.validation.batch(0, count // 2))
        dvae = self.module.dvae
        copies = dvae.decode(dvae.encode(images))
        return torch.cat([row for pair in zip(images.split(8), copies.split(8), strict=True) for row in pair])

    def finish(self, train: BatchSource, weights: Sequence[dict[str, Tensor]]) -> None:
        """Nothing remains."""

    def frozen(self) -> dict[str, Tensor]:
        """Nothing is used that is not trained."""
        return {}

    def resume(self, tokenizer: Tokenizer, frozen: Mapping[str, Tensor], where: Path) -> None:
        """Nothing to do: there are no captions."""

    def config(self) -> dict[str, Any]:
        """What the network is, for checkpoints."""
        return {"dvae": asdict(self.module.dvae.config)}


class Annealed(Supervised):
    """Gradient descent whose temperature and KL weight follow the run (`train.step.Stepper`)."""

    def __init__(self, recipe: Recipe, task: DvaeTask, materials: Materials, process: Process) -> None:
        super().__init__(recipe, task, materials, process)
        self.dvae_task = task
        self._usage = CodeUsage(recipe.dvae, process)

    def step(self, number: int, spent: float) -> dict[str, float]:
        """Take a step; see `Stepper`."""
        settings, task, module = self.recipe.dvae, self.dvae_task, self.dvae_task.module
        progress = max(float(module.annealed), number / self.recipe.training.num_steps, spent)
        module.annealed.fill_(progress)
        task.temperature = temperature(progress, settings)
        task.kl_weight = kl_weight(progress, settings)
        module.noted.clear()
        metrics = super().step(number, spent)
        counts = torch.stack([noted.counts for noted in module.noted]).sum(dim=0)
        for name in module.noted[0].numbers:
            metrics[name] = float(torch.stack([noted.numbers[name] for noted in module.noted]).mean())
        metrics |= {"temperature": task.temperature, "kl_weight": task.kl_weight}
        return metrics | self._usage.look(number, counts, progress)


def temperature(progress: float, settings: DvaeSettings) -> float:
    """Of the relaxation, when `progress` in [0, 1] of the run is done."""
    s = settings
    return _cosine(progress / s.temperature_share, s.start_temperature, s.final_temperature)


def kl_weight(progress: float, settings: DvaeSettings) -> float:
    """Of the divergence, when `progress` in [0, 1] of the run is done; it starts at 0."""
    return _cosine(progress / settings.kl_share, 0.0, settings.kl_weight)


def _cosine(x: float, start: float, end: float) -> float:
    """From `start` at 0 to `end` at 1 along half a cosine, and `end` from there."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, x)))


def build(
    recipe: Recipe, root: Path, start: Start | None, materials: Materials, device: torch.device
) -> tuple[DvaeTask, tuple[str, ...]]:
    """Make the discrete VAE, from noise or from `start`, whose schedules are done."""
    if start:
        require(start, "dvae", recipe)
        dvae = Dvae(from_table(DvaeConfig, start.config["dvae"], "dvae"))
        dvae.load_state_dict(part(start.weights, "dvae"))
    else:
        config = asdict(get_preset(recipe.model.preset)) | recipe.model.dvae_config
        dvae = Dvae(from_table(DvaeConfig, config, "model.dvae_config"))
        if dvae.config.patch_paths:
            start_from_patches(dvae, _first_images(materials, dvae.config), seed=recipe.seed)
    if recipe.data.size % dvae.config.factor:
        raise ConfigError(
            f"data.size must be a multiple of {dvae.config.factor}, the pixels of a code of this dVAE; "
            f"got {recipe.data.size}."
        )
    module = DvaeStep(dvae, recipe.dvae).to(device)
    if start:
        module.annealed.fill_(1.0)
    return DvaeTask(module, recipe.dvae, device=device), ()


def _first_images(materials: Materials, config: DvaeConfig) -> Tensor:
    """Pictures to start from, (B, C, H, W) on the CPU."""
    images = torch.as_tensor(materials.train.batch(0, START_PICTURES).images).cpu()
    return images if config.image_channels == 4 else on_background(images, 1.0)
