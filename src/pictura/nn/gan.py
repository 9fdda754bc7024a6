"""What the adversarial families share: how painters and discriminators meet, and their layers.

Letters B batch, C channels, S side, N noise numbers, K condition numbers, T text tokens.
Units   pictures in [-1, 1] here, as tanh gives them; `core/images.py` holds [0, 1].
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from pictura.core.types import Conditioning


class Painted(NamedTuple):
    """What a generator gives."""

    images: tuple[Tensor, ...]
    """Coarse to fine, each (B, C, S, S) in [-1, 1], premultiplied if C is 4."""
    told: Tensor
    """(B, K) what discriminators are told of the sentence; no gradient passes through it."""
    mean: Tensor | None = None
    """(B, K) of the conditioning augmentation; None where a family has none."""
    log_std: Tensor | None = None
    """(B, K), logarithm of its standard deviation."""
    attention: tuple[Tensor, ...] = ()
    """Coarse to fine, each (B, T, h, w): weights over the tokens at each place, which sum to 1."""


class Verdict(NamedTuple):
    """What a discriminator says of pictures, as logits: above 0 is real."""

    conditional: Tensor
    """(B,) of picture and sentence together."""
    unconditional: Tensor | None = None
    """(B,) of the picture alone; None where a family does not ask."""


class Generator(Protocol):
    """A network that paints in one call; an `nn.Module`."""

    config: Any
    noise_size: int
    """N: all random numbers of one picture, those of conditioning augmentation included."""
    sizes: tuple[int, ...]
    """Sides of what it paints, coarse to fine."""

    def __call__(self, noise: Tensor, cond: Conditioning) -> Painted:
        """Paint from standard normal noise (B, N) what `cond` (B rows) says."""
        ...


class Discriminator(Protocol):
    """A network that tells real pictures from painted ones; an `nn.Module`."""

    def features(self, images: Tensor) -> Tensor:
        """What it sees in pictures (B, C, S, S): looked at once, judged with right and wrong sentences."""
        ...

    def judge(self, features: Tensor, told: Tensor) -> Verdict:
        """Whether pictures of these features are real and of the sentences that `told` (B, K) tells."""
        ...


class GanFamily(NamedTuple):
    """How the networks of an adversarial family are made."""

    config: type
    """Its frozen dataclass, with `image_channels`, `text_width`, `fidelity` and the property `loss`."""
    preset: Callable[[str], dict[str, Any]]
    """Name to fields of that."""
    generator: Callable[[Any], nn.Module]
    """Config to `Generator`."""
    discriminators: Callable[[Any], nn.ModuleList]
    """Config to one `Discriminator` for each size."""


class _Uncounted(nn.modules.batchnorm._BatchNorm):
    """Without torch's counter of batches: whole numbers do not fit the fp16 files of weights."""

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.num_batches_tracked = None

    def _load_from_state_dict(self, state: Any, prefix: str, metadata: dict[str, Any], *rest: Any) -> None:
        # Of a file, which has no version, torch would believe that the counter was forgotten, and add it.
        super()._load_from_state_dict(state, prefix, {**metadata, "version": 2}, *rest)


class BatchNorm1d(_Uncounted, nn.BatchNorm1d):
    """(B, C) to the same, without the counter of batches."""


class BatchNorm2d(_Uncounted, nn.BatchNorm2d):
    """(B, C, S, S) to the same, without the counter of batches."""


LEAK = 0.2
"""What every leaky rectifier of the adversarial families lets through below 0."""


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Keeps the side; no bias, since normalisation or tanh follows."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)


def glu_block(in_channels: int, out_channels: int) -> nn.Sequential:
    """(B, in, S, S) to (B, out, S, S): 3x3, normalised, half of the channels gate the other half."""
    return nn.Sequential(conv3x3(in_channels, 2 * out_channels), BatchNorm2d(2 * out_channels), nn.GLU(dim=1))


def up_block(in_channels: int, out_channels: int) -> nn.Sequential:
    """(B, in, S, S) to (B, out, 2 S, 2 S): nearest neighbours, then a gated 3x3 block."""
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), *glu_block(in_channels, out_channels))


def leaky_block(in_channels: int, out_channels: int) -> nn.Sequential:
    """(B, in, S, S) to (B, out, S, S) in a discriminator."""
    return nn.Sequential(conv3x3(in_channels, out_channels), BatchNorm2d(out_channels), nn.LeakyReLU(LEAK))


def down_block(in_channels: int, out_channels: int, normalised: bool = True) -> nn.Sequential:
    """(B, in, S, S) to (B, out, S/2, S/2) by 4x4 filters; the first of a discriminator is not normalised."""
    conv = nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, *([BatchNorm2d(out_channels)] if normalised else []), nn.LeakyReLU(LEAK))


class ResidualBlock(nn.Module):
    """Two 3x3 filters, gated between, added to what came; nothing follows the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            *glu_block(channels, channels), conv3x3(channels, channels), BatchNorm2d(channels)
        )

    def forward(self, x_BCSS: Tensor) -> Tensor:
        """(B, C, S, S) to the same."""
        return x_BCSS + self.block(x_BCSS)


class ConditioningAugmentation(nn.Module):
    """A normal distribution of conditions for each sentence, so that near sentences share them.

    Source  Zhang et al. 2017, StackGAN (arXiv:1612.03242), equation 2. "leaky" is what the first version's
            code does: mean and logarithm of the standard deviation come through a leaky rectifier. "gated"
            is the second version's and AttnGAN's: a gated layer gives mean and logarithm of the variance.
    """

    def __init__(self, text_width: int, condition_width: int, kind: Literal["leaky", "gated"]) -> None:
        super().__init__()
        gated = kind == "gated"
        self.line = nn.Linear(text_width, (4 if gated else 2) * condition_width)
        self.bend = nn.GLU(dim=1) if gated else nn.LeakyReLU(LEAK)
        self.log_unit = 0.5 if gated else 1.0

    def forward(self, sentence_BD: Tensor, eps_BK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A condition, with the mean and logarithm of the standard deviation it was drawn from.

        Args:
            sentence_BD: features of the sentences.
            eps_BK: standard normal.

        Returns:
            Condition, mean, log_std: each (B, K); condition = mean + exp(log_std) * eps.
        """
        mean_BK, log_std_BK = self.bend(self.line(sentence_BD)).chunk(2, dim=1)
        log_std_BK = self.log_unit * log_std_BK
        return mean_BK + log_std_BK.exp() * eps_BK, mean_BK, log_std_BK


def beside(x_BCSS: Tensor, vector_BK: Tensor) -> Tensor:
    """The vector laid at every place beside the channels: (B, C + K, S, S)."""
    tiled = vector_BK[:, :, None, None].expand(-1, -1, *x_BCSS.shape[2:])
    return torch.cat([x_BCSS, tiled], dim=1)


def init_weights(network: nn.Module, kind: Literal["orthogonal", "normal"]) -> None:
    """Start filters as the authors do, in place; the gains of normalisation at about 1.

    Args:
        network: all of its filters, linear and normalising layers are set.
        kind: "orthogonal" (StackGAN++, AttnGAN) or "normal" of deviation 0.02, cut at two of it (StackGAN).
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            if kind == "orthogonal":
                nn.init.orthogonal_(layer.weight)
            else:
                nn.init.trunc_normal_(layer.weight, std=0.02, a=-0.04, b=0.04)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
