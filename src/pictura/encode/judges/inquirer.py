"""Judge B, a network asked about each thing: a picture in; for every thing number, colour, place out.

Source  Hu et al. 2018, squeeze and excitation; Ridnik et al. 2021, ML-Decoder (arXiv:2111.12933) for one
        learnt question per class. Differs: a question is answered with number, colour and place. That the
        thing is there at all is the question's own match with the picture, as in a linear classifier (behind
        a hidden layer it was learnt several times more slowly, as it was by transformer blocks alone); how
        many there are is read from over how many cells the match spreads.
Letters B batch, T things, K colours, L cells of 8 x 8 pixels, D width.
Units   pictures float32 in [0, 1] on light grey, 64 x 64; centres as fractions of the picture.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.nn.layers import Attention, SwiGLU, centred_grid, rope_2d

MOST = 5
"""Numbers of a thing that are told apart: 0 to 4, and more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InquirerConfig:
    """Shape of the inquirer."""

    num_things: int
    num_colours: int
    stem: tuple[int, int] = (32, 64)
    """Channels at strides 2 and 4."""
    blocks: tuple[int, int] = (2, 3)
    """Residual blocks at strides 4 and 8."""
    width: int = 144
    num_heads: int = 4
    hidden: int = 128
    """Width in which an answer is thought over."""

    def __post_init__(self) -> None:
        if self.width % (4 * self.num_heads):
            raise ConfigError(
                f"InquirerConfig.width must be a multiple of 4 * num_heads; "
                f"got width={self.width}, num_heads={self.num_heads}."
            )


@dataclass(frozen=True, slots=True)
class Answers:
    """What is said of every thing."""

    counts: Tensor
    """(B, T, 6) logits: none, one to four, more."""
    colours: Tensor
    """(B, T, K + 1) logits of its colour; the last stands for a look of its own."""
    centres: Tensor
    """(B, T, 2) x, y as fractions of the picture."""
    match: Tensor
    """(B, T, h, w): how well each cell matches each question."""
    features: Tensor
    """(B, D) mean over the picture."""


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(width)
        self.attention = Attention(width, num_heads)
        self.norm_2 = nn.LayerNorm(width)
        self.mlp = SwiGLU(width)

    def forward(self, x_BLD: Tensor, mask_BL: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """(B, L, D) to the same."""
        x_BLD = x_BLD + self.attention(self.norm_1(x_BLD), mask_BL, rotation)
        return x_BLD + self.mlp(self.norm_2(x_BLD))


class Excited(nn.Module):
    """Residual block, norms first, whose channels the whole picture turns up or down."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_1 = nn.BatchNorm2d(width)
        self.conv_1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm_2 = nn.BatchNorm2d(width)
        self.conv_2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.squeeze = nn.Linear(width, width // 4)
        self.excite = nn.Linear(width // 4, width)

    def forward(self, x_BDhw: Tensor) -> Tensor:
        """(B, D, h, w) to the same."""
        y_BDhw = self.conv_1(F.gelu(self.norm_1(x_BDhw)))
        y_BDhw = self.conv_2(F.gelu(self.norm_2(y_BDhw)))
        gate_BD = self.excite(F.gelu(self.squeeze(y_BDhw.mean(dim=(2, 3))))).sigmoid()
        return x_BDhw + y_BDhw * gate_BD[:, :, None, None]


class Inquirer(nn.Module):
    """Answers for every thing: how many, which colour, where."""

    def __init__(self, config: InquirerConfig) -> None:
        super().__init__()
        self.config = config
        thin, middle = config.stem
        width = config.width
        self.stem = nn.Sequential(
            nn.Conv2d(3, thin, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(thin),
            nn.GELU(),
            nn.Conv2d(thin, middle, 3, stride=2, padding=1, bias=False),
            *(Excited(middle) for _ in range(config.blocks[0])),
            nn.BatchNorm2d(middle),
            nn.GELU(),
            nn.Conv2d(middle, width, 3, stride=2, padding=1, bias=False),
            *(Excited(width) for _ in range(config.blocks[1])),
            nn.BatchNorm2d(width),
        )
        self.block = Block(width, config.num_heads)
        self.norm = nn.LayerNorm(width)
        self.questions = nn.Linear(width, config.num_things)
        self.value = nn.Linear(width, config.hidden, bias=False)
        self.spread = nn.Linear(2, config.hidden)
        self.answer = nn.Linear(config.hidden, MOST + config.num_colours + 1)

    def forward(self, images: Tensor) -> Answers:
        """Read pictures (B, 3, H, W), H and W multiples of 8."""
        x_BDhw = self.stem(images * 2 - 1)
        h, w = x_BDhw.shape[2:]
        x_BLD = x_BDhw.flatten(2).transpose(1, 2)
        rows_L, cols_L = centred_grid(h, w, x_BLD)
        rotation = rope_2d(rows_L, cols_L, self.config.width // self.config.num_heads, 100.0)
        mask_BL = torch.ones(x_BLD.shape[:2], dtype=torch.bool, device=x_BLD.device)
        x_BLD = self.norm(self.block(x_BLD, mask_BL, rotation))

        match_BTL = self.questions(x_BLD).transpose(1, 2)
        there_BT = match_BTL.logsumexp(dim=-1) - math.log(h * w) - 4.0  # few things are there
        weights_BTL = match_BTL.softmax(dim=-1)
        cells_BT = 1 / weights_BTL.square().sum(dim=-1)
        strong_BT = (match_BTL - match_BTL.amax(dim=-1, keepdim=True) + 3).sigmoid().sum(dim=-1)
        seen_BTD = weights_BTL @ self.value(x_BLD)
        spread_BTD = self.spread(torch.stack([cells_BT, strong_BT], dim=-1).log())
        answer = self.answer(F.gelu(seen_BTD + spread_BTD))
        numbers = there_BT[..., None] + answer[..., :MOST].log_softmax(dim=-1)
        # The mean place of what matches the question.
        places_L2 = torch.stack([cols_L / w, rows_L / h], dim=-1) + 0.5
        return Answers(
            counts=torch.cat([torch.zeros_like(numbers[..., :1]), numbers], dim=-1),
            colours=answer[..., MOST:],
            centres=weights_BTL @ places_L2,
            match=match_BTL.unflatten(-1, (h, w)),
            features=x_BLD.mean(dim=1),
        )
