"""A text tower and a generator on torch, CPU or CUDA: token ids and noise in, pictures out, in one pass.

The generator runs one row at a time and in fp32, so that a picture does not depend on what is painted
beside it.

Letters B batch, C channels, S side, T text tokens, D text width, N noise numbers.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pictura.core.types import Conditioning, OnePass
from pictura.nn.device import check_device


class OnePassParts(nn.Module):
    """The two networks under the names that weights have in model folders."""

    def __init__(self, text_encoder: nn.Module, generator: nn.Module) -> None:
        """Keep the networks.

        Args:
            text_encoder: (B, T) token ids and (B, T) mask to `Conditioning` with a sentence.
            generator: a `nn.gan.Generator`.
        """
        super().__init__()
        self.text_encoder = text_encoder
        self.generator: Any = generator  # a module has no types for what a Generator has beside it

    def read(self, token_ids: Tensor) -> Conditioning:
        """Read one prompt without padding, (1, T) token ids."""
        return self.text_encoder(token_ids, torch.ones_like(token_ids, dtype=torch.bool))

    def paint(self, noise: Tensor, cond: Conditioning) -> OnePass:
        """Paint from noise (B, N) what `cond` (B rows) says: the finest pictures and the finest attention."""
        painted = self.generator(noise, cond)
        return OnePass(as_pictures(painted.images[-1]), painted.attention[-1] if painted.attention else None)


def as_pictures(images: Tensor) -> Tensor:
    """(B, C, S, S) in [-1, 1] to pictures in [0, 1]; where C is 4, no colour passes alpha."""
    pictures = (images / 2 + 0.5).clamp(0, 1)
    if pictures.shape[1] == 3:
        return pictures
    colour, alpha = pictures[:, :3], pictures[:, 3:]
    return torch.cat([torch.minimum(colour, alpha), alpha], dim=1)


class TorchOnePass:
    """Loaded parts that paint (`core.types.OnePassBackend`)."""

    def __init__(
        self,
        parts: OnePassParts,
        *,
        device: str,
        strength: float,
        compile: bool = False,  # noqa: A002
    ) -> None:
        """Take the networks to a device.

        Args:
            parts: with their weights.
            device: ``cuda`` or ``cpu``.
            strength: of the low-rank changes that the weights hold, in percent.
            compile: let torch compile the generator.

        Raises:
            DeviceError: there is no such device.
        """
        check_device(device)
        self.device, self.strength = device, strength
        self.noise_size: int = parts.generator.noise_size
        self._parts = parts.to(device)
        if compile:
            self._parts.generator.compile()

    @torch.no_grad()
    def encode_text(self, token_ids: NDArray[np.int64]) -> Conditioning:
        """Read one prompt: (T,) token ids without padding, to features (1, T, D) and a sentence (1, D)."""
        return self._parts.read(torch.from_numpy(token_ids)[None].to(self.device))

    @torch.no_grad()
    def paint(self, noise: NDArray[np.float32], cond: Conditioning) -> OnePass:
        """Paint from noise (B, N); `cond` is of one prompt. Numpy arrays come back."""
        rows = [self._parts.paint(row, cond) for row in torch.from_numpy(noise).to(self.device).split(1)]
        attention = [row.attention for row in rows if row.attention is not None]
        return OnePass(
            torch.cat([row.images for row in rows]).cpu().numpy(),
            torch.cat(attention).cpu().numpy() if attention else None,
        )
