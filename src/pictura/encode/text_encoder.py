"""Text tower: token ids in, one feature vector per token out. Trained together with the painter.

Letters B batch, T text tokens, D width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pictura.core.errors import ConfigError
from pictura.nn.layers import Attention, SwiGLU, sincos


@dataclass(frozen=True, kw_only=True, slots=True)
class TextEncoderConfig:
    """Shape of the text tower."""

    vocab_size: int = 4096
    width: int = 256
    num_blocks: int = 2
    num_heads: int = 4

    def __post_init__(self) -> None:
        if self.width % (2 * self.num_heads):
            raise ConfigError(
                f"TextEncoderConfig.width must be a multiple of 2 * num_heads; "
                f"got width={self.width}, num_heads={self.num_heads}."
            )


class TextBlock(nn.Module):
    """Pre-norm transformer block; every token sees every other."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm_1 = nn.RMSNorm(width, eps=1e-6)
        self.attention = Attention(width, num_heads)
        self.norm_2 = nn.RMSNorm(width, eps=1e-6)
        self.mlp = SwiGLU(width)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        x_BTD = x_BTD + self.attention(self.norm_1(x_BTD), mask_BT)
        return x_BTD + self.mlp(self.norm_2(x_BTD))


class TextEncoder(nn.Module):
    """Reads a caption."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        nn.init.normal_(self.embedding.weight, std=1.0)
        self.blocks = nn.ModuleList(
            TextBlock(config.width, config.num_heads) for _ in range(config.num_blocks)
        )
        self.norm = nn.RMSNorm(config.width, eps=1e-6)

    def forward(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        """Read captions.

        Args:
            token_ids: (B, T) int64.
            mask: (B, T) bool, true where a token is.

        Returns:
            (B, T, D) features of roughly unit variance; those of padding are of no use.
        """
        places_T = torch.arange(token_ids.shape[1], device=token_ids.device)
        x_BTD = self.embedding(token_ids) + sincos(places_T, self.config.width, 1e3)
        for block in self.blocks:
            x_BTD = block(x_BTD, mask)
        return self.norm(x_BTD)
