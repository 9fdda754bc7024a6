"""DF-GAN's painter: noise and one sentence in, one picture out, without stages.

Source  Tao et al. 2022, DF-GAN (arXiv:2008.05865), and the authors' code of June 2022, whose weights give
        the scores of its page. Differs: what acts on each place alone (fusion, the 1x1 of the short way) is
        done before the side doubles, which gives the same numbers for a quarter of the work; `fusion_width`
        may make the fusing layers smaller; 4 channels are premultiplied RGBA; the tanh may be left out.
Letters B batch, C channels, S side, D text width, N noise numbers, K condition numbers.
Units   pictures in [-1, 1].
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning
from pictura.nn.gan import LEAK, Painted
from pictura.nn.tree import SEED_SIDE, num_doublings

MOST = 8
"""No map has more than this many times `width` channels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DFGANConfig:
    """Shape of generator and discriminator."""

    image_channels: int = 4
    """3 (RGB), or 4 (premultiplied RGBA)."""
    text_width: int = 256
    """D: width of the sentence."""
    side: int = 64
    """Of the picture."""
    width: int = 32
    """Channels of the finest map; each coarser one has twice as many, up to 8 times."""
    noise_width: int = 100
    fusion_width: int = 0
    """Hidden numbers where the sentence is turned into scales and shifts; 0 is as many as channels."""
    discriminator_width: int = 32
    """Channels of the discriminator's first map."""
    bounded: bool = True
    """Whether pictures end in a tanh. Else they are cut to [-1, 1] when painted: transparent and white places
    lie where a tanh has no slope, and a generator that is pushed there early never comes back (measured)."""
    fidelity: str = "code"
    """What is fused in: the sentence alone ("paper"), or noise and sentence ("code")."""

    def __post_init__(self) -> None:
        if self.image_channels not in (3, 4):
            raise ConfigError(f"DFGANConfig.image_channels must be 3 or 4; got {self.image_channels}.")
        if self.fidelity not in ("paper", "code"):
            raise ConfigError(f'DFGANConfig.fidelity must be "paper" or "code"; got {self.fidelity!r}.')
        if self.fusion_width < 0:
            raise ConfigError(f"DFGANConfig.fusion_width must not be negative; got {self.fusion_width}.")
        for name in ("text_width", "width", "noise_width", "discriminator_width"):
            if getattr(self, name) < 1:
                raise ConfigError(f"DFGANConfig.{name} must be at least 1; got {getattr(self, name)}.")
        num_doublings(self.side)

    @property
    def loss(self) -> str:
        """Name in `train/gans/gan_losses.py`."""
        return "hinge"


def widths(width: int, side: int) -> list[int]:
    """Channels at `side`, `side / 2` … 4."""
    return [width * min(2**i, MOST) for i in range(num_doublings(side) + 1)]


class Affine(nn.Module):
    """Scales and shifts channels as a condition says; a new one changes nothing."""

    def __init__(self, numbers: int, hidden: int, channels: int) -> None:
        super().__init__()
        self.scale = _mlp(numbers, hidden, channels, start=1.0)
        self.shift = _mlp(numbers, hidden, channels, start=0.0)

    def forward(self, x_BCSS: Tensor, given_BK: Tensor) -> Tensor:
        """(B, C, S, S) to the same."""
        return self.scale(given_BK)[:, :, None, None] * x_BCSS + self.shift(given_BK)[:, :, None, None]


def _mlp(numbers: int, hidden: int, channels: int, *, start: float) -> nn.Sequential:
    last = nn.Linear(hidden, channels)
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, start)
    return nn.Sequential(nn.Linear(numbers, hidden), nn.ReLU(), last)


class Fusion(nn.Module):
    """Text into a map: twice scaled, shifted and bent (the paper's DFBlock without its filter)."""

    def __init__(self, numbers: int, hidden: int, channels: int) -> None:
        super().__init__()
        self.affine = nn.ModuleList(Affine(numbers, hidden or channels, channels) for _ in range(2))

    def forward(self, x_BCSS: Tensor, given_BK: Tensor) -> Tensor:
        """(B, C, S, S) to the same."""
        for affine in self.affine:
            x_BCSS = F.leaky_relu(affine(x_BCSS, given_BK), LEAK)
        return x_BCSS


class UpBlock(nn.Module):
    """Doubles the side and fuses the text in, twice."""

    def __init__(self, in_channels: int, out_channels: int, numbers: int, hidden: int) -> None:
        super().__init__()
        self.fuse_in = Fusion(numbers, hidden, in_channels)
        self.conv_in = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.fuse_out = Fusion(numbers, hidden, out_channels)
        self.conv_out = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        same = in_channels == out_channels
        self.short = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x_BCSS: Tensor, given_BK: Tensor) -> Tensor:
        """(B, in, S, S) to (B, out, 2 S, 2 S)."""
        way = self.conv_in(_double(self.fuse_in(x_BCSS, given_BK)))
        return _double(self.short(x_BCSS)) + self.conv_out(self.fuse_out(way, given_BK))


def _double(x_BCSS: Tensor) -> Tensor:
    return F.interpolate(x_BCSS, scale_factor=2.0, mode="nearest")


class DFGANGenerator(nn.Module):
    """The whole painter (`nn.gan.Generator`). A new one does not read the sentence yet."""

    def __init__(self, config: DFGANConfig) -> None:
        super().__init__()
        self.config = config
        self.noise_size = config.noise_width
        self.sizes = (config.side,)
        channels = widths(config.width, config.side)[::-1]
        numbers = config.text_width + (config.noise_width if config.fidelity == "code" else 0)
        self.line = nn.Linear(config.noise_width, channels[0] * SEED_SIDE**2)
        self.blocks = nn.ModuleList(
            UpBlock(coarse, fine, numbers, config.fusion_width) for coarse, fine in pairwise(channels)
        )
        self.head = nn.Sequential(
            nn.LeakyReLU(LEAK),
            nn.Conv2d(channels[-1], config.image_channels, 3, padding=1),
            nn.Tanh() if config.bounded else nn.Identity(),
        )

    def forward(self, noise: Tensor, cond: Conditioning) -> Painted:
        """Paint what the sentence says.

        Args:
            noise: (B, N) standard normal.
            cond: whose sentence (B, D) is read; words are not.

        Returns:
            One picture (B, C, side, side); without `bounded` it may leave [-1, 1].
        """
        assert cond.sentence is not None, "DF-GAN reads the sentence"
        given_BK = cond.sentence
        if self.config.fidelity == "code":
            given_BK = torch.cat([noise, given_BK], dim=1)
        map_BCSS = self.line(noise).unflatten(1, (-1, SEED_SIDE, SEED_SIDE))
        for block in self.blocks:
            map_BCSS = block(map_BCSS, given_BK)
        return Painted(images=(self.head(map_BCSS),), told=cond.sentence.detach())
