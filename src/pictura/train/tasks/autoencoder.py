"""What the autoencoder learns: to give back the picture, its edges too, from few numbers.

With `training.latent_noise` the decoder alone learns on, for a painter that is there: noise on the latent
stands for the painter's errors, and what was a seam between two places of the latent becomes a surface.

Source  Kingma & Welling 2013 for the KL term, here light: it bounds the latent and, by the noise it
        adds, makes the decoder forgive the painter's small errors. Zheng et al. 2025, RAE
        (arXiv:2510.11690), for a decoder that learns from noisy latents, of strengths that are drawn.
Letters B batch, C latent channels, h w latent size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pictura.core.errors import ConfigError
from pictura.core.types import Batch, BatchSource
from pictura.encode.autoencoder import Autoencoder, AutoencoderConfig
from pictura.encode.tokenizer import Tokenizer
from pictura.train.materials import Materials
from pictura.train.recipe import Recipe, TrainingSettings, from_table
from pictura.train.start import Start, part, require


class AutoencoderStep(nn.Module):
    """Autoencoder with its loss: the module that a training step runs."""

    def __init__(self, autoencoder: Autoencoder, *, kl_weight: float, decoder_only: bool = False) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.kl_weight = kl_weight
        self.decoder_only = decoder_only
        if decoder_only:
            autoencoder.requires_grad_(False)
            autoencoder.decoder.requires_grad_(True)
            autoencoder.patch_out.requires_grad_(True)

    def forward(self, images: Tensor, noise: Tensor) -> Tensor:
        """Pixel, edge and KL loss; of a decoder alone, pixel and edge loss.

        Args:
            images: (B, 3 or 4, H, W) in [0, 1].
            noise: (B, C, h, w), standard normal; of a decoder alone, what is added to latents.

        Returns:
            (B,) one loss per picture.
        """
        if self.decoder_only:
            with torch.no_grad():
                mean, _ = self.autoencoder.posterior(images)
            return _error(self.autoencoder.decode_raw(mean + self.autoencoder.latent_std * noise), images)
        mean, log_std = self.autoencoder.posterior(images)
        painted = self.autoencoder.decode_raw(mean + log_std.exp() * noise)
        kl = 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std)
        return _error(painted, images) + self.kl_weight * kl.mean(dim=(1, 2, 3))


def _error(painted: Tensor, images: Tensor) -> Tensor:
    """Of pixels and of edges: (B,)."""
    return (painted - images).abs().mean(dim=(1, 2, 3)) + edge_error(painted, images)


def edge_error(painted: Tensor, images: Tensor) -> Tensor:
    """Mean absolute error of the differences between neighbouring pixels: (B,)."""
    error = painted - images
    rows = (error[:, :, 1:] - error[:, :, :-1]).abs().mean(dim=(1, 2, 3))
    columns = (error[:, :, :, 1:] - error[:, :, :, :-1]).abs().mean(dim=(1, 2, 3))
    return rows + columns


class AutoencoderTask:
    """Turns batches into the inputs of `AutoencoderStep`, and shows pictures beside their copies."""

    def __init__(self, module: AutoencoderStep, settings: TrainingSettings, *, device: torch.device) -> None:
        self.module = module
        self.settings = settings
        self.device = device
        self.tokenizer = None

    def inputs(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """The pictures, and the noise of their latents."""
        images = torch.as_tensor(batch.images).to(self.device)
        config = self.module.autoencoder.config
        size = [side // config.factor for side in images.shape[2:]]
        noise = rng.standard_normal((len(images), config.latent_channels, *size), dtype=np.float32)
        if self.module.decoder_only:
            noise *= rng.uniform(0, self.settings.latent_noise, (len(images), 1, 1, 1)).astype(np.float32)
        return images, torch.from_numpy(noise).to(self.device)

    @property
    def factor(self) -> int:
        """Picture pixels per latent pixel, along one side."""
        return self.module.autoencoder.config.factor

    @torch.no_grad()
    def preview(self, recipe: Recipe, materials: Materials, count: int) -> Tensor:
        """Rows of pictures that are never trained on, each above its copy: (count, 3 or 4, H, W).

        A decoder alone copies from noisy latents.
        """
        batch = materials.validation.batch(0, count // 2)
        images, noise = self.inputs(batch, np.random.default_rng(0))
        network = self.module.autoencoder
        latent = network.encode(images)
        copies = network.decode(latent + noise if self.module.decoder_only else latent)
        return torch.cat(
            [part for pair in zip(images.split(8), copies.split(8), strict=True) for part in pair]
        )

    @torch.no_grad()
    def finish(self, train: BatchSource, weights: Sequence[dict[str, Tensor]]) -> None:
        """Measure the latent's statistics for each set of weights, on one large batch.

        With a decoder alone they stay: the painter knows them.
        """
        if self.module.decoder_only:
            return
        images = torch.as_tensor(train.batch(0, 1024).images).to(self.device)
        trained = {k: v.clone() for k, v in self.module.state_dict().items()}
        for one in (*weights, trained):
            self.module.load_state_dict(one)
            self.module.autoencoder.calibrate(images)
            for name in ("autoencoder.latent_mean", "autoencoder.latent_std"):
                one[name].copy_(self.module.state_dict()[name])
        self.module.load_state_dict(trained)

    def frozen(self) -> dict[str, Tensor]:
        """Nothing is used that is not trained."""
        return {}

    def resume(self, tokenizer: Tokenizer, frozen: Mapping[str, Tensor], where: Path) -> None:
        """Nothing to do: there are no captions."""

    def config(self) -> dict[str, Any]:
        """What the network is, for checkpoints."""
        return {"autoencoder": asdict(self.module.autoencoder.config)}


def build(
    recipe: Recipe, root: Path, start: Start | None, materials: Materials, device: torch.device
) -> tuple[AutoencoderTask, tuple[str, ...]]:
    """Make the autoencoder, from the pictures' principal components or from `start`.

    Raises:
        ConfigError: a decoder alone shall learn, and there is no model to start from, or a run.
    """
    decoder_only = recipe.training.latent_noise > 0
    if start:
        require(start, "autoencoder", recipe)
    if decoder_only and not (start and isinstance(start.tokenizer, Path)):  # runs hold theirs as text
        raise ConfigError(
            f"training.latent_noise is {recipe.training.latent_noise:g}, which teaches the decoder of a "
            f"painter that is there: set model.init_from to that model, exported, not to a run; got "
            f"{recipe.model.init_from!r}. For a new autoencoder leave latent_noise out."
        )
    table = start.config["autoencoder"] if start else recipe.model.autoencoder_config
    autoencoder = Autoencoder(from_table(AutoencoderConfig, table, "model.autoencoder_config"))
    if start:
        autoencoder.load_state_dict(part(start.weights, "autoencoder"))
    else:
        autoencoder.start_from_components(torch.as_tensor(materials.train.batch(0, 1024).images).cpu())
    step = AutoencoderStep(autoencoder, kl_weight=recipe.training.kl_weight, decoder_only=decoder_only)
    step.to(device)
    return AutoencoderTask(step, recipe.training, device=device), ()
