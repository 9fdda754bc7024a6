"""What both priors read with: a causal transformer, and the text at the head of its sequence.

Source  Ramesh et al. 2022 (arXiv:2204.06125), section 2.2: the caption's tokens, then CLIP's vector of it.
Letters B captions, T text tokens, E width of the text features, D of the embeddings, P = T + 1 prefix
        positions, S positions in all, W width, N heads, K head width.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.core.types import TextConditioning
from pictura.nn.layers import attend


class Block(nn.Module):
    """One pre-norm transformer block under a mask."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm_1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x_BSW: Tensor, mask_B1SS: Tensor) -> Tensor:
        """(B, S, W) to (B, S, W)."""
        heads = self.qkv(self.norm_1(x_BSW)).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
        mixed_BNSK = attend(q, k, v, mask_B1SS)
        x_BSW = x_BSW + self.out(mixed_BNSK.transpose(1, 2).flatten(2))
        return x_BSW + self.down(F.gelu(self.up(self.norm_2(x_BSW))))


class CausalTransformer(nn.Module):
    """Blocks in which a position sees itself and those before it."""

    def __init__(self, width: int, num_blocks: int, num_heads: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, num_heads) for _ in range(num_blocks))
        self.norm_out = nn.LayerNorm(width)
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)
            elif name.endswith(("out.weight", "down.weight")) and weight.ndim == 2:
                nn.init.normal_(weight, std=(2 * num_blocks * weight.shape[1]) ** -0.5)
            elif weight.ndim == 2:
                nn.init.normal_(weight, std=weight.shape[1] ** -0.5)

    def forward(self, x_BSW: Tensor, seen_BS: Tensor) -> Tensor:
        """Read sequences.

        Args:
            x_BSW: tokens.
            seen_BS: bool, false where a token must not be looked at by others.

        Returns:
            (B, S, W).
        """
        places_S = torch.arange(x_BSW.shape[1], device=x_BSW.device)
        before_SS = places_S[:, None] > places_S
        # Each sees itself, so that no row of the mask is empty.
        mask_BSS = (before_SS & seen_BS[:, None, :]) | (places_S[:, None] == places_S)
        for block in self.blocks:
            x_BSW = block(x_BSW, mask_BSS[:, None])
        return self.norm_out(x_BSW)


class TextPrefix(nn.Module):
    """Caption and its vector as the first tokens of a sequence. One that is not kept leaves no trace."""

    def __init__(self, text_width: int, max_tokens: int, dim: int, width: int, scale: float) -> None:
        """Make the layers.

        Args:
            text_width: E.
            max_tokens: longest text.
            dim: D.
            width: W.
            scale: what unit vectors are multiplied by.
        """
        super().__init__()
        self.max_tokens, self.scale = max_tokens, scale
        self.token_in = nn.Linear(text_width, width)
        self.places = nn.Embedding(max_tokens, width)
        self.sentence_in = nn.Linear(dim, width)
        self.nothing = nn.Parameter(torch.empty(width))
        nn.init.normal_(self.places.weight, std=0.1)
        nn.init.normal_(self.nothing, std=0.1)

    def forward(self, cond: TextConditioning) -> tuple[Tensor, Tensor]:
        """Put a prefix together.

        Args:
            cond: of B captions.

        Returns:
            (B, P, W) tokens, and (B, P) which of them may be looked at.

        Raises:
            ConfigError: a text has more tokens than there are places.
        """
        length = cond.tokens.shape[1]
        if length > self.max_tokens:
            raise ConfigError(
                f"This prior reads at most {self.max_tokens} text tokens; got {length}. Cut the text."
            )
        text_BTW = self.token_in(cond.tokens) + self.places.weight[:length]
        vector_BW = self.sentence_in(cond.sentence * self.scale)
        vector_BW = torch.where(cond.keep[:, None], vector_BW, self.nothing.to(vector_BW.dtype))
        seen_BP = torch.cat([cond.mask & cond.keep[:, None], torch.ones_like(cond.keep)[:, None]], dim=1)
        return torch.cat([text_BTW, vector_BW[:, None].to(text_BTW.dtype)], dim=1), seen_BP


def check_shape(where: str, width: int, num_heads: int, **counts: int) -> None:
    """Refuse a transformer that cannot be made.

    Raises:
        ConfigError: heads do not divide the width, or there is less than one of something.
    """
    for name, value in {"width": width, "num_heads": num_heads, **counts}.items():
        if value < 1:
            raise ConfigError(f"{where}.{name} must be at least 1; got {value}.")
    if width % num_heads or width % 2:
        raise ConfigError(
            f"{where}.width must be even and a multiple of num_heads; "
            f"got width={width}, num_heads={num_heads}."
        )


def check_scale(where: str, scale: float) -> None:
    """Refuse a scale of embeddings that is no positive number.

    Raises:
        ConfigError: it is none.
    """
    if not 0 < scale < math.inf:
        raise ConfigError(f"{where}.scale must be above 0; got {scale}.")
