"""AttnGAN's painter: noise and words in, a picture at each doubling of the side out.

Source  Xu et al. 2018, AttnGAN (arXiv:1711.10485), equations 1 to 3, and the authors' code.
        Differs: the mask of padded words belongs to its own caption (the authors' is laid over the batch in
        another order than the scores, so that captions hide each other's words); the first side, the
        number of pictures and the channels of the coarsest maps are free; 4 channels are premultiplied RGBA.
Letters B batch, C channels, S side, T text tokens, D text width, R regions (S * S places),
        N noise numbers, K condition numbers.
Units   pictures in [-1, 1].
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning
from pictura.nn.gan import ConditioningAugmentation, Painted, ResidualBlock, init_weights, up_block
from pictura.nn.tree import FirstBranch, image_head, num_doublings


@dataclass(frozen=True, kw_only=True, slots=True)
class AttnGANConfig:
    """Shape of generator and discriminators."""

    image_channels: int = 4
    """3 (RGB), or 4 (premultiplied RGBA)."""
    text_width: int = 256
    """D: width of words and sentence."""
    base_size: int = 64
    """Side of the coarsest picture."""
    num_scales: int = 3
    """Each after the first has twice the side of the one before, and looks at the words."""
    width: int = 32
    """Channels of the maps that pictures are made from; each halving of `base_size` doubles them."""
    widest: int = 1024
    """No map has more channels; what the authors train stays below."""
    num_residual: int = 2
    """Residual blocks after each look at the words."""
    noise_width: int = 100
    condition_width: int = 100
    """K: numbers that conditioning augmentation draws from the sentence."""
    discriminator_width: int = 64
    """Channels of a discriminator's first map."""
    fidelity: str = "paper"
    """Whose losses where they differ, "paper" or "code"; the networks are the same."""

    def __post_init__(self) -> None:
        if self.image_channels not in (3, 4):
            raise ConfigError(f"AttnGANConfig.image_channels must be 3 or 4; got {self.image_channels}.")
        if self.fidelity not in ("paper", "code"):
            raise ConfigError(f'AttnGANConfig.fidelity must be "paper" or "code"; got {self.fidelity!r}.')
        if self.num_residual < 0:
            raise ConfigError(f"AttnGANConfig.num_residual must not be negative; got {self.num_residual}.")
        names = ("text_width", "num_scales", "width", "widest", "noise_width", "condition_width")
        for name in (*names, "discriminator_width"):
            if getattr(self, name) < 1:
                raise ConfigError(f"AttnGANConfig.{name} must be at least 1; got {getattr(self, name)}.")
        num_doublings(self.base_size)

    @property
    def loss(self) -> str:
        """Name in `train/gans/gan_losses.py`."""
        return "attngan"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of the pictures, coarse to fine."""
        return tuple(self.base_size << i for i in range(self.num_scales))


class WordAttention(nn.Module):
    """Each place of a map takes from the words what fits it (the paper's F^attn)."""

    def __init__(self, width: int, text_width: int) -> None:
        super().__init__()
        self.words = nn.Linear(text_width, width, bias=False)

    def forward(self, map_BCSS: Tensor, tokens_BTD: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Word context of each place.

        Args:
            map_BCSS: the places that ask.
            tokens_BTD: word features.
            mask_BT: true where a token is; at least one in each row.

        Returns:
            (B, C, S, S) context, and (B, T, S, S) weights that sum to 1 over T, 0 at padding.
        """
        words_BTC = self.words(tokens_BTD)
        scores_BTR = words_BTC @ map_BCSS.flatten(2)
        weights_BTR = scores_BTR.masked_fill(~mask_BT[:, :, None], -torch.inf).softmax(dim=1)
        context_BCR = words_BTC.transpose(1, 2) @ weights_BTR
        grid = map_BCSS.shape[2:]
        return context_BCR.unflatten(2, grid), weights_BTR.unflatten(2, grid)


class AttentionStage(nn.Module):
    """Looks at the words, then doubles the side (the paper's F_1, F_2)."""

    def __init__(self, width: int, text_width: int, num_residual: int) -> None:
        super().__init__()
        self.attention = WordAttention(width, text_width)
        self.residual = nn.Sequential(*(ResidualBlock(2 * width) for _ in range(num_residual)))
        self.up = up_block(2 * width, width)

    def forward(self, map_BCSS: Tensor, tokens_BTD: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, S, S) to (B, C, 2 S, 2 S), with the weights (B, T, S, S) on the words."""
        context_BCSS, weights_BTSS = self.attention(map_BCSS, tokens_BTD, mask_BT)
        return self.up(self.residual(torch.cat([map_BCSS, context_BCSS], dim=1))), weights_BTSS


class AttnGANGenerator(nn.Module):
    """The whole painter (`nn.gan.Generator`)."""

    def __init__(self, config: AttnGANConfig) -> None:
        super().__init__()
        self.config = config
        self.noise_size = config.noise_width + config.condition_width
        self.sizes = config.sizes
        width = config.width
        self.augment = ConditioningAugmentation(config.text_width, config.condition_width, "gated")
        self.first = FirstBranch(self.noise_size, width, config.base_size, config.widest)
        self.stages = nn.ModuleList(
            AttentionStage(width, config.text_width, config.num_residual) for _ in self.sizes[1:]
        )
        self.heads = nn.ModuleList(image_head(width, config.image_channels) for _ in self.sizes)
        init_weights(self, "orthogonal")

    def forward(self, noise: Tensor, cond: Conditioning) -> Painted:
        """Paint what the words say.

        Args:
            noise: (B, N) standard normal: `noise_width` numbers of the picture, then those by which
                conditioning augmentation draws.
            cond: words (B, T, D), their mask and the sentence (B, D).

        Returns:
            Pictures at `sizes`, the drawn distribution, and the attention of every stage.
        """
        assert cond.sentence is not None, "AttnGAN reads the sentence, too"
        config = self.config
        z_BN, eps_BK = noise.split([config.noise_width, config.condition_width], dim=1)
        condition_BK, mean_BK, log_std_BK = self.augment(cond.sentence, eps_BK)
        maps = [self.first(torch.cat([condition_BK, z_BN], dim=1))]
        attention = []
        for stage in self.stages:
            map_BCSS, weights_BTSS = stage(maps[-1], cond.tokens, cond.mask)
            maps.append(map_BCSS)
            attention.append(weights_BTSS)
        return Painted(
            images=tuple(head(map_BCSS) for head, map_BCSS in zip(self.heads, maps, strict=True)),
            told=cond.sentence.detach(),
            mean=mean_BK,
            log_std=log_std_BK,
            attention=tuple(attention),
        )
