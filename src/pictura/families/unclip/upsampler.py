"""An upsampler: a noisy picture and a small clean one in, the picture as large as the noisy one out.

Source  Ramesh et al. 2022, unCLIP (arXiv:2204.06125), section 2.1: ADM's U-Net of convolutions alone, without
        caption and guidance, so that it paints at any size what it learnt from crops. Differs: small presets
        predict the picture, as what the enlarged small one lacks, not the noise.
Letters B batch, C channels, H W size, h w size of the small picture.
Units   t in [0, 1], 1 = noise; pictures in [-1, 1]; x_t = a x_0 + s noise (`sample/diffusion.py`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError, SizeError
from pictura.families.unclip.decoder import check_prediction, picture_of
from pictura.families.unclip.unet import Unet
from pictura.sample.diffusion import check_schedule


@dataclass(frozen=True, kw_only=True, slots=True)
class UpsamplerConfig:
    """Shape of the network, what it predicts, and its path to noise."""

    image_channels: int = 4
    """C: 4 with premultiplied alpha, 3 without."""
    size: int = 128
    """Side of the pictures that it is made for; it learns from crops of half that side."""
    factor: int = 4
    """How many times as large it makes a side."""
    width: int = 32
    """Channels of the first level."""
    depth: int = 1
    """Blocks of a level on the way down; one more on the way up."""
    multiples: tuple[int, ...] = (1, 1)
    """Channels of each level, in widths."""
    patch_size: int = 4
    """Side of the square of pixels that is one place of the first level."""
    prediction: str = "x_0"
    """`x_0`, the picture, or `noise`."""
    learned_variance: bool = False
    """Say a variance too, in as many channels more; DDIM does not use it."""
    schedule: str = "cosine"
    """See `sample.diffusion`."""

    def __post_init__(self) -> None:
        for name in ("image_channels", "size", "factor", "width", "depth", "patch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"UpsamplerConfig.{name} must be at least 1; got {getattr(self, name)}.")
        check_prediction("UpsamplerConfig", self.prediction)
        check_schedule(self.schedule)
        step = self.patch_size * 2 ** (len(self.multiples) - 1)
        if self.crop % step or self.crop % self.factor or self.size % 2:
            raise ConfigError(
                f"UpsamplerConfig.size must be twice a multiple of {step}, to which the U-Net halves, and of "
                f"factor={self.factor}; got {self.size}."
            )

    @property
    def crop(self) -> int:
        """Side of the crops that it learns from, a quarter of the area."""
        return self.size // 2


class Upsampler(nn.Module):
    """Enlarges. Its last layer starts at zero: where it predicts x_0, an untrained one only interpolates."""

    def __init__(self, config: UpsamplerConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = Unet(
            2 * config.image_channels,
            config.image_channels * (1 + config.learned_variance),
            width=config.width,
            depth=config.depth,
            multiples=config.multiples,
            patch_size=config.patch_size,
        )

    def forward(self, x_t: Tensor, t: Tensor, low: Tensor) -> Tensor:
        """Predict what `config.prediction` says.

        Args:
            x_t: (B, C, H, W) noisy pictures; H and W multiples of what the U-Net halves to.
            t: (B,) times in [0, 1].
            low: (B, C, h, w) small pictures, of the same shape as the large ones.

        Returns:
            (B, C, H, W), or (B, 2 C, H, W) with a learned variance.

        Raises:
            SizeError: the pictures have other channels, or large and small ones are not alike in shape.
        """
        self._check(x_t, low)
        wide = F.interpolate(low, x_t.shape[2:], mode="bilinear", align_corners=False)
        out = self.unet(torch.cat([x_t, wide], dim=1), self.unet.embed_time(t))
        if self.config.prediction == "noise":
            return out
        channels = self.config.image_channels
        return torch.cat([wide + out[:, :channels], out[:, channels:]], dim=1)

    def denoise(self, x_t: Tensor, t: Tensor, low: Tensor) -> Tensor:
        """Predict the picture x_0, (B, C, H, W) in about [-1, 1]; arguments as of `forward`."""
        out = self(x_t, t, low)[:, : self.config.image_channels]
        return out if self.config.prediction == "x_0" else picture_of(x_t, t, out, self.config.schedule)

    def _check(self, x_t: Tensor, low: Tensor) -> None:
        channels = self.config.image_channels
        for name, given in (("noisy", x_t), ("small", low)):
            if given.ndim != 4 or given.shape[1] != channels:
                raise SizeError(
                    f"The upsampler reads {name} pictures of shape (B, {channels}, H, W); "
                    f"got {tuple(given.shape)}."
                )
        (height, width), (h, w), factor = x_t.shape[2:], low.shape[2:], self.config.factor
        if (height, width) != (h * factor, w * factor):
            raise SizeError(
                f"The upsampler makes pictures {factor} times as large: {h} x {w} (height x width) become "
                f"{h * factor} x {w * factor}; got noise of {height} x {width}."
            )
