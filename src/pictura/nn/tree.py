"""The trunk and the discriminators of generators that grow as a tree, a picture at each doubling of the side.

Source  Zhang et al. 2018, StackGAN++ (arXiv:1710.10916), whose code AttnGAN (arXiv:1711.10485) took over.
        Differs: any side of 4 * 2^n pixels; below 64 a discriminator halves less often and ends with fewer
        than 8 times its first channels. The channels of the first map can be bound (the authors' have up
        to 1,024). Logits come out; the authors put a sigmoid behind them.
Letters B batch, C channels, S side, N numbers, K condition numbers.
Units   pictures in [-1, 1].
"""

from itertools import pairwise

from torch import Tensor, nn

from pictura.core.errors import ConfigError
from pictura.nn.gan import (
    BatchNorm1d,
    Verdict,
    beside,
    conv3x3,
    down_block,
    init_weights,
    leaky_block,
    up_block,
)

SEED_SIDE = 4
"""Side of the smallest map: the painter starts there, the discriminator ends there."""


def num_doublings(side: int) -> int:
    """How often a side of 4 doubles until it is `side`.

    Raises:
        ConfigError: never, or not once.
    """
    doublings = (side // SEED_SIDE).bit_length() - 1
    if doublings < 1 or side != SEED_SIDE << doublings:
        raise ConfigError(f"A picture's side must be 8, 16, 32, 64 … pixels; got {side}.")
    return doublings


class FirstBranch(nn.Module):
    """Noise and condition to a map: a gated linear layer to 4 x 4, then blocks that double the side."""

    def __init__(self, numbers: int, width: int, side: int, widest: int = 1024) -> None:
        """`width` channels come out; each halving of the side on the way doubles them, up to `widest`."""
        super().__init__()
        widths = [min(width << i, max(width, widest)) for i in range(num_doublings(side), -1, -1)]
        seed = widths[0] * SEED_SIDE**2
        self.line = nn.Sequential(
            nn.Linear(numbers, 2 * seed, bias=False), BatchNorm1d(2 * seed), nn.GLU(dim=1)
        )
        self.blocks = nn.Sequential(*(up_block(wide, narrow) for wide, narrow in pairwise(widths)))

    def forward(self, numbers_BN: Tensor) -> Tensor:
        """(B, N) to (B, width, side, side)."""
        return self.blocks(self.line(numbers_BN).unflatten(1, (-1, SEED_SIDE, SEED_SIDE)))


def image_head(width: int, image_channels: int) -> nn.Sequential:
    """(B, width, S, S) to a picture (B, C, S, S) in [-1, 1]."""
    return nn.Sequential(conv3x3(width, image_channels), nn.Tanh())


class JointDiscriminator(nn.Module):
    """Asks of a picture whether it is real, and whether it is real and of its sentence."""

    def __init__(self, side: int, image_channels: int, width: int, told_width: int) -> None:
        super().__init__()
        doublings = num_doublings(side)
        downs = [down_block(width << (i - 1), width << i) for i in range(1, doublings)]
        backs = [leaky_block(width << i, width << (i - 1)) for i in range(doublings - 1, 3, -1)]
        top = width << min(doublings - 1, 3)
        self.look = nn.Sequential(down_block(image_channels, width, normalised=False), *downs, *backs)
        self.join = leaky_block(top + told_width, top)
        self.conditional = nn.Conv2d(top, 1, SEED_SIDE)
        self.unconditional = nn.Conv2d(top, 1, SEED_SIDE)
        init_weights(self, "orthogonal")

    def features(self, images: Tensor) -> Tensor:
        """Pictures (B, C, side, side) to maps (B, 8 width or less, 4, 4)."""
        return self.look(images)

    def judge(self, features: Tensor, told: Tensor) -> Verdict:
        """What maps and sentences `told` (B, K) come to."""
        joined = self.join(beside(features, told))
        return Verdict(
            conditional=self.conditional(joined).flatten(),
            unconditional=self.unconditional(features).flatten(),
        )

    def forward(self, images: Tensor, told: Tensor) -> Verdict:
        """`features`, then `judge`."""
        return self.judge(self.features(images), told)
