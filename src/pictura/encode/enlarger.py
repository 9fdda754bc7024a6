"""The enlarger: a small picture in, the same four times as large out, in one pass.

A smooth enlargement is computed first; a small U-Net of convolutions adds what it lacks: edges. Nothing is
drawn, so that a picture has one enlargement, and any size works.

Source  Shi et al. 2016, sub-pixel convolution (arXiv:1609.05158), for the shuffles at the end; Kim et al.
        2016 (arXiv:1511.04587) for learning what a smooth enlargement lacks. Differs: no norms; half of the
        blocks see the picture at half its size, which costs a quarter and sees twice as far.
Letters B pictures, C channels, h w size of the small ones.
Units   pictures in [0, 1], alpha premultiplied.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.encode.autoencoder import ResidualBlock

FACTOR = 4
"""How many times as large, along one side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnlargerConfig:
    """Shape of the enlarger."""

    image_channels: int = 4
    """RGBA with premultiplied alpha."""
    width: int = 32
    """Channels at the size of the small picture."""
    width_half: int = 64
    """Channels at half of it."""
    num_blocks: int = 4
    """At the size of the small picture; half of them come before the others."""
    num_blocks_half: int = 5
    """At half of it."""

    def __post_init__(self) -> None:
        for name in ("width", "width_half", "num_blocks", "num_blocks_half"):
            if getattr(self, name) < 1:
                raise ConfigError(f"EnlargerConfig.{name} must be at least 1; got {getattr(self, name)}.")
        if self.width % 4:
            raise ConfigError(f"EnlargerConfig.width must be a multiple of 4; got {self.width}.")


class Enlarger(nn.Module):
    """Adds to a smooth enlargement; at step 0 it adds nothing."""

    phases: Tensor

    def __init__(self, config: EnlargerConfig) -> None:
        super().__init__()
        self.config = config
        channels, width, half = config.image_channels, config.width, config.width_half
        before = config.num_blocks // 2
        self.conv_in = nn.Conv2d(channels, width, 3, padding=1)
        self.unet = nn.ModuleDict(
            {
                "down": _blocks(before, width),
                "middle": nn.Sequential(
                    nn.Conv2d(width, half, 2, stride=2),
                    *_blocks(config.num_blocks_half, half),
                    nn.Conv2d(half, 4 * width, 1),
                    nn.PixelShuffle(2),
                ),
                "up": _blocks(config.num_blocks - before, width),
            }
        )
        self.register_buffer("phases", bicubic_phases(), persistent=False)
        last = nn.Conv2d(width // 2, 4 * channels, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.head = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.PixelShuffle(2),
            nn.SiLU(),
            last,
            nn.PixelShuffle(2),
        )

    def forward(self, small: Tensor) -> Tensor:
        """Pictures (B, C, h, w) to (B, C, 4 h, 4 w), which may leave [0, 1] a little.

        Raises:
            ConfigError: h or w is odd.
        """
        if small.shape[2] % 2 or small.shape[3] % 2:
            raise ConfigError(f"An enlarger takes even sides; got {tuple(small.shape[2:])}. Pad it.")
        x = self.unet["down"](self.conv_in(small * 2 - 1))
        x = self.unet["up"](x + self.unet["middle"](x))
        added: Tensor = self.head(x)
        return self.smooth(small) + added

    def smooth(self, small: Tensor) -> Tensor:
        """The bicubic enlargement, (B, C, h, w) to (B, C, 4 h, 4 w), as one convolution.

        The same numbers as `F.interpolate`, whose kin in ONNX Runtime takes longer than all the rest.
        """
        rows, channels, h, w = small.shape
        padded = F.pad(small, (2, 2, 2, 2), mode="replicate").reshape(rows * channels, 1, h + 4, w + 4)
        phases = F.conv2d(padded, self.phases)
        return F.pixel_shuffle(phases, FACTOR).reshape(rows, channels, FACTOR * h, FACTOR * w)


def bicubic_phases() -> Tensor:
    """(16, 1, 5, 5): how the 16 pixels inside a small one are weighed from it and its neighbours."""

    def weight(distance: float) -> float:  # Keys's cubic at a = -3/4, as torch has it
        d, a = abs(distance), -0.75
        if d < 1:
            return (a + 2) * d**3 - (a + 3) * d**2 + 1
        return a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0

    offsets = [(k + 0.5) / FACTOR - 0.5 for k in range(FACTOR)]
    one = torch.tensor([[weight(tap - offset) for tap in range(-2, 3)] for offset in offsets])
    return torch.einsum("ai,bj->abij", one, one).reshape(FACTOR**2, 1, 5, 5)


def fitted(large: Tensor) -> Tensor:
    """Pictures (B, 4, H, W) as they may be: in [0, 1], no colour above its alpha."""
    alpha = large[:, 3:].clamp(0, 1)
    return torch.cat([torch.minimum(large[:, :3].clamp_min(0), alpha), alpha], dim=1)


def _blocks(count: int, width: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(count)))
