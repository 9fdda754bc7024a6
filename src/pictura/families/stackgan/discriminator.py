"""The discriminators of version 1; those of version 2 are `nn/tree.py`'s, which AttnGAN shares.

Source  Zhang et al. 2017, StackGAN (arXiv:1612.03242); layers as in the authors' code (a bottleneck that the
        paper does not name). By `fidelity`: in the code the first stage's third filters have no rectifier.
        Differs: any side of 4 * 2^n, as in `nn/tree.py`. Logits come out.
Letters B batch, C channels, S side, K condition numbers.
Units   pictures in [-1, 1].
"""

from torch import Tensor, nn

from pictura.families.stackgan.model import StackGANConfig
from pictura.families.stackgan.stages import bottleneck
from pictura.nn.gan import LEAK, BatchNorm2d, Verdict, beside, down_block, init_weights
from pictura.nn.tree import SEED_SIDE, num_doublings


class MatchingDiscriminator(nn.Module):
    """Asks of a picture whether it is real and of its sentence, as one question."""

    def __init__(self, config: StackGANConfig) -> None:
        super().__init__()
        width, doublings = config.discriminator_width, num_doublings(config.sizes[-1])
        downs = [down_block(width << (i - 1), width << i) for i in range(1, doublings)]
        backs = [_narrow(width << i, width << (i - 1)) for i in range(doublings - 1, 3, -1)]
        blocks = [*downs, *backs]
        bare = {len(blocks) - 1}  # the bottleneck rectifies its sum
        if config.fidelity == "code" and config.num_scales == 1:
            bare.add(len(downs) - 2)
        top = width << min(doublings - 1, 3)
        self.look = nn.Sequential(
            down_block(config.image_channels, width, normalised=False),
            *(block[:-1] if i in bare else block for i, block in enumerate(blocks)),
            bottleneck(top, nn.LeakyReLU(LEAK)),
        )
        self.read = nn.Sequential(nn.Linear(config.text_width, config.condition_width), nn.LeakyReLU(LEAK))
        self.join = _narrow(top + config.condition_width, top)
        self.conditional = nn.Conv2d(top, 1, SEED_SIDE, bias=False)
        init_weights(self, "normal")

    def features(self, images: Tensor) -> Tensor:
        """Pictures (B, C, S, S) to maps (B, 8 width or less, 4, 4)."""
        return self.look(images)

    def judge(self, features: Tensor, told: Tensor) -> Verdict:
        """What maps and sentences `told` (B, D) come to."""
        return Verdict(conditional=self.conditional(self.join(beside(features, self.read(told)))).flatten())

    def forward(self, images: Tensor, told: Tensor) -> Verdict:
        """`features`, then `judge`."""
        return self.judge(self.features(images), told)


def _narrow(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, bias=False), BatchNorm2d(out_channels), nn.LeakyReLU(LEAK)
    )
