"""StackGAN's two generators: the first sketches a small picture, the second redraws it larger.

Source  Zhang et al. 2017, StackGAN (arXiv:1612.03242); layers as in the authors' code, which says more than
        the paper (bottlenecks in the first stage, rectifiers). By `fidelity`: the paper draws conditions
        from a normal distribution, the code from one cut at two deviations.
        Differs: sides are settings (theirs: 64, then 256); the second stage sees the first as it paints, with
        the statistics it learnt, where the code normalised by those of each batch.
Letters B batch, N noise numbers, C channels, S side, K condition numbers.
Units   noise standard normal; pictures in [-1, 1].
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor, nn

from pictura.core.errors import ModelError
from pictura.core.types import Conditioning
from pictura.families.stackgan.model import StackGANConfig, cut, sentence_of
from pictura.nn.gan import (
    BatchNorm1d,
    BatchNorm2d,
    ConditioningAugmentation,
    Painted,
    beside,
    conv3x3,
    init_weights,
)
from pictura.nn.tree import SEED_SIDE, image_head, num_doublings

CUT_AT = 2.0
"""Deviations beyond which the code draws no noise for a condition."""
_ERFINV = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
    -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip


def truncated(eps: Tensor) -> Tensor:
    """Standard normal numbers to those of a normal cut at `CUT_AT`, by their place in the distribution.

    With F the normal's distribution function and p = F(-CUT_AT), eps becomes F^-1(p + (1 - 2 p) F(eps)) =
    sqrt(2) erfinv(erf(CUT_AT / sqrt(2)) erf(eps / sqrt(2))): outside of the generator noise stays normal.
    """
    # Giles 2010, "Approximating the erfinv function", its middle part: graphs for ONNX know no erfinv.
    x = math.erf(CUT_AT / math.sqrt(2)) * torch.erf(eps / math.sqrt(2))
    w = -torch.log(1 - x * x) - 2.5
    factor = torch.zeros_like(w)
    for coefficient in _ERFINV:
        factor = factor * w + coefficient
    return math.sqrt(2) * x * factor


def plain_up(in_channels: int, out_channels: int) -> nn.Sequential:
    """(B, in, S, S) to (B, out, 2 S, 2 S), normalised, without rectifier."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        conv3x3(in_channels, out_channels),
        BatchNorm2d(out_channels),
    )


class Residual(nn.Module):
    """Adds what `block` makes, then rectifies."""

    def __init__(self, block: nn.Module, rectify: nn.Module) -> None:
        super().__init__()
        self.block, self.rectify = block, rectify

    def forward(self, x_BCSS: Tensor) -> Tensor:
        """(B, C, S, S) to the same."""
        return self.rectify(x_BCSS + self.block(x_BCSS))


def bottleneck(channels: int, rectify: nn.Module) -> Residual:
    """A residual of a quarter of the channels: 1x1, 3x3, 3x3."""
    inner = channels // 4
    block = nn.Sequential(
        nn.Conv2d(channels, inner, 1, bias=False),
        BatchNorm2d(inner),
        rectify,
        conv3x3(inner, inner),
        BatchNorm2d(inner),
        rectify,
        conv3x3(inner, channels),
        BatchNorm2d(channels),
    )
    return Residual(block, rectify)


class StageOne(nn.Module):
    """Noise and sentence to a picture of `base_size`."""

    def __init__(self, config: StackGANConfig) -> None:
        super().__init__()
        self.config = config = replace(config, num_scales=1)
        self.sizes = config.sizes
        self.noise_size = sum(config.noise_parts)
        doublings = num_doublings(config.base_size)
        widest = max(config.width, config.widest)
        widths = [min(config.width << i, widest) for i in range(doublings - 1, -1, -1)]
        seed = widths[0] * SEED_SIDE**2
        self.augment = ConditioningAugmentation(config.text_width, config.condition_width, "leaky")
        self.line = nn.Sequential(
            nn.Linear(config.noise_width + config.condition_width, seed),
            BatchNorm1d(seed),
            nn.Unflatten(1, (widths[0], SEED_SIDE, SEED_SIDE)),
        )
        self.blocks = nn.Sequential(
            bottleneck(widths[0], nn.ReLU()),
            plain_up(widths[0], widths[1]),
            bottleneck(widths[1], nn.ReLU()),
            *(nn.Sequential(plain_up(wide, narrow), nn.ReLU()) for wide, narrow in pairwise(widths[1:])),
        )
        self.head = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"), image_head(widths[-1], config.image_channels)
        )
        init_weights(self, "normal")

    def forward(self, noise: Tensor, cond: Conditioning) -> Painted:
        """Paint.

        Args:
            noise: (B, N) standard normal: z, then what draws the condition.
            cond: B sentences.

        Returns:
            One picture each; discriminators are told the sentence.
        """
        z, eps = cut(noise, self.config.noise_parts)
        sentence = sentence_of(cond, self.config)
        condition, mean, log_std = self.augment(sentence, _drawn(eps, self.config))
        picture = self.head(self.blocks(self.line(torch.cat([condition, z], dim=1))))
        return Painted(images=(picture,), told=sentence.detach(), mean=mean, log_std=log_std)


class StageTwo(nn.Module):
    """Noise and sentence to the largest picture: that of a frozen first stage, redrawn."""

    def __init__(self, config: StackGANConfig) -> None:
        super().__init__()
        self.config = config
        self.sizes = config.sizes
        self.noise_size = sum(config.noise_parts)
        width, ups = config.width, config.num_scales + 1
        self.augment = ConditioningAugmentation(config.text_width, config.condition_width, "leaky")
        self.encode = nn.Sequential(
            conv3x3(config.image_channels, width),
            nn.ReLU(),
            _halve(width, 2 * width),
            _halve(2 * width, 4 * width),
        )
        self.join = nn.Sequential(
            conv3x3(4 * width + config.condition_width, 4 * width), BatchNorm2d(4 * width), nn.ReLU()
        )
        self.residual = nn.Sequential(*(_residual(4 * width) for _ in range(config.num_residual)))
        self.blocks = nn.Sequential(
            *(nn.Sequential(plain_up(4 * width >> i, 4 * width >> (i + 1)), nn.ReLU()) for i in range(ups))
        )
        self.head = image_head(4 * width >> ups, config.image_channels)
        init_weights(self, "normal")
        self.stage_1 = StageOne(config).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Train or not; the first stage never does."""
        super().train(mode)
        self.stage_1.eval()
        return self

    def take_stage_1(self, weights: Mapping[str, Tensor]) -> None:
        """Take over a trained first stage.

        Args:
            weights: name to tensor, as `StageOne.state_dict` names them.

        Raises:
            ModelError: they are of another network.
        """
        own = {name: tuple(tensor.shape) for name, tensor in self.stage_1.state_dict().items()}
        given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        for name in sorted(own.keys() | given.keys()):
            if own.get(name) != given.get(name):
                raise ModelError(
                    f"The first stage's weight {name!r} must be {own.get(name, 'absent')}; got "
                    f"{given.get(name, 'nothing')}. Give both stages the same widths and base_size."
                )
        self.stage_1.load_state_dict(dict(weights))

    def forward(self, noise: Tensor, cond: Conditioning) -> Painted:
        """Paint.

        Args:
            noise: (B, N) standard normal: the first stage's, then what draws the second's condition.
            cond: B sentences.

        Returns:
            One picture each, of the largest side; discriminators are told the sentence.
        """
        first, eps = cut(noise, (self.stage_1.noise_size, self.config.condition_width))
        sentence = sentence_of(cond, self.config)
        with torch.no_grad():
            sketch = self.stage_1(first, cond).images[0]
        condition, mean, log_std = self.augment(sentence, _drawn(eps, self.config))
        x_BCSS = self.join(beside(self.encode(sketch), condition))
        picture = self.head(self.blocks(self.residual(x_BCSS)))
        return Painted(images=(picture,), told=sentence.detach(), mean=mean, log_std=log_std)


def _drawn(eps: Tensor, config: StackGANConfig) -> Tensor:
    return truncated(eps) if config.fidelity == "code" else eps


def _halve(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False),
        BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def _residual(channels: int) -> Residual:
    block = nn.Sequential(
        conv3x3(channels, channels),
        BatchNorm2d(channels),
        nn.ReLU(),
        conv3x3(channels, channels),
        BatchNorm2d(channels),
    )
    return Residual(block, nn.ReLU())
