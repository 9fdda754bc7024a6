"""What the autoencoder learns: to give back the picture, its edges too, from few numbers.

Source  Kingma & Welling 2013 for the KL term, here light: it bounds the latent and, by the noise it
        adds, makes the decoder forgive the painter's small errors.
Letters B batch, C latent channels, h w latent size.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pictura.core.types import Batch
from pictura.encode.autoencoder import Autoencoder
from pictura.train.recipe import TrainingSettings


class AutoencoderStep(nn.Module):
    """Autoencoder with its loss: the module that a training step runs."""

    def __init__(self, autoencoder: Autoencoder, *, kl_weight: float) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.kl_weight = kl_weight

    def forward(self, images: Tensor, noise: Tensor) -> Tensor:
        """Pixel, edge and KL loss.

        Args:
            images: (B, 3 or 4, H, W) in [0, 1].
            noise: (B, C, h, w), standard normal.

        Returns:
            (B,) one loss per picture.
        """
        mean, log_std = self.autoencoder.posterior(images)
        painted = self.autoencoder.decode_raw(mean + log_std.exp() * noise)
        kl = 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std)
        return (
            (painted - images).abs().mean(dim=(1, 2, 3))
            + edge_error(painted, images)
            + self.kl_weight * kl.mean(dim=(1, 2, 3))
        )


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

    def inputs(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """The pictures, and the noise of their latents."""
        images = torch.as_tensor(batch.images).to(self.device)
        config = self.module.autoencoder.config
        size = [side // config.factor for side in images.shape[2:]]
        noise = rng.standard_normal((len(images), config.latent_channels, *size), dtype=np.float32)
        return images, torch.from_numpy(noise).to(self.device)

    def config(self) -> dict[str, Any]:
        """What the network is, for checkpoints."""
        return {"autoencoder": asdict(self.module.autoencoder.config)}
