"""Image autoencoder: a picture in, a small grid of compact numbers out, and back.

Source  Rombach et al. 2021, latent diffusion (arXiv:2112.10752), for painting in an autoencoder's
        space. Differs: no adversary and no pretrained loss; convolutions without norms, so that any
        picture size works and what a corner looks like never depends on the rest; beside them a linear
        map of each patch, started from principal components, which saves most of the training.
Letters B batch, C latent channels, H W picture size, h w latent size.
Units   pictures in [0, 1], alpha premultiplied; latents of zero mean and unit variance per channel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoencoderConfig:
    """Shape of the autoencoder."""

    image_channels: int = 4
    """3 for RGB, 4 for RGBA with premultiplied alpha."""
    latent_channels: int = 24
    encoder_widths: tuple[int, ...] = (24, 48, 96)
    """Channels after each halving of the picture; their number gives the factor."""
    decoder_widths: tuple[int, ...] = (40, 80, 128)
    """Channels before each doubling, coarsest last."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoder_widths", tuple(self.encoder_widths))
        object.__setattr__(self, "decoder_widths", tuple(self.decoder_widths))
        if len(self.encoder_widths) != len(self.decoder_widths):
            raise ConfigError(
                f"AutoencoderConfig needs as many encoder_widths as decoder_widths; "
                f"got {self.encoder_widths} and {self.decoder_widths}."
            )
        if self.image_channels not in (3, 4):
            raise ConfigError(f"AutoencoderConfig.image_channels must be 3 or 4; got {self.image_channels}.")

    @property
    def factor(self) -> int:
        """Picture pixels per latent pixel, along one side."""
        return 2 ** len(self.encoder_widths)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input; starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_2 = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.conv_2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, h, w) to the same."""
        return x + self.conv_2(F.silu(self.conv_1(F.silu(x))))


class Autoencoder(nn.Module):
    """Encoder and decoder, with the statistics that give latents unit variance."""

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        channels, factor = config.latent_channels, config.factor
        self.patch_in = nn.Conv2d(config.image_channels, channels, factor, stride=factor)
        self.patch_out = nn.Conv2d(channels, config.image_channels * factor**2, 1)
        self.encoder = _encoder(config)
        self.decoder = _decoder(config)
        self.register_buffer("latent_mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("latent_std", torch.ones(1, 1, 1, 1))

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of the raw latent, each (B, C, h, w).

        Raises:
            ConfigError: a side is not a multiple of `config.factor`.
        """
        if images.shape[2] % self.config.factor or images.shape[3] % self.config.factor:
            raise ConfigError(
                f"Picture sides must be multiples of {self.config.factor}; got {tuple(images.shape[2:])}."
            )
        centred = images * 2 - 1
        mean, log_std = self.encoder(centred).chunk(2, dim=1)
        return mean + self.patch_in(centred), (log_std - 2).clamp(-6.0, 1.0)

    def encode(self, images: Tensor) -> Tensor:
        """Pictures (B, 3 or 4, H, W) in [0, 1] to latents (B, C, H / factor, W / factor)."""
        return (self.posterior(images)[0] - self.latent_mean) / self.latent_std

    def decode(self, latent: Tensor) -> Tensor:
        """Latents (B, C, h, w) to pictures (B, 3 or 4, h * factor, w * factor) in [0, 1]."""
        return self.decode_raw(latent * self.latent_std + self.latent_mean).clamp(0, 1)

    def decode_raw(self, raw: Tensor) -> Tensor:
        """Raw latents, as `posterior` gives them, to pictures that may leave [0, 1] a little."""
        patches = F.pixel_shuffle(self.patch_out(raw), self.config.factor)
        return (self.decoder(raw) + patches) * 0.5 + 0.5

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> None:
        """Measure mean (of each channel) and deviation (of all) of the latents, for `encode` and `decode`.

        One deviation serves all channels, so that those that say little stay small.
        """
        mean, _ = self.posterior(images)
        self.latent_mean.copy_(mean.mean(dim=(0, 2, 3), keepdim=True))
        self.latent_std.copy_((mean - self.latent_mean).square().mean().sqrt().clamp_min(1e-4))

    @torch.no_grad()
    def start_from_components(self, images: Tensor) -> None:
        """Set the linear maps to the principal components of the patches of `images`.

        Deviations of the components are compressed by the power 0.7, so that latents start of the order
        of 1 and fine detail is not lost among coarse.
        """
        factor, channels = self.config.factor, self.config.latent_channels
        patches_NP = F.pixel_unshuffle(images * 2 - 1, factor).movedim(1, -1).flatten(0, 2)
        mean_P = patches_NP.mean(dim=0)
        values, vectors = torch.linalg.eigh(torch.cov((patches_NP - mean_P).T))
        vectors_PC = vectors[:, -channels:].flip(1)
        std_C = values[-channels:].flip(0).clamp_min(1e-8).sqrt()
        scale_C = std_C**0.7 / std_C
        scale_C = scale_C / (std_C * scale_C).square().mean().sqrt()
        down_CP = (vectors_PC * scale_C).T
        self.patch_in.weight.copy_(down_CP.unflatten(1, (-1, factor, factor)))
        self.patch_in.bias.copy_(-down_CP @ mean_P)  # type: ignore[union-attr]
        self.patch_out.weight.copy_((vectors_PC / scale_C)[:, :, None, None])
        self.patch_out.bias.copy_(mean_P)  # type: ignore[union-attr]


def _encoder(config: AutoencoderConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    width_in = config.image_channels
    for depth, width in enumerate(config.encoder_widths):
        layers.append(nn.Conv2d(width_in, width, 4, stride=2, padding=1))
        if depth > 0:
            layers.append(ResidualBlock(width))
        width_in = width
    last = nn.Conv2d(width_in, 2 * config.latent_channels, 1)
    return nn.Sequential(*layers, ResidualBlock(width_in), nn.SiLU(), _silent(last))


def _decoder(config: AutoencoderConfig) -> nn.Sequential:
    widths = config.decoder_widths[::-1]
    layers: list[nn.Module] = [nn.Conv2d(config.latent_channels, widths[0], 1), ResidualBlock(widths[0])]
    for width, width_next in zip(widths, (*widths[1:], 0), strict=True):
        layers += [ResidualBlock(width), ResidualBlock(width)]
        if width_next:
            layers += [nn.Conv2d(width, width_next, 1), nn.UpsamplingNearest2d(scale_factor=2)]
    # The last doubling is a shuffle: convolutions at the full size cost most and add least.
    layers += [nn.SiLU(), nn.Conv2d(widths[-1], 64, 3, padding=1), nn.PixelShuffle(2), nn.SiLU()]
    return nn.Sequential(*layers, _silent(nn.Conv2d(16, config.image_channels, 3, padding=1)))


def _silent(last: nn.Conv2d) -> nn.Conv2d:
    """Start at zero, so that at step 0 only the linear maps speak."""
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return last
