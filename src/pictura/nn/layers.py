"""Layers of our transformers: normalised attention, gated feed-forward, positions, time.

Source  Zhang & Sennrich 2019, RMSNorm; Dehghani et al. 2023 for normalised queries and keys; Shazeer
        2020, SwiGLU; Su et al. 2021, RoPE, here with one half of the head for rows, one for columns.
Letters B batch, L tokens, D width, N heads, K head width, H W grid size.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError


class HeadNorm(nn.RMSNorm):
    """RMSNorm whose weights follow the input into bf16, where autocast leaves them behind."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) to (..., K)."""
        weight = None if self.weight is None else self.weight.to(x.dtype)
        return F.rms_norm(x, self.normalized_shape, weight, self.eps)


class Attention(nn.Module):
    """Self-attention over all tokens with RMS-normalised queries and keys."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        if width % num_heads:
            raise ConfigError(
                f"The width of attention must be a multiple of num_heads; "
                f"got width={width}, num_heads={num_heads}."
            )
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.q_norm = HeadNorm(width // num_heads, eps=1e-6)
        self.k_norm = HeadNorm(width // num_heads, eps=1e-6)

    def forward(
        self, x_BLD: Tensor, mask_BL: Tensor, rotation: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Mix tokens.

        Args:
            x_BLD: tokens.
            mask_BL: true where a token may be looked at.
            rotation: cosines and sines, each (L, K), that turn queries and keys by their position.

        Returns:
            (B, L, D).
        """
        q_BNLK, k_BNLK, v_BNLK = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in self.qkv(x_BLD).chunk(3, dim=-1)
        )
        q_BNLK, k_BNLK = self.q_norm(q_BNLK), self.k_norm(k_BNLK)
        if rotation is not None:
            q_BNLK, k_BNLK = rotate(q_BNLK, rotation), rotate(k_BNLK, rotation)
        mixed_BNLK = attend(q_BNLK, k_BNLK, v_BNLK, mask_BL[:, None, None, :])
        return self.out(mixed_BNLK.transpose(1, 2).flatten(2))


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Values (B, N, S, K) mixed as queries (B, N, L, K) and keys (B, N, S, K) say: (B, N, L, K).

    `mask` is bool, of a shape that spreads to (B, N, L, S): true where a query may look.
    """
    if v.dtype == torch.bfloat16 and v.device.type == "cpu":
        # Here the fused kernel's gradient takes four to six times as long as these products.
        bias = torch.zeros_like(mask, dtype=v.dtype).masked_fill(~mask, -torch.inf)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + bias
        return scores.softmax(dim=-1).to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


class SwiGLU(nn.Module):
    """Gated feed-forward layer of about 8 D^2 weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = 32 * math.ceil(width * 8 / 3 / 32)
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """(B, L, D) to (B, L, D)."""
        gate, value = self.up(x_BLD).chunk(2, dim=-1)
        return self.down(F.silu(gate) * value)


def rotate(x_BNLK: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair (k, k + K/2) of head numbers by its token's angle."""
    cos_LK, sin_LK = rotation
    first, second = x_BNLK.chunk(2, dim=-1)
    return x_BNLK * cos_LK + torch.cat([-second, first], dim=-1) * sin_LK


def centred_grid(h: int, w: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of each of h * w tokens in raster order, measured from the centre: two (L,)."""
    rows = torch.arange(h, device=like.device, dtype=torch.float32) - (h - 1) / 2
    cols = torch.arange(w, device=like.device, dtype=torch.float32) - (w - 1) / 2
    return rows[:, None].expand(h, w).reshape(-1), cols[None, :].expand(h, w).reshape(-1)


def rope_2d(rows_L: Tensor, cols_L: Tensor, head_width: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines (L, K) for tokens at (row, column): half of the angles turn with each."""
    quarter = head_width // 4
    frequency = theta ** (-torch.arange(quarter, device=rows_L.device, dtype=torch.float32) / quarter)
    angle = torch.cat([rows_L[:, None] * frequency, cols_L[:, None] * frequency], dim=-1)
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def sincos(position: Tensor, width: int, max_period: float) -> Tensor:
    """Fixed features of real numbers: (N,) to (N, width), cosines then sines, width even."""
    half = width // 2
    exponent = torch.arange(half, device=position.device, dtype=torch.float32) / half
    angle = position[:, None].float() * max_period**-exponent
    return torch.cat([angle.cos(), angle.sin()], dim=-1)
