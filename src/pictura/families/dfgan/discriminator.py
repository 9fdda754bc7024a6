"""DF-GAN's judge: picture and sentence in, one verdict on both out.

Source  Tao et al. 2022, DF-GAN (arXiv:2008.05865), target-aware discriminator, and the authors' code of June
        2022. Differs: the 1x1 of the short way follows the averaging (the same numbers for a quarter of the
        work) and is left out where it is not used (the authors keep its weights).
Letters B batch, C channels, S side, K condition numbers.
Units   pictures in [-1, 1].
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.families.dfgan.model import DFGANConfig, widths
from pictura.nn.gan import LEAK, Verdict, beside
from pictura.nn.tree import SEED_SIDE


class DownBlock(nn.Module):
    """Halves the side; what its filters find counts nothing at first and grows with a learnt gate."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.way = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.LeakyReLU(LEAK),
        )
        same = in_channels == out_channels
        self.short = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x_BCSS: Tensor) -> Tensor:
        """(B, in, S, S) to (B, out, S/2, S/2)."""
        return self.short(F.avg_pool2d(x_BCSS, 2)) + self.gate * self.way(x_BCSS)


class OneWayDiscriminator(nn.Module):
    """Asks only whether a picture is real and of its sentence. Can be derived twice, for the penalty."""

    def __init__(self, config: DFGANConfig) -> None:
        super().__init__()
        width = config.discriminator_width
        channels = widths(width, config.side)
        pairs = pairwise(channels)
        self.look = nn.Sequential(
            nn.Conv2d(config.image_channels, width, 3, padding=1), *(DownBlock(*pair) for pair in pairs)
        )
        self.join = nn.Sequential(
            nn.Conv2d(channels[-1] + config.text_width, 2 * width, 3, padding=1, bias=False),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(2 * width, 1, SEED_SIDE, bias=False),
        )

    def features(self, images: Tensor) -> Tensor:
        """Pictures (B, C, side, side) to maps (B, 8 width or less, 4, 4)."""
        return self.look(images)

    def judge(self, features: Tensor, told: Tensor) -> Verdict:
        """What maps and sentences `told` (B, K) come to."""
        return Verdict(conditional=self.join(beside(features, told)).flatten())

    def forward(self, images: Tensor, told: Tensor) -> Verdict:
        """`features`, then `judge`."""
        return self.judge(self.features(images), told)


def make_discriminators(config: DFGANConfig) -> nn.ModuleList:
    """The only `nn.gan.Discriminator`, in a list."""
    return nn.ModuleList([OneWayDiscriminator(config)])
