"""DALL-E's discrete VAE: a picture in, a grid of codes out, and back.

Source  Ramesh et al. 2021, DALL-E (arXiv:2102.12092), appendix A.2 and figures 7 and 8; convolutions start
        as in the published encoder and decoder. Differs: any number of groups and channels; pictures may
        be RGBA.
Letters B batch, C channels, H W picture size, V codes, h w grid of codes, n `num_hidden`.
Units   pictures in [0, 1], alpha premultiplied.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import SizeError
from pictura.encode.dvae.config import DvaeConfig
from pictura.encode.dvae.losses import map_pixels, unmap_pixels

ENCODER_KERNELS = (3, 3, 3, 1)
DECODER_KERNELS = (1, 3, 3, 3)


class Block(nn.Module):
    """Bottleneck of four convolutions, added to its input with a small gain.

    A block that starts with 1x1 convolutions may double the sides, by nearest neighbours: after those, which
    is the same as before them and costs a quarter.
    """

    def __init__(
        self, width_in: int, width: int, kernels: tuple[int, ...], gain: float, *, doubles: bool = False
    ) -> None:
        super().__init__()
        hidden = width // 4
        widths = (width_in, hidden, hidden, hidden, width)
        ahead: list[nn.Module] = [] if width_in == width else [_conv(width_in, width, 1)]
        layers: list[nn.Module] = []
        for (before, after), kernel in zip(pairwise(widths), kernels, strict=True):
            layers += [nn.ReLU(), _conv(before, after, kernel)]
        if doubles:
            ahead.append(nn.UpsamplingNearest2d(scale_factor=2))
            layers.insert(2, nn.UpsamplingNearest2d(scale_factor=2))
        self.id_path = nn.Sequential(*ahead)
        self.res_path = nn.Sequential(*layers)
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        """(B, width_in, h, w) to (B, width, h, w)."""
        return torch.add(self.id_path(x), self.res_path(x), alpha=self.gain)


class Encoder(nn.Module):
    """Pictures to logits over codes."""

    def __init__(self, config: DvaeConfig) -> None:
        super().__init__()
        self.patch_in = _conv(config.image_channels, config.num_hidden, 7)
        layers: list[nn.Module] = []
        width_in = config.num_hidden
        for group in range(config.num_groups):
            if group:
                layers.append(nn.MaxPool2d(2))
            width = config.num_hidden * 2**group
            layers += _blocks(width_in, width, ENCODER_KERNELS, config)
            width_in = width
        self.blocks = nn.Sequential(*layers, nn.ReLU())
        self.logits = _conv(width_in, config.vocab_size, 1)
        self.of_patches = None
        if config.patch_paths:
            self.of_patches = nn.Conv2d(
                config.image_channels, config.vocab_size, config.factor, stride=config.factor
            )

    def forward(self, mapped: Tensor) -> Tensor:
        """(B, C, H, W) mapped pictures to (B, V, h, w)."""
        logits = self.logits(self.blocks(self.patch_in(mapped)))
        return logits if self.of_patches is None else logits + self.of_patches(mapped)


class Decoder(nn.Module):
    """Codes, or mixtures of them, to the statistics of pictures."""

    def __init__(self, config: DvaeConfig) -> None:
        super().__init__()
        self.codes = _conv(config.vocab_size, config.code_width, 1)
        layers: list[nn.Module] = []
        width_in = config.code_width
        for group in reversed(range(config.num_groups)):
            width = config.num_hidden * 2**group
            doubles = group < config.num_groups - 1
            layers += _blocks(width_in, width, DECODER_KERNELS, config, doubles=doubles)
            width_in = width
        self.blocks = nn.Sequential(*layers, nn.ReLU())
        self.statistics = _conv(width_in, 2 * config.image_channels, 1)
        self.factor, self.patches = config.factor, None
        if config.patch_paths:
            self.patches = nn.Conv2d(config.vocab_size, config.image_channels * config.factor**2, 1)

    def forward(self, z: Tensor) -> Tensor:
        """(B, V, h, w) that sum to 1 over V, to (B, 2 C, H, W): mu, then ln b."""
        statistics = self.statistics(self.blocks(self.codes(z)))
        return statistics if self.patches is None else self._with(self.patches(z), statistics)

    def of_codes(self, codes: Tensor) -> Tensor:
        """The same of (B, h, w) int64, without writing one-hot vectors down."""
        statistics = self.statistics(self.blocks(_looked_up(codes, self.codes)))
        return statistics if self.patches is None else self._with(_looked_up(codes, self.patches), statistics)

    def _with(self, patches: Tensor, statistics: Tensor) -> Tensor:
        """Add patches (B, C f f, h, w) to the middles of statistics (B, 2 C, H, W)."""
        mean, log_scale = statistics.chunk(2, dim=1)
        return torch.cat([mean + F.pixel_shuffle(patches, self.factor), log_scale], dim=1)


class Dvae(nn.Module):
    """Encoder and decoder; between them, one of V codes at every place."""

    def __init__(self, config: DvaeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def logits(self, images: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] to logits (B, V, h, w).

        Raises:
            SizeError: a side is not a multiple of `config.factor`, or the channels are others.
        """
        config = self.config
        if images.shape[2] % config.factor or images.shape[3] % config.factor:
            raise SizeError(
                f"The dVAE reads pictures whose sides are multiples of {config.factor}; "
                f"got {tuple(images.shape[2:])}."
            )
        if images.shape[1] != config.image_channels:
            raise SizeError(
                f"The dVAE reads pictures of {config.image_channels} channels; got {images.shape[1]}."
            )
        return self.encoder(map_pixels(images))

    def encode(self, images: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] to their likeliest codes (B, h, w), int64; nothing is drawn."""
        return self.logits(images).argmax(dim=1)

    def relaxed(self, z: Tensor) -> Tensor:
        """Mixtures of codes (B, V, h, w) to statistics of pictures (B, 2 C, H, W): mu, then ln b."""
        return self.decoder(z)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (B, h, w) to pictures (B, C, H, W) in [0, 1]; colour is never above alpha if C is 4."""
        return self.pictures(self.decoder.of_codes(codes))

    def pictures(self, statistics: Tensor) -> Tensor:
        """The middle of what `relaxed` says: (B, 2 C, H, W) to (B, C, H, W) in [0, 1]."""
        x = unmap_pixels(torch.sigmoid(statistics[:, : self.config.image_channels]))
        if self.config.image_channels == 3:
            return x
        return torch.cat([torch.minimum(x[:, :3], x[:, 3:]), x[:, 3:]], dim=1)


def relax(logits: Tensor, noise: Tensor, temperature: Tensor | float) -> Tensor:
    """Soft codes by the Gumbel-softmax relaxation, forward and backward.

    Source: Jang et al. 2016 (arXiv:1611.01144), Maddison et al. 2016 (arXiv:1611.00712), without the
    straight-through variant.

    Args:
        logits: (B, V, h, w).
        noise: the same shape, of the standard Gumbel distribution; `logits + noise` is greatest at a code
            that is drawn from softmax(logits).
        temperature: above 0; towards 0 the result is the one-hot vector of that code.

    Returns:
        (B, V, h, w) that sum to 1 over V.
    """
    return F.softmax((logits.float() + noise) / temperature, dim=1)


def _blocks(
    width_in: int, width: int, kernels: tuple[int, ...], config: DvaeConfig, *, doubles: bool = False
) -> list[nn.Module]:
    widths = [width_in] + [width] * config.blocks_per_group
    gain = config.gain or 1 / config.num_layers**2
    return [
        Block(before, after, kernels, gain, doubles=doubles and not index)
        for index, (before, after) in enumerate(pairwise(widths))
    ]


def _looked_up(codes: Tensor, table: nn.Conv2d) -> Tensor:
    """What a 1x1 convolution `table` gives for one-hot codes: (B, h, w) to (B, D, h, w)."""
    x_BhwD = F.embedding(codes, table.weight[:, :, 0, 0].T) + table.bias  # type: ignore[operator]  # it has one
    return x_BhwD.movedim(-1, 1).contiguous()


def _conv(width_in: int, width: int, kernel: int) -> nn.Conv2d:
    """Keeps the size; weights of deviation 1 / sqrt(fan in), no bias at the start."""
    conv = nn.Conv2d(width_in, width, kernel, padding=kernel // 2)
    nn.init.normal_(conv.weight, std=1 / math.sqrt(width_in * kernel**2))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # there is one
    return conv
