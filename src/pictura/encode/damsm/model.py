"""The matcher's two encoders: captions to words and a sentence, pictures to regions and a whole.

Source  Xu et al. 2018, AttnGAN (arXiv:1711.10485), section 3.2, and the authors' code. Differs: tokens are
        byte pairs, not words, and `<s>` is the first; pictures are read by a small network of our own that
        learns with the rest, where no weights of Inception-v3 are at hand; its regions are summed from
        three sizes of map, and its whole is read from the coarsest with places kept.
Letters B pictures or captions, T text tokens, E numbers of an embedding, D width, R regions, S side,
        C channels.
Units   pictures in [0, 1], RGB on light grey.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import SizeError
from pictura.core.types import Conditioning
from pictura.encode.damsm.config import DamsmConfig
from pictura.encode.damsm.inception import SIDE, Inception

_GROUPS = 8


class Look(NamedTuple):
    """What is seen in pictures."""

    regions: Tensor
    """(B, R, D), row by row."""
    whole: Tensor
    """(B, D)."""


class WordEncoder(nn.Module):
    """A bi-LSTM: the backward direction starts at the last real token, so that padding changes nothing.

    Both directions are LSTMs that read forwards; the second reads each caption turned around. So nothing is
    packed, and the module goes into an ONNX graph with captions of any length (two LSTM nodes, opset 18;
    measured against torch: below 1e-6).
    """

    def __init__(self, config: DamsmConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.embedding)
        nn.init.uniform_(self.embed.weight, -0.1, 0.1)
        self.ahead = nn.LSTM(config.embedding, config.width // 2, batch_first=True)
        self.back = nn.LSTM(config.embedding, config.width // 2, batch_first=True)

    def forward(self, token_ids: Tensor, mask: Tensor, kept: Tensor | None = None) -> Conditioning:
        """Read captions.

        Args:
            token_ids: (B, T) int64.
            mask: (B, T) bool, true where a token is; these come first, at least one in each row.
            kept: (B, T, E) what embeddings are multiplied by, for dropout; None keeps them.

        Returns:
            Words (B, T, D), 0 at padding, and sentences (B, D): the last state of both directions.
        """
        x_BTE = self.embed(token_ids)
        if kept is not None:
            x_BTE = x_BTE * kept
        length_B1 = mask.sum(dim=1, keepdim=True)
        place_T = torch.arange(token_ids.shape[1], device=token_ids.device)
        turned_BT = torch.where(mask, length_B1 - 1 - place_T, place_T)
        ahead_BTd, _ = self.ahead(x_BTE)
        back_BTd, _ = self.back(_reorder(x_BTE, turned_BT))
        last_B1 = length_B1 - 1
        ends = (_reorder(ahead_BTd, last_B1), _reorder(back_BTd, last_B1))
        words_BTD = torch.cat([ahead_BTd, _reorder(back_BTd, turned_BT)], dim=2)
        return Conditioning(
            tokens=words_BTD * mask[..., None], mask=mask, sentence=torch.cat(ends, dim=2)[:, 0]
        )


def _reorder(x_BTD: Tensor, place_BK: Tensor) -> Tensor:
    """(B, K, D): rows of `x_BTD` at the places (B, K)."""
    return x_BTD.gather(1, place_BK[..., None].expand(-1, -1, x_BTD.shape[2]))


class Residual(nn.Module):
    """Two convolutions on the way past a shortcut, each after norm and SiLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.GroupNorm(_GROUPS, width), nn.GroupNorm(_GROUPS, width)
        self.conv_1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv_2 = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x_BCSS: Tensor) -> Tensor:
        """(B, C, S, S) to the same."""
        h_BCSS = self.conv_1(F.silu(self.norm_1(x_BCSS)))
        return x_BCSS + self.conv_2(F.silu(self.norm_2(h_BCSS)))


class RegionEncoder(nn.Module):
    """Convolutions at a quarter, an eighth and a sixteenth of the side.

    Regions are 1x1 convolutions of the maps up to their size, summed: the coarse ones say what a thing is,
    the fine one where it ends.
    """

    def __init__(self, config: DamsmConfig) -> None:
        super().__init__()
        self.config = config
        first, second, third = config.widths
        self._skipped = int(config.region_side < config.size // 4)  # maps finer than the regions
        self.stages = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Conv2d(3, first // 2, 4, stride=2, padding=1),
                    nn.SiLU(),
                    nn.Conv2d(first // 2, first, 4, stride=2, padding=1),
                    Residual(first),
                ),
                nn.Sequential(nn.Conv2d(first, second, 2, stride=2), Residual(second)),
                nn.Sequential(nn.Conv2d(second, third, 2, stride=2), Residual(third)),
            ]
        )
        self.norms = nn.ModuleList(nn.GroupNorm(_GROUPS, width) for width in config.widths)
        self.local = nn.ModuleList(
            nn.Conv2d(width, config.width, 1) for width in config.widths[self._skipped :]
        )
        self.whole = nn.Linear(third * (config.size // 16) ** 2, config.width)

    def forward(self, images: Tensor) -> Look:
        """Look at pictures.

        Args:
            images: (B, 3, S, S) in [0, 1].

        Returns:
            Regions (B, R, D) and wholes (B, D).
        """
        x = (_resized(images, self.config.size) - 0.5) * 4
        regions: list[Tensor] = []
        for i, (stage, norm) in enumerate(zip(self.stages, self.norms, strict=True)):
            x = stage(x)
            h = F.silu(norm(x))
            if i >= self._skipped:
                fit = self.local[i - self._skipped](h)
                regions.append(F.interpolate(fit, (self.config.region_side,) * 2))
        return Look(torch.stack(regions).sum(dim=0).flatten(2).transpose(1, 2), self.whole(h.flatten(1)))


class InceptionEncoder(nn.Module):
    """The paper's: a frozen Inception-v3 with two projections that learn. 17 x 17 regions."""

    def __init__(self, config: DamsmConfig) -> None:
        super().__init__()
        self.net = Inception().requires_grad_(False)
        self.local = nn.Conv2d(768, config.width, 1, bias=False)
        self.whole = nn.Linear(2048, config.width)

    def train(self, mode: bool = True) -> Self:
        """Its norms keep their statistics also in training."""
        super().train(mode)
        self.net.eval()
        return self

    def forward(self, images: Tensor) -> Look:
        """Look at pictures (B, 3, S, S) in [0, 1]."""
        maps, pooled = self.net(_resized(images, SIDE) * 2 - 1)
        return Look(self.local(maps).flatten(2).transpose(1, 2), self.whole(pooled))


def _resized(images: Tensor, side: int) -> Tensor:
    if images.shape[2] == side:
        return images
    return F.interpolate(
        images, (side, side), mode="bilinear", align_corners=False, antialias=images.shape[2] > side
    )


class Damsm(nn.Module):
    """Both encoders."""

    def __init__(self, config: DamsmConfig) -> None:
        super().__init__()
        self.config = config
        self.text = WordEncoder(config)
        encoder = {"small": RegionEncoder, "inception": InceptionEncoder}[config.image_encoder]
        self.image = encoder(config)

    def read(self, token_ids: Tensor, mask: Tensor, kept: Tensor | None = None) -> Conditioning:
        """Read captions; see `WordEncoder.forward`."""
        return self.text(token_ids, mask, kept)

    def look(self, images: Tensor) -> Look:
        """Look at pictures.

        Args:
            images: (B, 3, S, S) in [0, 1], on light grey; of any size.

        Raises:
            SizeError: other channels, or pictures that are not square.
        """
        if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
            raise SizeError(
                f"A DAMSM reads pictures of shape (B, 3, S, S), on light grey; got {tuple(images.shape)}."
            )
        return self.image(images)
