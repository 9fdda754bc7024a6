"""StackGAN++: one network that paints its picture at every side.

Source  Zhang et al. 2018, StackGAN++ (arXiv:1710.10916) and its authors' code, which agree in the network.
        Differs: the smallest side and the number of sides are settings (theirs: 64 and 3).
Letters B batch, N noise numbers, C channels, S side, K condition numbers.
Units   noise standard normal; pictures in [-1, 1].
"""

import torch
from torch import Tensor, nn

from pictura.core.types import Conditioning
from pictura.families.stackgan.model import StackGANConfig, cut, sentence_of
from pictura.nn.gan import (
    ConditioningAugmentation,
    Painted,
    ResidualBlock,
    beside,
    glu_block,
    init_weights,
    up_block,
)
from pictura.nn.tree import FirstBranch, image_head


class NextBranch(nn.Module):
    """Doubles the side and halves the channels, told the condition once more."""

    def __init__(self, width: int, condition_width: int, num_residual: int) -> None:
        super().__init__()
        self.join = glu_block(width + condition_width, width)
        self.residual = nn.Sequential(*(ResidualBlock(width) for _ in range(num_residual)))
        self.up = up_block(width, width // 2)

    def forward(self, x_BCSS: Tensor, condition_BK: Tensor) -> Tensor:
        """(B, C, S, S) to (B, C/2, 2 S, 2 S)."""
        return self.up(self.residual(self.join(beside(x_BCSS, condition_BK))))


class TreeGenerator(nn.Module):
    """Noise and sentence to one picture at each of `sizes`."""

    def __init__(self, config: StackGANConfig) -> None:
        super().__init__()
        self.config = config
        self.sizes = config.sizes
        self.noise_size = sum(config.noise_parts)
        widths = [config.width >> i for i in range(config.num_scales)]
        self.augment = ConditioningAugmentation(config.text_width, config.condition_width, "gated")
        self.first = FirstBranch(
            config.noise_width + config.condition_width, config.width, config.base_size, config.widest
        )
        self.next = nn.ModuleList(
            NextBranch(width, config.condition_width, config.num_residual) for width in widths[:-1]
        )
        self.heads = nn.ModuleList(image_head(width, config.image_channels) for width in widths)
        init_weights(self, "orthogonal")

    def forward(self, noise: Tensor, cond: Conditioning) -> Painted:
        """Paint.

        Args:
            noise: (B, N) standard normal: z, then what draws the condition.
            cond: B sentences.

        Returns:
            Pictures at every side; discriminators are told the mean, without gradient.
        """
        z, eps = cut(noise, self.config.noise_parts)
        condition, mean, log_std = self.augment(sentence_of(cond, self.config), eps)
        x_BCSS = self.first(torch.cat([condition, z], dim=1))
        images = [self.heads[0](x_BCSS)]
        for branch, head in zip(self.next, self.heads[1:], strict=True):
            x_BCSS = branch(x_BCSS, condition)
            images.append(head(x_BCSS))
        return Painted(images=tuple(images), told=mean.detach(), mean=mean, log_std=log_std)
